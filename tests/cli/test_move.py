"""Boards that are moved between stores and services: afterwards they are the same, entry by entry."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
import signal
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laurels.cli.client import CommandClient, Period
from laurels.cli.pages import Copy
from laurels.cli.rows import encode_rows
from laurels.cli.sides import Side, open_side
from laurels.definition import DEFAULT_DEFINITION, Definition
from laurels.restoring import NEWER
from laurels.stores.contract import FullSubmission, Submission
from tests.asking import ask
from tests.cli.conftest import passing, run, start
from tests.conftest import running
from tests.test_restoring import act, changes, definitions, open_boards, submits

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Awaitable, Callable

    from click.testing import Result

    from laurels.boards import Boards
    from tests.redis_servers import Node, Servers

THEN = 1_767_000_000_000_000


def move(source: object, target: object, *more: str) -> Result:
    """Move boards."""
    return run("http://127.0.0.1:9", "move", str(source), str(target), *more)


def moved(source: object, target: object, *more: str) -> dict[str, Any]:
    """Move boards; return what was said of that."""
    found: dict[str, Any] = json.loads(move(source, target, *more, "--json").stdout)
    return found


def work(path: Path, does: Callable[[Boards], Awaitable[object]]) -> None:
    """Do something to the boards of a directory."""

    async def open_and_work() -> None:
        boards = await open_boards(path, DEFAULT_DEFINITION)
        await does(boards)
        await boards.store.close()

    asyncio.run(open_and_work())


def everything(place: object) -> dict[str, list[object]]:
    """Return the definition of each board at a place, and what `laurels export` makes of it and of its periods."""

    async def read() -> dict[str, list[object]]:
        found: dict[str, list[object]] = {}
        async with open_side(Side(str(place))) as client:
            async for each in client.boards():
                periods = [Period(one.window, one.period) async for one in client.periods(each.name)]
                spans = [Period(), *periods]
                found[each.name] = [each.definition, *[await export(client, each.name, span) for span in spans]]
        return found

    return asyncio.run(read())


async def export(client: CommandClient, board: str, when: Period) -> bytes:
    """Return a board or a period as a file."""
    copy = Copy(client, board, when, scores_only=False)
    return b"".join([encode_rows(page, "jsonl", details=True) async for page in copy.pages()])


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a board of every kind, to be copied."""

    async def fill(boards: Boards) -> None:
        full = {"operator": "best", "ties": "earliest", "ranking": "dense", "windows": ("daily", "monthly")}
        await boards.define("full", Definition(**full))  # type: ignore[arg-type]
        await boards.define("laps", Definition(order="ascending", ties="latest", operator="latest"))
        await boards.define("sums", Definition(operator="increment", windows=("weekly",)))
        await boards.define("empty", Definition(ties="latest"))
        for index in range(40):
            body = b'{"n":%d}' % index if index % 3 else None
            await boards.submit("full", Submission(f"v{index % 30}", index % 7 + 0.1, body))
            await boards.submit_in_full(
                "full", FullSubmission(f"w{index}", 5, body, (1_767_000_000 + index // 4) * 10**6)
            )
            await boards.submit_in_full("laps", FullSubmission(f"v{index}", 1, None, THEN))
            await boards.submit("sums", Submission(f"v{index % 9}", -index if index % 2 else 0.25))
            await boards.submit("plain", Submission(f"v{index}", index))
        for name in ("v1", "v2", "nobody"):
            await boards.hide("full", name)

    path = tmp_path_factory.mktemp("filled") / "from"
    work(path, fill)
    return path


@pytest.fixture
def source(filled: Path, tmp_path: Path) -> Path:
    """Return a directory with a board of every kind."""
    return Path(shutil.copytree(filled, tmp_path / "from"))


def test_every_way(source: Path, redis_server: Node, tmp_path: Path) -> None:
    """From a directory to Redis, to a service, and to another directory nothing changes, to the byte."""
    with running(tmp_path / "service") as server:
        assert move(source, redis_server.url).exit_code == 0
        assert move(redis_server.url, server.url).exit_code == 0
        found = move(server.url, tmp_path / "to")
    assert (found.exit_code, "Moved and verified 5 boards" in found.stderr) == (0, True)
    assert "full: 210 entries, 210 of them sent, 3 names hidden" in found.stderr
    assert everything(tmp_path / "to") == everything(source)


def test_spread(source: Path, redis_server: Node, tmp_path: Path) -> None:
    """Over how many partitions a board is spread is a matter of the store that it is in."""

    async def define(place: str) -> None:
        async with open_side(Side(place)) as client:
            await client.define("sums", b'{"operator":"increment","windows":["weekly"],"partitions":4}')

    asyncio.run(define(redis_server.url))
    other = redis_server.url.replace("/0", "/1")
    for place, to, count in ((source, redis_server.url, 4), (redis_server.url, other, 4), (other, tmp_path / "to", 1)):
        for _ in range(2):
            assert move(place, to).exit_code == 0
        definition: Any = everything(to)["sums"][0]
        assert definition.partitions == count
    assert everything(tmp_path / "to") == everything(source)


def test_again(source: Path, tmp_path: Path) -> None:
    """A second run sends what has changed since, and nothing else."""
    assert moved(source, tmp_path / "to")["verified"]
    assert [each["sent"] for each in moved(source, tmp_path / "to")["boards"]] == [0] * 5

    async def change(boards: Boards) -> None:
        await boards.submit("full", Submission("v5", 100))
        await boards.submit("sums", Submission("v5", 1))
        await boards.submit("plain", Submission("new", 1))
        await boards.hide("full", "v7")
        await boards.set_metadata("full", "v8", b"8")

    work(source, change)
    found = moved(source, tmp_path / "to")
    assert ([each["sent"] for each in found["boards"]], found["verified"]) == ([0, 6, 0, 1, 2], True)
    assert everything(tmp_path / "to") == everything(source)


async def _other_name(boards: Boards) -> None:
    await boards.submit("full", Submission("another", 3))


async def _newer(boards: Boards) -> None:
    await boards.submit("laps", Submission("v3", 3))


async def _hidden(boards: Boards) -> None:
    await boards.hide("full", "v9")


async def _period(boards: Boards) -> None:
    await boards.submit_in_full("full", FullSubmission("v5", 0.1, None, 1_700_000_000_000_000))


async def _ruled(boards: Boards) -> None:
    await boards.drop(boards.board("laps"))
    await boards.define("laps", Definition(operator="best"))
    await boards.submit_in_full("laps", FullSubmission("v3", 1, None, 1_600_000_000_000_000))


@pytest.mark.parametrize("change", [_other_name, _newer, _hidden, _period, _ruled])
def test_board_that_is_another(source: Path, tmp_path: Path, change: Callable[[Boards], Awaitable[None]]) -> None:
    """What is only where a board goes is not lost, unless that is asked for."""
    to = tmp_path / "to"
    assert moved(source, to)["verified"]
    work(to, change)
    before = everything(to)
    found = move(source, to)
    assert (found.exit_code, "Stopped." in found.stderr) == (1, True)
    assert everything(to) == before
    assert move(source, to, "--replace").exit_code == 0
    assert everything(to) == everything(source)


def test_order_that_is_another(source: Path, tmp_path: Path) -> None:
    """Entries of one score and one time that came in another order make another board."""

    async def submit(boards: Boards) -> None:
        await boards.define("laps", Definition(order="ascending", ties="latest"))
        for index in reversed(range(40)):
            await boards.submit_in_full("laps", FullSubmission(f"v{index}", 1, None, THEN))

    work(tmp_path / "to", submit)
    found = move(source, tmp_path / "to", "--board", "laps")
    assert (found.exit_code, "came in another order" in found.stderr) == (1, True)
    assert "another board of that name dropped" in move(source, tmp_path / "to", "--replace").stderr
    assert everything(tmp_path / "to") == everything(source)


def test_change_meanwhile(tmp_path: Path) -> None:
    """What is submitted while a board is moved is found in the end, and told; a second run brings it."""
    with running(tmp_path / "from") as server, running(tmp_path / "to") as other:
        batch = {"entries": [{"name": f"v{index}", "score": index} for index in range(30)]}
        ask(server, "POST", "/b", batch)
        steps = iter(range(1000))

        def change() -> None:
            if (step := next(steps)) > 4:  # the board was read already
                ask(
                    server,
                    "POST",
                    "/b",
                    {"entries": [{"name": f"w{step}-{each}", "score": -each} for each in range(9)]},
                )
                ask(server, "POST", "/b/v1", {"score": 1000 + step})

        with passing(other, before=change) as url:
            found = move(server.url, url)
        assert (found.exit_code, "they are not the same" in found.stderr) == (1, True)
        assert "more entries differ" in found.stderr
        assert move(server.url, other.url).exit_code == 0


def test_some_boards(source: Path, tmp_path: Path) -> None:
    """Only the boards that are named are moved."""
    assert move(source, tmp_path / "to", "--board", "plain", "--board", "plain").exit_code == 0
    assert [*everything(tmp_path / "to")] == ["plain"]
    assert move(source, tmp_path / "to", "--board", "none").exit_code == 2


def test_what_stays(tmp_path: Path) -> None:
    """Held scores stay where they are, and that is said."""
    with running(tmp_path / "from") as server:
        ask(server, "PUT", "/-/boards/b", {"guard": {"hold_above": 10}})
        ask(server, "POST", "/b/v", {"score": 20})
        ask(server, "POST", "/b/w", {"score": 5})
        found = move(server.url, tmp_path / "to")
    assert (found.exit_code, "1 held scores stay behind" in found.stderr) == (0, True)


def test_default_definition(tmp_path: Path) -> None:
    """Boards without a definition of their own have the one that their store had for all."""
    with running(tmp_path / "from", "--order", "ascending") as server:
        ask(server, "POST", "/b/v", {"score": 20})
        ask(server, "POST", "/b/w", {"score": 5})
    assert move(tmp_path / "from", tmp_path / "to").exit_code == 0
    assert everything(tmp_path / "to")["b"][0] == Definition(order="ascending")


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("nowhere", "to"), 2),
        ((".", "to"), 2),
        (("from", "./from/"), 2),
        (("http://localhost:1", "http://localhost:1/"), 2),
        (("from", "http://127.0.0.1:1"), 3),
        (("from", "redis://127.0.0.1:1/0"), 1),
        (("from", "redis:nonsense"), 2),
        (("from", "htpp://localhost"), 1),
    ],
)
def test_wrong_sides(source: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, str], status: int) -> None:
    """What is no store and no service is named, and nothing is made of it."""
    monkeypatch.chdir(source.parent)
    assert move(*words).exit_code == status
    assert [*source.parent.iterdir()] == [source]


