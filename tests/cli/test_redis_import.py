"""The import of sorted sets: real servers of Redis, alone, in a cluster and under Sentinel, and a real service."""

from __future__ import annotations

import asyncio
import json
import struct
from contextlib import closing
from itertools import count
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from laurels.cli import redis_source
from laurels.cli.client import CommandClient
from laurels.cli.key_pattern import KeyPattern
from laurels.cli.restorer import Restorer
from laurels.client import batches
from laurels.stores.contract import Entry
from tests.asking import ask
from tests.cli.conftest import NOT_KEPT, RECEIPT, failing, page, run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from click.testing import Result

    from tests.conftest import Server
    from tests.redis_servers import Cluster, Node, Sentinels

EDGES = [5e-324, 1.7976931348623157e308, -1.7976931348623157e308, 0.1, -0.1, 2**53 + 2, 1 / 3, 1e-7, 123456789.123, 0]


@pytest.fixture
def source(redis_server: Node) -> Node:
    """Return an empty server."""
    return redis_server


def put(node: Any, key: str, members: Mapping[Any, float]) -> None:
    """Add members to a sorted set."""
    with closing(node.client()) as client:
        client.zadd(key, dict(members))


def adopt(url: str, node: Any, key: str, *more: str) -> Result:
    """Import sorted sets of a server."""
    return run(url, "import", "--from-redis", node.url, "--key", key, *more)


def adopted(url: str, node: Any, key: str, *more: str) -> Any:
    """Import sorted sets; return what was said of that."""
    return json.loads(adopt(url, node, key, *more, "--json").stdout)


def test_exact(server: Server, source: Node, board: str) -> None:
    """Every score arrives to the last bit, and every name that a board can have."""
    scores = {f"v{index}": score for index, score in enumerate(EDGES)} | {"ä ö": 1.5, "x" * 256: 2.0, "a/b?c": 3.0}
    put(source, f"leaderboard:{board}", scores)
    found = adopt(server.url, source, "leaderboard:*")
    assert (found.exit_code, page(server, board)) == (0, scores)
    assert f"leaderboard:{board} is on {board}: 13 members" in found.stderr
    assert "Kept 13 of 13 members" in found.stderr


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_any_double(server: Server, source: Node, board: str, scores: list[float]) -> None:
    """No double is another one afterwards."""
    source.empty()
    put(source, f"any:{board}", {f"v{index}": score for index, score in enumerate(scores)})
    adopt(server.url, source, f"any:{board}", "--board", board, "--delete")
    found = page(server, board)
    assert [struct.pack("d", found[f"v{index}"] + 0.0) for index in range(len(scores))] == [
        struct.pack("d", score + 0.0) for score in scores
    ]


def test_unfit_members(server: Server, source: Node, board: str) -> None:
    """Names and scores that no board can hold are listed and skipped, and the exit status says so."""
    unfit = {b"\xff\x1b": 1, "a\x00b": 1, "x" * 300: 1, "": 1, "..": 1, "more": float("inf"), "less": float("-inf")}
    put(source, f"a:{board}", unfit | {"good": 7})
    found = adopt(server.url, source, f"a:{board}", "--board", board)
    assert (found.exit_code, page(server, board)) == (1, {"good": 7})
    assert "Kept 1 of 8 members" in found.stderr
    assert "\\xff\\x1b: the name is not valid UTF-8" in found.stderr
    (told,) = adopted(server.url, source, f"a:{board}", "--board", board)["sets"]
    assert (told["accepted"], len(told["refused"]), told["key"]) == (1, 7, f"a:{board}")


def test_too_many_unfit_members(server: Server, source: Node, board: str) -> None:
    """Only the first are listed."""
    put(source, f"b:{board}", {f"\x07{index}": 1 for index in range(30)})
    found = adopt(server.url, source, "b:*")
    assert (found.exit_code, found.stderr.count("has a control character")) == (1, 20)
    assert "... and 10 more members refused" in found.stderr


