"""A limit that is changed in its one place changes everywhere: rules, fast path, documents, gateway, command line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from laurels import limits
from laurels.ranking import Index
from tests.asking import ask, send_bytes
from tests.conftest import started

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Server

CHANGED = {
    "NAME_BYTES": 50,
    "KEY_CHARACTERS": 40,
    "KEY_HOURS": 12,
    "CREDENTIAL_CHARACTERS": 4096,
    "METADATA_BYTES": 2048,
    "PAGE_ENTRIES": 90,
    "DEFAULT_PAGE_ENTRIES": 7,
    "SPAN_ENTRIES": 40,
    "DEFAULT_SPAN_ENTRIES": 3,
    "LIVE_VIEWS": 5,
    "NAMES_ASKED": 9,
    "PERCENTILES_ASKED": 8,
    "SUMMARY_BUCKETS": 30,
    "DEFAULT_SUMMARY_BUCKETS": 4,
    "BATCH_ENTRIES": 80,
    "BOARDS_LISTED": 70,
    "DEFAULT_BOARDS_LISTED": 6,
    "PERIODS_LISTED": 2,
    "HIDDEN_LISTED": 2,
    "HELD_LISTED": 60,
    "DEFAULT_HELD_LISTED": 7,
    "KEYS_LISTED": 5,
    "TOKEN_SECONDS": 43_200,
    "DEFAULT_TOKEN_SECONDS": 1800,
    "ANONYMOUS_TOKEN_SECONDS": 86_400,
    "ANONYMOUS_TOKENS": 4,
    "TOKEN_BOARDS": 50,
    "AUDIT_RECORDS": 500,
    "DEFAULT_AUDIT_RECORDS": 40,
    "BODY_BYTES": 3 * 1024,
    "BATCH_BYTES": 2 * 1024 * 1024,
    "TARGET_BYTES": 1024,
    "HEAD_BYTES": 2 * 1024,
    "LARGEST_NUMBER": 10**12 - 1,
    "REPEATED_CHARACTERS": 90,
}
SCRIPT = f"""
from laurels import limits
for name, value in {CHANGED}.items():
    assert getattr(limits, name) != value
    setattr(limits, name, value)
import subprocess
import sys
from laurels.cli import main
"""
SERVE = [sys.executable, "-c", f"{SCRIPT}\nmain(['serve', '--port', '0', '--data', sys.argv[1]])"]
API = (Path(__file__).parent.parent / "docs" / "http-api.md").read_text()


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a service whose limits are others."""
    with started([*SERVE, str(tmp_path_factory.mktemp("changed"))]) as server:
        entries = [{"name": f"n{place}", "score": place} for place in range(80)]
        for name in ("kart", "other", *(f"b{number}" for number in range(10))):
            assert ask(server, "POST", f"/{name}", {"entries": entries}).status == 200
        yield server


def test_every_limit_is_changed_here() -> None:
    """No limit is left out of these tests."""
    names = {name for name, value in vars(limits).items() if isinstance(value, int)}
    assert names - {"KIB", "MIB"} == set(CHANGED)


@pytest.mark.parametrize("odd", [b"", b"X-Odd: 1\r\n"], ids=["fast", "odd"])
@pytest.mark.parametrize(
    ("target", "status"),
    [
        (f"/kart/{'n' * 50}", 200),
        (f"/kart/{'n' * 51}", 400),
        ("/kart?startRank=0&endRank=90", 200),
        ("/kart?startRank=0&endRank=91", 400),
        ("/kart?startRank=999999999999", 200),
        ("/kart?startRank=9999999999999", 400),
        ("/kart?startRank=999999999990&endRank=999999999999", 200),
        ("/kart?startRank=1000000000000&endRank=1000000000001", 400),
        ("/kart?around=n40&span=40", 200),
        ("/kart?around=n40&span=41", 400),
        ("/kart?minScore=0&limit=90", 200),
        ("/kart?minScore=0&limit=91", 400),
        ("/kart?" + "&".join(f"name=n{place}" for place in range(9)), 200),
        ("/kart?" + "&".join(f"name=n{place}" for place in range(10)), 400),
        ("/kart?around=n40&limit=90", 200),
        ("/kart?around=n40&limit=91", 400),
        ("/-/boards/kart/summary?percentiles=1,2,3,4,5,6,7,8", 200),
        ("/-/boards/kart/summary?percentiles=1,2,3,4,5,6,7,8,9", 400),
        ("/-/boards/kart/summary?buckets=30", 200),
        ("/-/boards/kart/summary?buckets=31", 400),
        ("/-/boards?limit=70", 200),
        ("/-/boards?limit=71", 400),
        ("/-/boards/kart/held?limit=60", 200),
        ("/-/boards/kart/held?limit=61", 400),
        (f"/kart?cursor={'a' * 1100}", 414),
    ],
    ids=lambda value: str(value)[:40],
)
def test_reads(changed: Server, target: str, status: int, odd: bytes) -> None:
    """Reads are held to the changed limits, on the fast path as well."""
    (reply,) = send_bytes(changed, b"GET %b HTTP/1.1\r\nHost: localhost\r\n%b\r\n" % (target.encode(), odd))
    assert reply.status == status