def test_nothing_there(redis_server: Node, tmp_path: Path) -> None:
    """A place without boards is the wrong one, and no success."""
    found = move(redis_server.url, tmp_path / "to")
    assert (found.exit_code, "FROM has no boards" in found.stderr) == (2, True)


def test_settings_of_redis(filled: Path, redis_server: Node, tmp_path: Path) -> None:
    """A password comes from a file, also if the two sides have not the same; an evicting server is read as it is."""
    (one := tmp_path / "one").write_text("s3cret\n")
    (other := tmp_path / "other").write_text("hunter2\n")
    one_url, other_url = (redis_server.url.replace("://", f"://{user}@") for user in ("one", "other"))
    with closing(redis_server.client()) as client:
        for user, password in (("one", "s3cret"), ("other", "hunter2")):
            access: Any = {"keys": ["*"], "channels": ["*"], "categories": ["+@all"]}
            client.acl_setuser(user, enabled=True, passwords=[f"+{password}"], **access)
        try:
            found = move(filled, one_url, "--redis-password-file", str(other))
            assert (found.exit_code, "hunter2" in found.output) == (1, False)
            client.config_set("maxmemory", "1gb")
            client.config_set("maxmemory-policy", "allkeys-lru")
            assert "--allow-eviction" in move(filled, one_url, "--redis-password-file", str(one)).stderr
            assert moved(filled, one_url, "--redis-password-file", str(one), "--allow-eviction")["verified"]
            files = ("--redis-password-file", str(other), "--from-redis-password-file", str(one))
            assert move(one_url, tmp_path / "to", *files).exit_code == 0
            assert move(tmp_path / "to", other_url, *files, "--allow-eviction").exit_code == 0
        finally:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", "0")
            client.acl_deluser("one", "other")