@pytest.mark.parametrize("operator", ["latest", "best", "increment"])
def test_again(server: Server, source: Node, board: str, operator: str) -> None:
    """A second run brings what has changed, under any operator, and removes nothing unless it is told to."""
    put(source, f"again:{board}", {"v": 10, "w": 20, "x": 30})
    assert adopt(server.url, source, "again:*", "--operator", operator).exit_code == 0
    put(source, f"again:{board}", {"v": 5, "new": 1})
    with closing(source.client()) as client:
        client.zrem(f"again:{board}", "w")
    assert adopt(server.url, source, "again:*", "--operator", operator).exit_code == 0
    assert page(server, board) == {"v": 5, "w": 20, "x": 30, "new": 1}
    (told,) = adopted(server.url, source, "again:*", "--delete")["sets"]
    assert (told["removed"], page(server, board)) == (1, {"v": 5, "x": 30, "new": 1})
    assert ask(server, "GET", f"/-/boards/{board}").json["operator"] == operator


def test_definition(server: Server, source: Node, board: str) -> None:
    """A board that is not there is defined as it is asked for; one that is there must be so."""
    put(source, f"laps:{board}", {"slow": 90.5, "fast": 80.25})
    assert adopt(server.url, source, "laps:*", "--order", "ascending").exit_code == 0
    assert [*page(server, board)] == ["fast", "slow"]
    found = adopt(server.url, source, "laps:*", "--order", "descending")
    assert (found.exit_code, "its order is ascending" in found.stderr) == (2, True)


def test_windows_are_not_fed(server: Server, source: Node, board: str) -> None:
    """An all-time score is not one of today."""
    ask(server, "PUT", f"/-/boards/{board}", {"windows": ["daily"]})
    put(source, f"all:{board}", {"v": 1})
    assert adopt(server.url, source, "all:*").exit_code == 0
    assert ask(server, "GET", f"/-/boards/{board}/periods").json == {"periods": []}


def test_portions(server: Server, source: Node, board: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large sorted set is read in portions, whose order does not matter, to the last page of the board."""
    monkeypatch.setattr(redis_source, "MEMBERS", 100)
    monkeypatch.setattr(batches, "BATCH_ENTRIES", 100)
    put(source, f"large:{board}", scores := {f"v{index}": index / 7 for index in range(2345)})
    assert adopt(server.url, source, "large:*").exit_code == 0
    assert {name: score for start in (0, 1000, 2000) for name, score in page(server, board, start).items()} == scores
    (told,) = adopted(server.url, source, "large:*", "--delete")["sets"]
    assert (told["accepted"], told["removed"]) == (2345, 0)


def test_twice_in_one_scan(server: Server, board: str) -> None:
    """A member that is read twice has what was read last, also if both times come in one portion."""

    async def restore() -> int:
        async with CommandClient(server.url) as client:
            restorer = Restorer(client, board)
            for score in range(20):
                await restorer.add([Entry("v", score), Entry(f"w{score}", 1), Entry("v", score + 0.5)])
            await restorer.finish()
            return restorer.accepted

    assert (asyncio.run(restore()), page(server, board)["v"]) == (60, 19.5)


def test_source_is_not_written(server: Server, source: Node, board: str) -> None:
    """What is read is as it was."""
    put(source, f"kept:{board}", {"v": 1})
    with closing(source.client()) as client:
        before = client.dump(f"kept:{board}"), client.dbsize()
        client.config_resetstat()
        adopt(server.url, source, "kept:*", "--delete")
        assert (client.dump(f"kept:{board}"), client.dbsize()) == before
        used = {name.removeprefix("cmdstat_") for name in client.info("commandstats")}
    assert used <= {"scan", "zscan", "zscore", "zcard", "client|setinfo", "dump", "dbsize", "config|resetstat", "hello"}


def test_kinds_of_keys(server: Server, source: Node, board: str) -> None:
    """Keys of other kinds, and those of Laurels' own boards, are let be."""
    put(source, f"laurels:{{{board}}}", {"v": 1})
    with closing(source.client()) as client:
        client.set(f"text:{board}", "1")
    found = adopt(server.url, source, f"*{board}*", "--board", "*")
    assert (found.exit_code, "no sorted set has such a key" in found.stderr) == (3, True)


@pytest.mark.parametrize(
    ("pattern", "board", "key", "becomes"),
    [
        ("leaderboard:*", None, "leaderboard:kart", "kart"),
        ("leaderboard:*", "old-*", "leaderboard:a:b", "old-a:b"),
        ("*:scores:*", "*-*", "kart:scores:2026", "kart-2026"),
        ("kart", None, "kart", "kart"),
        ("kart", "mario-kart", "kart", "mario-kart"),
        ("k[a-c]\\*?:*", None, "kb*x:1", "1"),
        ("k[^a]:*", None, "kb:1", "1"),
        ("k[z-a]:*", None, "kb:1", "1"),
        ("k[\\d]:*", None, "kd:1", "1"),
        ("k[a\\]]:*", None, "k]:1", "1"),
        ("k??:*", None, "k\u00e9:\u00e9", "\u00e9"),
        ("k[]*", "x*", "k", "x"),
        ("**", None, "kart", "kart"),
    ],
)
def test_names_of_boards(pattern: str, board: str | None, key: str, becomes: str) -> None:
    """The board is what the * of the pattern matched, or what --board makes of that."""
    assert KeyPattern(pattern, board).board_of(key.encode()) == becomes


@pytest.mark.parametrize(
    ("keys", "words", "said"),
    [
        ((b"l:\xff",), (), "is not UTF-8"),
        (("l:-",), (), "would be a board whose name cannot be"),
        (("l:a\x01",), (), "--board 'imported-*'"),
        (("l:a", "l:b"), ("--board", "one"), "More than one key becomes the board 'one'"),
        (("l:a",), ("--board", "*-*"), "--board 2"),
        (("l:a",), ("--format", "csv"), "--format does not go with --from-redis"),
    ],
)
def test_wrong_names(server: Server, source: Node, keys: tuple[Any, ...], words: tuple[str, ...], said: str) -> None:
    """What can be no board, and what is not clear, is said before anything is imported."""
    for key in keys:
        put(source, key, {"v": 1})
    found = adopt(server.url, source, "l:*", *words)
    assert (found.exit_code, said in found.stderr.replace("\n", " ")) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        ["import"],
        ["import", "--from-redis", "redis://localhost"],
        ["import", "-", "--board", "b", "--delete"],
        ["import", "-", "--board", "b", "--key", "lrl_123"],
    ],
)
def test_wrong_words(words: list[str]) -> None:
    """What does not go together is a usage error."""
    assert run("http://127.0.0.1:9", *words).exit_code == 2