def test_head(changed: Server) -> None:
    """A head that is too long is refused, with headers that the fast path knows as well."""
    (reply,) = send_bytes(changed, b"GET /kart/v HTTP/1.1\r\nHost: localhost\r\nUser-Agent: %b\r\n\r\n" % (b"u" * 3000))
    assert reply.status == 431


def test_key_is_kept_as_long(changed: Server) -> None:
    """The error for a key that is used again says how long it is kept."""
    headers = {"idempotency-key": "hours"}
    assert ask(changed, "POST", "/kart/hours", {"score": 1}, headers).status == 202
    assert "12 hours" in ask(changed, "POST", "/kart/hours", {"score": 2}, headers).json["detail"]


@pytest.mark.parametrize(
    ("target", "count"), [("/kart", 7), ("/kart?around=n40", 7), ("/kart?minScore=0", 7), ("/-/boards", 6)]
)
def test_defaults(changed: Server, target: str, count: int) -> None:
    """What is not asked for has the changed defaults."""
    found = ask(changed, "GET", target).json
    assert len(found.get("leaderboard") or found["boards"]) == count


@pytest.mark.parametrize(
    ("target", "body", "headers", "status"),
    [
        ("/kart/v", {"score": 1}, {"idempotency-key": "k" * 40}, 202),
        ("/kart/v", {"score": 1}, {"idempotency-key": "k" * 41}, 400),
        ("/kart/v", {"score": 1, "metadata": "m" * 2046}, {}, 202),
        ("/kart/v", {"score": 1, "metadata": "m" * 2047}, {}, 422),
        ("/kart/v", b" " * (3 * 1024) + b"1", {}, 413),
        ("/kart/v", b" " * (3 * 1024), {}, 400),
        ("/kart", {"entries": [{"name": f"n{place}", "score": 1} for place in range(81)]}, {}, 422),
        ("/kart", b" " * (2 * 1024 * 1024) + b"1", {}, 413),
        ("/kart", b" " * (2 * 1024 * 1024), {}, 400),
        ("/kart/v", {"score": 1}, {"x": "x" * 2048}, 431),
    ],
)
def test_writes(changed: Server, target: str, body: object, headers: dict[str, str], status: int) -> None:
    """Writes are held to the changed limits."""
    assert ask(changed, "POST", target, body, headers).status == status


def test_openapi_document(changed: Server) -> None:
    """The document says the changed limits."""
    document = ask(changed, "GET", "/-/openapi.json").json
    read = {one["name"]: one for one in document["paths"]["/{board}"]["get"]["parameters"]}
    assert read["board"]["schema"]["maxLength"] == 50
    assert "at most 90 after `startRank`, by default 7" in read["endRank"]["description"]
    assert (read["span"]["schema"]["maximum"], read["span"]["description"][-13:]) == (40, "Default: `3`.")
    assert (read["limit"]["schema"]["maximum"], read["limit"]["description"][-13:]) == (90, "Default: `7`.")
    assert read["name"]["schema"]["maxItems"] == 9
    assert read["startRank"]["schema"]["maximum"] == 10**12 - 1
    boards = {one["name"]: one for one in document["paths"]["/-/boards"]["get"]["parameters"]}
    assert (boards["limit"]["schema"]["maximum"], boards["limit"]["schema"]["default"]) == (70, 6)
    batch = document["paths"]["/{board}"]["post"]
    assert "up to 80 entries" in batch["description"]
    key = next(one for one in batch["parameters"] if one["name"] == "Idempotency-Key")
    assert key["schema"]["maxLength"] == 40
    assert "Within 12 hours" in key["description"]
    schemas = document["components"]["schemas"]
    assert schemas["Batch"]["properties"]["entries"]["maxItems"] == 80
    assert "at most 2 KiB" in schemas["Submit"]["properties"]["metadata"]["description"]
    assert "over 3 KiB, over 2 MiB for a batch" in batch["responses"]["413"]["description"]
    errors = document["components"]["responses"]
    assert "longer than 1 KiB" in errors["414"]["description"]
    assert "larger than 2 KiB" in errors["431"]["description"]


