"""What a running service writes into its audit log, and what it answers when that cannot be."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from laurels.access.keys import digest_key, make_key
from laurels.audit.file import AuditFile
from laurels.audit.record import Record
from laurels.errors import Forbidden
from laurels.http.auditing import REFUSALS, Auditor, Watch
from laurels.http.messages import Headers, Request
from laurels.http.operation import AUDITED, show_nothing
from laurels.http.operations import OPERATIONS
from tests.asking import ask, send_bytes
from tests.conftest import Server, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLD = "2026-01-20T10:00:00Z"
KEYS = {"console": ["moderate", "define"], "reader": ["read"], "server": ["submit"]}


class Audited:
    """A service with an audit log, and the keys to it if it has an access file."""

    def __init__(self, server: Server, path: Path, keys: dict[str, str] | None = None) -> None:
        self.server = server
        self.path = path
        self.keys = keys or {}

    def ask(self, method: str, path: str, body: object = None, *, key: str = "", **headers: str) -> int:
        """Return the status of an answer."""
        shown = {"authorization": f"Bearer {self.keys[key]}"} if key else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return ask(self.server, method, path, body, shown | named).status

    def records(self) -> list[dict[str, Any]]:
        """Return all records."""
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def last(self) -> dict[str, Any]:
        """Return the newest record, without its time."""
        found = self.records()[-1]
        assert found.pop("time").endswith("Z")
        return found


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    """Run a service that anybody may use; each test uses boards of its own."""
    path = (directory := tmp_path_factory.mktemp("audited")) / "audit.log"
    options = ("--audit-log", str(path), "--trusted-proxy", "127.0.0.1")
    with running(directory / "data", *options) as server:
        yield Audited(server, path)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Audited]:
    """Run a service with keys."""
    with keeping(tmp_path) as audited:
        yield audited


@contextmanager
def keeping(tmp_path: Path, *options: str) -> Iterator[Audited]:
    """Run a service with keys and further options."""
    keys = {name: make_key() for name in KEYS}
    tables = [
        f'[keys.{name}]\nsha256 = "{digest_key(key)}"\nscopes = {json.dumps(KEYS[name])}\n'
        for name, key in keys.items()
    ]
    (access := tmp_path / "access.toml").write_text('[public]\nscopes = ["read"]\n' + "".join(tables))
    access.chmod(0o600)
    path = tmp_path / "audit.log"
    with running(tmp_path / "data", "--audit-log", str(path), "--access", str(access), *options) as server:
        yield Audited(server, path, keys)


# Every operation


class Case(NamedTuple):
    """Requests that prepare, the one that is recorded, and what its record says of before and after."""

    request: tuple[Any, ...]
    status: int
    before: Any
    after: Any
    prepared: tuple[tuple[Any, ...], ...] = ()


SCORE = ("POST", "/{board}/v", {"score": 5})
GUARDED = ("PUT", "/-/boards/{board}", {"guard": {"hold_above": 10}})
HELD = ("POST", "/{board}/w", {"score": 20})
PLACE = {"score": 5, "rank": 0}
CASES = {
    "remove": Case(("DELETE", "/{board}/v"), 204, PLACE, None, (SCORE,)),
    "drop": Case(("DELETE", "/{board}"), 204, {"entries": 1}, {"entries": 0}, (SCORE,)),
    "define": Case(("PUT", "/-/boards/{board}", {"ties": "latest"}), 201, None, {"ties": "latest"}),
    "undefine": Case(
        ("DELETE", "/-/boards/{board}"),
        204,
        {"ties": "latest"},
        None,
        (("PUT", "/-/boards/{board}", {"ties": "latest"}),),
    ),
    "restore": Case(
        ("PUT", "/-/boards/{board}/entries", {"entries": [{"name": "w", "score": 1, "submittedAt": OLD}]}),
        200,
        {"entries": 1},
        {"entries": 2},
        (SCORE,),
    ),
    "hide": Case(
        ("PUT", "/-/boards/{board}/hidden/v"), 204, PLACE, {"score": 5, "rank": None, "hidden": True}, (SCORE,)
    ),
    "show": Case(
        ("DELETE", "/-/boards/{board}/hidden/v"),
        204,
        {"score": 5, "rank": None, "hidden": True},
        PLACE,
        (SCORE, ("PUT", "/-/boards/{board}/hidden/v")),
    ),
    "release": Case(
        ("POST", "/-/boards/{board}/held/w/release"),
        204,
        {"standing": None, "held": {"score": 20}},
        {"standing": {"score": 20, "rank": 0}, "held": None},
        (GUARDED, HELD),
    ),
    "reject": Case(
        ("POST", "/-/boards/{board}/held/w/reject"),
        204,
        {"standing": None, "held": {"score": 20}},
        {"standing": None, "held": None},
        (GUARDED, HELD),
    ),
    "revoke": Case(("DELETE", "/-/keys/nobody"), 409, None, "nothing"),
    "submit": Case(
        ("POST", "/{board}/v", {"score": 4, "operator": "latest"}), 202, PLACE, {"score": 4, "rank": 0}, (SCORE,)
    ),
    "submit_many": Case(
        ("POST", "/{board}", {"entries": [{"name": "v", "score": 4, "submittedAt": OLD}, {"name": "u", "score": 1}]}),
        200,
        {},
        {"v": {"score": 4, "rank": 0}},
    ),
}


def covers(found: Any, expected: Any) -> bool:
    """Return whether an object has what is expected of it, and perhaps more."""
    if isinstance(expected, dict) and expected:
        return isinstance(found, dict) and all(covers(found[part], value) for part, value in expected.items())
    return bool(found == expected)


@pytest.mark.parametrize("name", CASES)
def test_every_operation(audited: Audited, name: str) -> None:
    """The newest record says what was done, by whom, from where, and what that changed."""
    board, case = f"case-{name}", CASES[name]
    for request in (*case.prepared, case.request):
        method, path, *body = request
        status = audited.ask(method, path.format(board=board), *body)
    record = audited.last()
    assert (record["operation"], record["status"], status) == (name, case.status, case.status)
    assert (record["who"], record["from"]) == ("anybody", "127.0.0.1")
    assert record.get("board") == (board if "{board}" in case.request[1] else None)
    assert covers(record["before"], case.before)
    assert covers(record.get("after", "nothing"), case.after)


def test_no_operation_is_forgotten() -> None:
    """Whatever takes one of the scopes is recorded, shows what it changes, and has a case above."""
    written = {each.name for each in OPERATIONS if each.scope in AUDITED and each.method != "GET"}
    assert written == {each.name for each in OPERATIONS if each.is_audited}
    assert not [each.name for each in OPERATIONS if each.is_audited and each.shows is show_nothing]
    assert CASES.keys() == written | {each.name for each in OPERATIONS if each.admits_moderators}


def test_what_is_not_recorded(audited: Audited) -> None:
    """Plain submits, metadata, reads, and requests of the wrong form are not in it."""
    before = len(audited.records())
    audited.ask("POST", "/plain/v", {"score": 5})
    audited.ask("POST", "/plain/v", {"score": 5, "metadata": {"operator": 1}})
    audited.ask("POST", "/plain", {"entries": [{"name": "v", "score": 4}]})
    audited.ask("PATCH", "/plain/v", {"metadata": 1})
    assert audited.ask("DELETE", "/plain/v?windows=daily") == 400
    assert audited.ask("GET", "/-/boards/plain/hidden") == 200
    assert len(audited.records()) == before


BODIES = {
    "plain": b'{"score":1,"operator":"latest"}',
    "spaces": b'{ "operator" : "latest" , "score" : 1 }',
    "escaped": rb'{"score":1,"\u006fperator":"latest"}',
    "escaped time": rb'{"score":1,"submitted\u0041t":"2026-01-20T10:00:00Z"}',
    "time": b'{"submittedAt":"2026-01-20T10:00:00Z","score":1}',
}


@pytest.mark.parametrize("more", [b"", b"X-Odd: 1\r\n", b"Idempotency-Key: %b\r\n"], ids=["fast", "odd", "key"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_every_way_of_a_submit(audited: Audited, body: bytes, more: bytes) -> None:
    """However a moderator's submit is written, and whichever way it goes, it is recorded."""
    before = len(audited.records())
    head = b"POST /ways/v HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n" % len(body)
    more = more % os.urandom(8).hex().encode() if b"%" in more else more
    assert send_bytes(audited.server, head + more + b"\r\n" + body)[0].status == 202
    assert [each["operation"] for each in audited.records()[before:]] == ["submit"]


