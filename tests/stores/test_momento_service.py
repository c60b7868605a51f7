"""The service over the Momento store: ``laurels serve --store momento:CACHE``."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest
from click.testing import CliRunner
from momento_wire_types import controlclient_pb2

from laurels.assembly import application
from laurels.cli import main
from laurels.http.cursor import write_cursor
from laurels.momento_local.keys import Keys
from laurels.optional import install_command
from laurels.stores.contract import Board, Ranked
from tests.asking import ask
from tests.cli.conftest import run
from tests.conftest import Server, started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.momento import Momento

pytestmark = pytest.mark.slow

SERVE = [sys.executable, "-m", "laurels", "serve", "--port", "0", "--store"]


def environment_of(momento: Momento) -> dict[str, str]:
    """Return the environment in which the SDK reaches the server."""
    return os.environ | {"MOMENTO_ENDPOINT": f"http://{momento.host}:{momento.port}"}


def ended(command: list[str], environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Run a command to its end; return its status and what it wrote on stderr."""
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)
    return process.returncode, process.stderr


@pytest.fixture
def cache(momento: Momento) -> str:
    """Return the name of a new cache."""
    return momento.new_cache()


@pytest.fixture
def service(momento: Momento, cache: str) -> Iterator[Server]:
    """Start a service over the cache."""
    with started([*SERVE, f"momento:{cache}"], environment_of(momento)) as server:
        yield server


def test_core_routes(service: Server) -> None:
    """The core routes answer as over any store."""
    for name, score in {"silverhand": 34, "v": 2077}.items():
        assert ask(service, "POST", f"/kart/{name}", {"score": score}).status == 202
    assert ask(service, "GET", "/kart/silverhand").body == b'{"score":34,"rank":1}'
    page = b'{"leaderboard":[{"name":"v","score":2077},{"name":"silverhand","score":34}]}'
    assert ask(service, "GET", "/kart?startRank=0&endRank=20").body == page


def test_preference_is_passed_over(service: Server) -> None:
    """If a store cannot report a change, the preference for it is ignored, as RFC 7240 allows."""
    reply = ask(service, "POST", "/kart/v", {"score": 1}, {"prefer": "return=representation"})
    assert (reply.status, reply.body, "preference-applied" in reply.headers) == (202, b"", False)


def test_reads(service: Server) -> None:
    """A page has its ranks; what takes more than one call is refused, with the reason, and is no outage."""
    ask(service, "POST", "/kart/v", {"score": 34})
    assert ask(service, "GET", "/kart?include=rank").json == {"leaderboard": [{"name": "v", "score": 34, "rank": 0}]}
    reads = ["kart?around=v", "kart?name=v", "kart?minScore=1", "kart?include=cursor"]
    reads += [f"kart?cursor={write_cursor(Board('kart'), 20, Ranked('v', 34, 0))}"]
    for read in [*reads, "-/boards/kart/summary", "-/boards/kart/rank?score=1"]:
        reply = ask(service, "GET", f"/{read}")
        assert (reply.status, "This service cannot" in reply.json["detail"]) == (422, True), read


def test_definitions_are_not_kept(service: Server) -> None:
    """A board's definition can be read; to define it takes a file, or another store."""
    ask(service, "POST", "/kart/v", {"score": 34})
    assert ask(service, "GET", "/-/boards/kart").json["operator"] == "latest"
    for reply in (ask(service, "PUT", "/-/boards/kart", {"order": "ascending"}), ask(service, "GET", "/-/boards")):
        assert (reply.status, "This service cannot" in reply.json["detail"]) == (422, True)


def test_declared_board(momento: Momento, cache: str, tmp_path: Path) -> None:
    """A board is what the service's file says."""
    file = tmp_path / "boards.toml"
    file.write_text('[boards.distance]\noperator = "increment"\n')
    with started([*SERVE, f"momento:{cache}", "--boards", str(file)], environment_of(momento)) as service:
        replies = [ask(service, "POST", "/distance/v", {"score": 2}).status for _ in range(2)]
        assert (replies, ask(service, "GET", "/distance/v").json["score"]) == ([202, 202], 4)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('operator = "best"', "cannot keep boards under the operator 'best'"),
        ('windows = ["daily"]', "cannot keep windows beside a board"),
        ('ranking = "dense"', "cannot rank by 'dense'"),
    ],
)
def test_boards_that_momento_cannot_keep(momento: Momento, cache: str, tmp_path: Path, line: str, says: str) -> None:
    """A service does not begin with boards that its store cannot keep, and says which and why."""
    file = tmp_path / "boards.toml"
    file.write_text(f"[boards.kart]\n{line}\n")
    words = ["serve", "--store", f"momento:{cache}", "--boards", str(file)]
    found = CliRunner().invoke(main, words, env=environment_of(momento))
    assert (found.exit_code, "[boards.kart]" in found.stderr, says in found.stderr) == (1, True, True)


def test_command_line(service: Server) -> None:
    """The command line's submit shows the standing after it, where the service cannot tell the one before."""
    assert run(service.url, "submit", "kart", "v", "34").stdout == "score 34, rank 0\n"
    assert run(service.url, "submit", "kart", "v", "35", "--json").stdout == '{"score":35,"rank":0}\n'