def test_docs_page(changed: Server) -> None:
    """The page of docs says them, too."""
    page = re.sub(r"<[^>]*>", "", ask(changed, "GET", "/-/docs").body.decode())
    assert "spanHow many neighbours on either side. Default: 3. (in the query; at least 0; at most 40)" in page
    assert "limitHow many boards at most. (in the query; at least 1; at most 70; default 6)" in page
    assert "nameReturns exactly these names. (in the query; at least 1 of them; at most 9 of them)" in page


@pytest.mark.parametrize("target", ["/kart/v", "/kart?startRank=0&endRank=91", "/kart"])
def test_messages(changed: Server, target: str) -> None:
    """The errors say them."""
    problem = ask(changed, "GET", target) if "?" in target else ask(changed, "POST", target, bytes(2 * 1024 * 1024 + 1))
    words = {"/kart/v": "3 KiB", "/kart?startRank=0&endRank=91": "a page holds 90", "/kart": "parts of 80 entries"}
    assert words[target] in problem.json["detail"]


def test_gateway() -> None:
    """The gateway's own answers and the local front of it say the changed limit of a body."""
    script = f"{SCRIPT}\nimport json\nfrom infra.answers import ANSWERS\nprint(json.dumps(ANSWERS))"
    assert "3 KiB" in run(script)["REQUEST_TOO_LARGE"][1]


def test_command_line() -> None:
    """The command line asks for no more than one page, and says so."""
    script = f"{SCRIPT}\nimport json\nfrom laurels.cli.scores import top\nprint(json.dumps(top.params[2].type.max))"
    assert run(script) == 90


def test_command_line_reads_all_lists(changed: Server) -> None:
    """The command line goes on until it has all periods of a board, however few are in one list."""
    assert ask(changed, "PUT", "/-/boards/windows", {"windows": ["daily", "monthly", "weekly"]}).status == 201
    assert ask(changed, "POST", "/windows/v", {"score": 1}).status == 202
    listed = ask(changed, "GET", "/-/boards/windows/periods").json
    assert [one["window"] for one in listed["periods"]] == ["daily", "monthly"]
    command = f"main(['boards', 'periods', 'windows', '--json', '--server', {changed.url!r}])"
    found = run(f"from laurels.cli import main\n{command}")
    assert [one["window"] for one in found["periods"]] == ["daily", "monthly", "weekly"]
    assert "next" not in found


def run(script: str) -> Any:
    """Return what a script prints as JSON."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_index_holds_the_longest_name() -> None:
    """The index, which knows nobody, takes names of just as many bytes."""
    index = Index()
    index.put("n" * limits.NAME_BYTES, 1)
    with pytest.raises(ValueError, match="a name is 1 to 256 bytes"):
        index.put("n" * (limits.NAME_BYTES + 1), 1)


@pytest.mark.parametrize(
    "words",
    [
        f"1 to {limits.NAME_BYTES} bytes",
        f"1 to {limits.KEY_CHARACTERS} visible",
        f"at most {limits.METADATA_BYTES:,} bytes",
        f"`startRank + {limits.DEFAULT_PAGE_ENTRIES}`",
        f"at most {limits.PAGE_ENTRIES:,}",
        f"from 0 to {limits.SPAN_ENTRIES}, {limits.DEFAULT_SPAN_ENTRIES} by default",
        f"at most {limits.NAMES_ASKED}",
        f"at most {limits.PERCENTILES_ASKED}, each from 0 to 100",
        f"from 1 to {limits.SUMMARY_BUCKETS}, {limits.DEFAULT_SUMMARY_BUCKETS} by default",
        f"up to {limits.BATCH_ENTRIES:,} entries",
        f"from 1 to {limits.BOARDS_LISTED:,}, {limits.DEFAULT_BOARDS_LISTED} by default",
        f"from 1 to {limits.PERIODS_LISTED:,} periods",
        f"over {limits.BODY_BYTES // limits.KIB} KiB; over {limits.BATCH_BYTES // limits.KIB // limits.KIB} MiB",
        f"over {limits.TARGET_BYTES // limits.KIB} KiB",
        f"over {limits.HEAD_BYTES // limits.KIB} KiB",
    ],
)
def test_api_page(words: str) -> None:
    """The page of the HTTP API says the limits that hold."""
    assert words in API