def test_batch_with_a_name_that_nobody_can_have(audited: Audited) -> None:
    """It is refused alone, as in a batch that is not recorded, and has no standing before and after."""
    entries = [{"name": name, "score": 1, "submittedAt": OLD} for name in ("v", "\x19", "", "a" * 257)]
    answer = ask(audited.server, "POST", "/mixed", {"entries": entries})
    assert (answer.status, answer.json["accepted"], len(answer.json["refused"])) == (200, 1, 3)
    assert (audited.last()["before"], list(audited.last()["after"])) == ({}, ["v"])


def test_refused_by_the_rules(audited: Audited) -> None:
    """An act that could not be done has a record with its status, and no after."""
    audited.ask("POST", "/ruled/v", {"score": 5})
    audited.ask("POST", "/ruled/w", {"score": 5})
    assert audited.ask("PUT", "/-/boards/ruled", {"order": "ascending"}) == 409
    assert (audited.last()["status"], "after" in audited.last()) == (409, False)


def test_period(audited: Audited) -> None:
    """The window and the period are in it."""
    audited.ask("PUT", "/-/boards/windowed", {"windows": ["daily"]})
    audited.ask("POST", "/windowed/v", {"score": 5})
    assert audited.ask("DELETE", "/windowed/v?window=daily") == 204
    assert audited.last() | {"before": 0} == {
        "who": "anybody",
        "from": "127.0.0.1",
        "operation": "remove",
        "status": 204,
        "board": "windowed",
        "name": "v",
        "window": "daily",
        "before": 0,
        "after": None,
    }