def test_directory_in_use(source: Path, tmp_path: Path) -> None:
    """A directory that a service runs on is not opened."""
    with running(source):
        found = move(source, tmp_path / "to")
    assert (found.exit_code, "use" in found.stderr) == (1, True)


@settings(deadline=None, max_examples=6)
@given(st.lists(st.tuples(definitions, st.lists(st.one_of(submits, changes), max_size=25)), min_size=4, max_size=4))
def test_any_boards(
    redis_servers: Servers, tmp_path_factory: pytest.TempPathFactory, walks: list[tuple[Definition, list[Any]]]
) -> None:
    """Whatever boards have been through, they are the same on Redis, and then in another directory."""
    path, node = tmp_path_factory.mktemp("any"), redis_servers.node("redis")

    async def walk(boards: Boards) -> None:
        for index, (definition, acts) in enumerate(walks):
            await boards.define(f"b{index}", definition)
            for what, name, *more in acts:
                await act(boards, what, name, *more, board=f"b{index}")

    work(path / "from", walk)
    found = moved(path / "from", node.url)
    if refused := {one["problem"] for each in found["boards"] for one in each["refused"]}:
        assert refused == {NEWER}
        return
    assert moved(node.url, path / "to")["verified"]
    assert everything(path / "to") == everything(path / "from")