def test_password(server: Server, source: Node, board: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The password is taken from a file, the environment or the URL, and never shown."""
    put(source, f"secret:{board}", {"v": 1})
    (file := tmp_path / "password").write_text("s3cret\n")
    with closing(source.client()) as client:
        client.acl_setuser("reader", enabled=True, passwords=["+s3cret"], keys=["*"], categories=["+@all"])
    address = source.url.removeprefix("redis://")

    def imported(password: str, *more: str) -> Result:
        url = f"redis://reader{password}@{address}"
        return run(server.url, "import", "--from-redis", url, "--key", "secret:*", *more)

    assert imported("", "--redis-password-file", str(file)).exit_code == 0
    assert imported(":s3cret").exit_code == 0
    wrong = imported(":wr0ng")
    assert (wrong.exit_code, "does not take the user and the password" in wrong.stderr) == (3, True)
    assert "wr0ng" not in wrong.output
    monkeypatch.setenv("LAURELS_REDIS_PASSWORD", "s3cret")
    assert imported("").exit_code == 0
    file.write_text("\n")
    assert imported("", "--redis-password-file", str(file)).exit_code == 3
    none = imported("", "--redis-password-file", str(tmp_path / "none"))
    assert (none.exit_code, "the password of Redis cannot be read" in none.stderr) == (1, True)


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1/0", "unix:///none", "redis+cluster://127.0.0.1:1", "redis+sentinel://127.0.0.1:1/x"]
)
def test_no_source(server: Server, url: str) -> None:
    """A server that cannot be reached is named, and nothing happens."""
    found = run(server.url, "import", "--from-redis", url, "--key", "*")
    assert (found.exit_code, f"Cannot read {url}" in found.stderr) == (3, True)


def test_wrong_url() -> None:
    """What is no URL of Redis is a wrong word, and no part of a password is shown."""
    found = run("http://127.0.0.1:9", "import", "--from-redis", "redis://:s3/cret@host?db=1", "--key", "*")
    assert (found.exit_code, "is no URL of Redis" in found.stderr, "cret" in found.output) == (2, True, False)
    found = run("http://127.0.0.1:9", "import", "--from-redis", "redis://:s3/cret@127.0.0.1:1", "--key", "*")
    assert (found.exit_code, "cret" in found.output) == (3, False)


def test_writers(server: Server, source: Node, board: str) -> None:
    """What is a member all the while arrives with a score that it had, and a second run brings the last one."""
    names = [f"v{index}" for index in range(3000)]
    put(source, f"busy:{board}", dict.fromkeys(names, 0))
    stopping, begun = Event(), Event()

    def write() -> None:
        with closing(source.client()) as client:
            for score in count(1):
                some = names[score % 100 :: 100]
                client.zadd(f"busy:{board}", dict.fromkeys(some, score) | {f"new{score % 50}": score})
                client.zrem(f"busy:{board}", f"new{(score + 25) % 50}")
                begun.set()
                if stopping.is_set():
                    return

    writer = Thread(target=write)
    writer.start()
    try:
        begun.wait()
        assert adopt(server.url, source, "busy:*").exit_code == 0
    finally:
        stopping.set()
        writer.join()
    with closing(source.client()) as client:
        last = {name.decode(): score for name, score in client.zrange(f"busy:{board}", 0, -1, withscores=True)}
    found = {name: score for start in (0, 1000, 2000, 3000) for name, score in page(server, board, start).items()}
    assert {*names} <= {*found}
    assert all(found[name] <= last[name] for name in names)
    assert adopt(server.url, source, "busy:*", "--delete").exit_code == 0
    assert {
        name: score for start in (0, 1000, 2000, 3000) for name, score in page(server, board, start).items()
    } == last


def test_cluster(server: Server, redis_cluster: Cluster, board: str) -> None:
    """In a cluster the keys of every primary are found."""
    with closing(redis.RedisCluster("127.0.0.1", redis_cluster.nodes[0].port)) as client:
        for index in range(8):
            client.zadd(f"c:{index}:{board}", {"v": index})
    found = run(
        server.url, "import", "--from-redis", redis_cluster.url, "--key", f"c:*:{board}", "--board", f"{board}-*"
    )
    assert (found.exit_code, "on 8 boards" in found.stderr) == (0, True)
    assert [page(server, f"{board}-{index}") for index in range(8)] == [{"v": index} for index in range(8)]


def test_sentinels(server: Server, redis_sentinels: Sentinels, board: str) -> None:
    """Sentinels say who the primary is."""
    put(redis_sentinels.primary, f"s:{board}", {"v": 1})
    assert adopt(server.url, redis_sentinels, "s:*").exit_code == 0
    assert page(server, board) == {"v": 1}


def test_service_that_cannot(source: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service whose store keeps no times refuses, and what was kept until then is told."""
    monkeypatch.setattr(batches, "BATCH_ENTRIES", 100)
    put(source, "few:b", {f"v{index}": 1 for index in range(350)})
    with failing(NOT_KEPT) as service:
        found = adopt(service.url, source, "few:*", "--json")
    assert (found.exit_code, json.loads(found.stdout)["sets"]) == (
        1,
        [{"key": "few:b", "board": "b", "accepted": 0, "refused": [], "removed": 0}],
    )


def test_service_that_is_busy(source: Node) -> None:
    """A batch that a service asks to send again is sent again."""
    put(source, "few:b", {"v": 1})
    with failing((503, {"retry-after": "0"}, b"{}"), (200, {}, RECEIPT)) as service:
        assert adopt(service.url, source, "few:*").exit_code == 0
        assert len(service.bodies) == 2


def test_definition_that_fails(source: Node) -> None:
    """A definition that cannot be read is no leave to define."""
    put(source, "few:b", {"v": 1})
    with failing((403, {}, b"{}")) as service:
        assert adopt(service.url, source, "few:*", "--order", "ascending").exit_code == 1