def test_client_behind_a_proxy(audited: Audited) -> None:
    """It says where the request came from, as a trusted proxy does, also of a submit."""
    audited.ask("DELETE", "/proxied/v", x_forwarded_for="203.0.113.9")
    assert audited.last()["from"] == "203.0.113.9"
    audited.ask("POST", "/proxied/v", {"score": 1, "operator": "best"}, x_forwarded_for="203.0.113.8")
    assert audited.last()["from"] == "203.0.113.8"


def test_hostile_names(audited: Audited) -> None:
    """Names make no lines, and no characters that nobody sees."""
    before = len(audited.path.read_bytes().splitlines())
    assert audited.ask("DELETE", "/b%22%7D/%E2%80%AE%7B%22time%22%3A1%7D") == 204
    lines = audited.path.read_text().splitlines()
    assert len(lines) == before + 1
    assert "\\u202e" in lines[-1]
    assert audited.last()["name"] == '\u202e{"time":1}'


# Who


def test_who(kept: Audited) -> None:
    """A key is named, and no part of its secret is anywhere."""
    assert kept.ask("DELETE", "/b/v", key="console") == 204
    assert kept.last()["who"] == "key:console"
    secrets = [key[8:40] for key in kept.keys.values()]
    assert not [each for each in secrets if each in kept.path.read_text() + "".join(kept.server.log)]