def test_import(service: Server, tmp_path: Path) -> None:
    """An import goes without the keys that this store refuses."""
    (tmp_path / "kart.tsv").write_text("v\t34\nw\t5\n")
    assert run(service.url, "import", tmp_path / "kart.tsv", "--board", "kart").exit_code == 0
    assert ask(service, "GET", "/kart/w").json == {"score": 5, "rank": 1}


def test_list_of_declared_boards(momento: Momento, cache: str, tmp_path: Path) -> None:
    """Where there are no boards but the declared ones, they can be listed."""
    (tmp_path / "boards.toml").write_text("declared_only = true\n[boards.kart]\n")
    with started(
        [*SERVE, f"momento:{cache}", "--boards", str(tmp_path / "boards.toml")], environment_of(momento)
    ) as service:
        assert [one["name"] for one in ask(service, "GET", "/-/boards").json["boards"]] == ["kart"]


def test_the_rest_of_the_routes(service: Server) -> None:
    """Batches, deletes and readiness work, too."""
    entries = [{"name": name, "score": 1} for name in ("a", "b", "c")]
    assert ask(service, "POST", "/kart", {"entries": entries}).json == {"accepted": 3, "refused": []}
    assert [ask(service, "DELETE", path).status for path in ("/kart/a", "/kart/a", "/kart")] == [204, 204, 204]
    assert ask(service, "GET", "/-/ready").status == 200


def test_missing_cache_while_it_serves(service: Server, momento: Momento, cache: str) -> None:
    """A cache that is deleted under the service makes it say so, with when to come again."""
    momento.caches.DeleteCache(controlclient_pb2._DeleteCacheRequest(cache_name=cache))  # noqa: SLF001 - as it is called
    reply = ask(service, "POST", "/kart/v", {"score": 1})
    assert (reply.status, "laurels momento create-cache" in reply.json["detail"]) == (503, True)
    assert reply.headers["retry-after"] == "10"


@pytest.mark.parametrize(
    ("store", "says"),
    [
        ("momento:not-there", "no Momento cache 'not-there': create it with `laurels momento create-cache not-there`"),
        ("momento:", "'momento:' is no store: it must be embedded, or momento:CACHE"),
        ("embedded:x", "'embedded:x' is no store"),
        ("sqlite", "'sqlite' is no store"),
        ("rediis://user:hunter2@host/0", "'rediis://host/0' is no store"),
    ],
)
def test_no_such_store(momento: Momento, store: str, says: str) -> None:
    """A store that is not there ends the service before it begins, with the way out."""
    status, error = ended([*SERVE, store], environment_of(momento))
    assert (status, says in error, "Traceback" in error) == (1, True, False)


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({}, "there is none: MOMENTO_API_KEY"),
        ({"MOMENTO_API_KEY": "nonsense"}, "it cannot be read"),
        (
            {"MOMENTO_API_KEY": Keys(b"secret" * 6, lambda: 0).owner()},
            "needs its endpoint beside it, in MOMENTO_ENDPOINT",
        ),
    ],
    ids=["none", "no key", "v2 without endpoint"],
)
def test_without_a_key(environment: dict[str, str], says: str) -> None:
    """Without a key that leads somewhere the service ends before it begins, and says what is missing."""
    found = CliRunner().invoke(main, ["serve", "--store", "momento:boards"], env=environment)
    assert (found.exit_code, says in found.stderr, "Traceback" in found.stderr) == (1, True, False)


def test_without_the_extra() -> None:
    """Where Momento's SDK is not installed, the store says how to install it."""
    code = "import sys; sys.modules['momento'] = None; from laurels.cli import main; main(prog_name='laurels')"
    status, error = ended([sys.executable, "-c", code, "serve", "--store", "momento:boards"])
    assert (status, install_command("momento") in error, "Traceback" in error) == (1, True, False)


@pytest.mark.parametrize("seconds", ["0", "1000000001", "week"])
def test_time_to_live_has_bounds(seconds: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A time to live that no board can have is refused, on the command line and by the ready-made application."""
    found = CliRunner().invoke(main, ["serve", "--store", "momento:boards", "--ttl-seconds", seconds])
    assert (found.exit_code, "'--ttl-seconds'" in found.stderr, "Traceback" in found.stderr) == (2, True, False)
    monkeypatch.setenv("LAURELS_TTL_SECONDS", seconds)
    with pytest.raises(msgspec.ValidationError, match=r"\$\.ttl_seconds"):
        application()


def test_ready_made_application(momento: Momento, cache: str) -> None:
    """Any ASGI server serves it, too, by the environment alone."""
    environment = environment_of(momento) | {"LAURELS_STORE": f"momento:{cache}", "LAURELS_TTL_SECONDS": "60"}
    command = [sys.executable, "-m", "uvicorn", "--factory", "laurels.assembly:application", "--port", "0"]
    with started(command, environment) as server:
        assert ask(server, "POST", "/kart/v", {"score": 1}).status == 202