def test_killed(source: Path, tmp_path: Path) -> None:
    """A move that is killed at any moment goes on, and ends as one that was not."""

    async def fill(boards: Boards) -> None:
        entries = [FullSubmission(f"v{index}", index % 50, None, THEN + index // 500) for index in range(3_000)]
        for first in range(0, 3_000, 1000):
            await boards.submit_many("laps", entries[first : first + 1000])

    work(source, fill)
    with running(tmp_path / "service") as server:
        for requests in (12, 30):  # in the midst of the first board, and of the third
            process: list[subprocess.Popen[str]] = []
            left = iter(range(requests, -1000, -1))
            with passing(server, before=lambda left=left, process=process: next(left) or process[0].kill()) as url:  # type: ignore[misc]
                process.append(start("http://127.0.0.1:9", "move", source, url))
                process[0].communicate()
            assert process[0].returncode == -signal.SIGKILL
        assert move(source, server.url).exit_code == 0
        assert move(server.url, tmp_path / "to").exit_code == 0
    assert everything(tmp_path / "to") == everything(source)


def test_entries_of_other_programs(source: Path, redis_server: Node, tmp_path: Path) -> None:
    """What another program put into a sorted set of Laurels' has no time, and gets that of the move."""
    assert moved(source, redis_server.url, "--board", "plain")["verified"]
    with closing(redis_server.client()) as client:
        client.zadd("laurels:{plain}", {"other": 1.5})
    found = moved(redis_server.url, tmp_path / "to")
    assert (found["verified"], [each["sent"] for each in found["boards"]]) == (True, [41])


def test_commands_of_the_page(
    redis_server: Node, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands of the page do what it says."""
    page = (Path(__file__).parents[2] / "docs" / "moving.md").read_text()
    page = page.replace("redis://localhost:6379/0", redis_server.url)
    blocks = "".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
    importing, moving, serving = map(shlex.split, blocks.splitlines())
    monkeypatch.chdir(tmp_path)
    source.rename("laurels-data")
    assert run("http://127.0.0.1:9", *moving[1:]).exit_code == 0
    with closing(redis_server.client()) as client:
        client.zadd("leaderboard:kart", {"v": 2.5})
    with running(tmp_path / "unused", *serving[2:]) as server:
        assert run(server.url, *importing[1:]).exit_code == 0
        assert ask(server, "GET", "/kart").json == {"leaderboard": [{"name": "v", "score": 2.5}]}
        assert ask(server, "GET", "/full/v5").json["rank"] is not None