def test_refused_at_the_gate(kept: Audited) -> None:
    """Who may not is recorded too, with what was shown; of other scopes nobody is."""
    refused = [
        kept.ask("DELETE", "/b/v"),
        kept.ask("DELETE", "/b/v", authorization="Bearer laurels_wrong"),
        kept.ask("DELETE", "/b/v", key="reader"),
        kept.ask("POST", "/b/v", {"score": 1, "operator": "best"}, key="server"),
        kept.ask("POST", "/b/v", {"score": 1}),
    ]
    assert refused == [401, 401, 403, 403, 401]
    assert kept.ask("DELETE", "/b/v", key="console") == 204
    found = [(each["who"], each["operation"], each["status"]) for each in kept.records()]
    assert sorted(found[:-1]) == sorted(
        [
            ("public", "remove", 401),
            ("public", "remove", 401),
            ("key:reader", "remove", 403),
            ("key:server", "submit", 403),
        ]
    )
    assert found[-1] == ("key:console", "remove", 204)


def test_flood_of_refusals(kept: Audited) -> None:
    """A flood leaves a bounded number of lines, and the number of those that are missing."""
    flood = b"DELETE /b/v HTTP/1.1\r\nHost: localhost\r\n\r\n" * 300
    assert {reply.status for reply in send_bytes(kept.server, flood, 300)} == {401}
    assert kept.ask("DELETE", "/b/v", key="console") == 204
    records = kept.records()
    assert REFUSALS <= len(records) < 3 * REFUSALS
    assert sum(each.get("unrecorded", 1) for each in records) + sum("unrecorded" in each for each in records) == 301


# Where it goes


def test_without_a_file(tmp_path: Path) -> None:
    """Without a file the records are lines of the log, and cannot be read over HTTP."""
    with running(tmp_path, "--log-format", "json") as server:
        assert ask(server, "DELETE", "/b/v").status == 204
        (line,) = server.wait_for_line("Audit: ")
        assert ask(server, "GET", "/-/audit").status == 409
    record = json.loads(json.loads(line)["message"].removeprefix("Audit: "))
    assert (record["operation"], record["who"], record["status"]) == ("remove", "anybody", 204)


@pytest.mark.parametrize(("least", "level"), [("INFO", "INFO"), ("WARNING", "WARNING")])
def test_log_that_takes_warnings_alone(caplog: pytest.LogCaptureFixture, least: str, level: str) -> None:
    """Also a log that nobody has set up, which takes no less than warnings, gets the records."""
    caplog.set_level(least)
    asyncio.run(Auditor().write(Record(time="", who="anybody", sender="", operation="drop", status=204)))
    (line,) = caplog.records
    assert (line.levelname, line.getMessage()[:8]) == (level, "Audit: {")


def test_refusal_just_before_the_end(tmp_path: Path) -> None:
    """Who was refused is recorded before the file is closed."""
    file = AuditFile(tmp_path / "audit.log", 10**6)
    remove = next(each for each in OPERATIONS if each.name == "remove")

    async def refuse() -> None:
        auditor = Auditor(file)
        request = Request("DELETE", b"/b/v", b"", Headers(), b"")
        Watch(auditor, remove, ["b", "v"], request, "public").refuse(Forbidden("no"))
        await auditor.settle()
        await file.close()

    asyncio.run(refuse())
    record = json.loads((tmp_path / "audit.log").read_text())
    assert (record["who"], record["board"], record["name"], record["status"]) == ("public", "b", "v", 403)


def test_rotation(tmp_path: Path) -> None:
    """After SIGHUP records go to the file that has the name then."""
    path, moved = tmp_path / "audit.log", tmp_path / "audit.log.1"
    with running(tmp_path / "data", "--audit-log", str(path)) as server:
        ask(server, "DELETE", "/b/v")
        path.rename(moved)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line(f"SIGHUP: reloaded the audit log {path}.")
        ask(server, "DELETE", "/b/w")
    assert [json.loads(each.read_text())["name"] for each in (moved, path)] == ["v", "w"]


@pytest.mark.slow
def test_full_disk(tmp_path: Path, small_disk: Path) -> None:
    """What could not be recorded is not done, and says so, until there is room; the record that failed is not lost."""
    path, ballast = small_disk / "audit.log", small_disk / "ballast"
    with running(tmp_path / "data", "--audit-log", str(path)) as server:
        ask(server, "POST", "/b/v", {"score": 5})
        with ballast.open("wb", buffering=0) as filling, pytest.raises(OSError, match="No space"):
            filling.writelines(b"\0" * 4096 for _ in range(10_000))
        with path.open("ab", buffering=0) as filling, pytest.raises(OSError, match="No space"):
            filling.writelines(b"\n" for _ in range(100_000))
        assert ask(server, "DELETE", "/b/v").status == 204
        server.wait_for_line("The audit log cannot be written: no space left on device.")
        refused = ask(server, "PUT", "/-/boards/b", {})
        assert (refused.status, refused.headers["retry-after"]) == (503, "10")
        assert "make room for the audit log" in refused.json["detail"]
        assert ask(server, "POST", "/b/v", {"score": 5}).status == 202
        ballast.unlink()
        assert ask(server, "PUT", "/-/boards/b", {}).status == 201
    lines = [json.loads(line) for line in path.read_text().splitlines() if line]
    assert [each["operation"] for each in lines] == ["remove", "define"]


def test_largest_size(tmp_path: Path) -> None:
    """At the size that is set it is a 507, which names the setting."""
    (path := tmp_path / "audit.log").write_bytes(b"\n" * 65536)
    with running(tmp_path / "data", "--audit-log", str(path), "--max-audit", "64KiB") as server:
        refused = ask(server, "DELETE", "/b/v")
    assert refused.status == 507
    assert "--max-audit" in refused.json["detail"]


def test_refusals_at_the_largest_size(tmp_path: Path) -> None:
    """What is refused does not make the log larger than that; the next record says how many are missing."""
    (path := tmp_path / "audit.log").write_bytes(b"\n" * 65536)
    with keeping(tmp_path, "--max-audit", "64KiB") as kept:
        assert [kept.ask("DELETE", "/b/v") for _ in range(3)] == [401] * 3
        assert kept.ask("DELETE", "/b/v", key="console") == 507
        assert path.stat().st_size == 65536
        os.truncate(path, 0)
        assert kept.ask("DELETE", "/b/v", key="console") == 204
        (record,) = kept.records()
    assert (record["operation"], record["who"], record["unrecorded"]) == ("remove", "key:console", 3)


# Reading it


def test_read_over_http(audited: Audited) -> None:
    """The newest come first, of a board or a name alone, and in parts."""
    for name in ("a", "b", "c"):
        audited.ask("DELETE", f"/read/{name}")
    path = "/-/audit?board=read&limit=2"
    first = ask(audited.server, "GET", path).json
    rest = ask(audited.server, "GET", f"{path}&before={first['next']}").json
    assert [each["name"] for each in (*first["records"], *rest["records"])] == ["c", "b", "a"]
    assert rest["next"] is None
    found = ask(audited.server, "GET", "/-/audit?name=b&board=read&who=anybody&since=2026-01-01T00:00:00Z").json
    assert [each["name"] for each in found["records"]] == ["b"]
    assert ask(audited.server, "GET", "/-/audit?since=2999-01-01T00:00:00%2B01:00").json["records"] == []


@pytest.mark.parametrize("since", ["yesterday", "2026-11-20", "2026-11-20T10:00:00"])
def test_since_that_is_no_instant(audited: Audited, since: str) -> None:
    """A time without a zone is refused, with one that is right."""
    refused = ask(audited.server, "GET", f"/-/audit?since={since}")
    assert (refused.status, refused.json["parameter"]) == (400, "since")
    assert "2026-11-20T10:00:00Z" in refused.json["detail"]


def test_file_that_is_gone(tmp_path: Path) -> None:
    """A file that was taken away meanwhile is a 409, not a fault."""
    path = tmp_path / "audit.log"
    with running(tmp_path / "data", "--audit-log", str(path)) as server:
        path.unlink()
        assert ask(server, "GET", "/-/audit").status == 409


def test_only_administrators_read_it(kept: Audited) -> None:
    """Who may moderate and define may not read it."""
    assert kept.ask("GET", "/-/audit", key="console") == 403
