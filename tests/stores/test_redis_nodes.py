"""The servers behind the store on Redis: what is said of them, what they refuse, and what happens if they are gone."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ResponseError

from laurels.definition import Definition
from laurels.errors import (
    AnswerLost,
    BadServerURL,
    ServerFull,
    ServerUnusable,
    StoreError,
    StoreRefused,
    StoreUnavailable,
)
from laurels.stores.contract import Board, IdempotencyKey, Standing, Submission
from laurels.stores.redis import single
from laurels.stores.redis.cluster import slot_of
from laurels.stores.redis.connecting import connect
from laurels.stores.redis.errors import translate
from laurels.stores.redis.keys import key_of
from laurels.stores.redis.partitions import partition_of
from laurels.stores.redis.relocation import partition
from laurels.stores.redis.settings import RedisSettings
from laurels.stores.redis.store import RedisStore, open_store
from laurels.stores.redis.url import Address, Target
from tests.redis_servers import PROGRAMS, free_port, running, until
from tests.stores.guarantees import KART, shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from redis import Redis

    from tests.redis_servers import Cluster, Node, Sentinels

pytestmark = pytest.mark.anyio
SUMS = Board("sums", Definition(operator="increment"))
WHOLE = RedisSettings(timeout=2)


async def refusal(url: str, **settings: Any) -> str:
    """Return why a store is not opened."""
    with pytest.raises(StoreUnavailable) as raised:
        await open_store(url, settings=RedisSettings(**settings))
    return str(raised.value)


async def open_sums(url: str, **settings: Any) -> RedisStore:
    """Return a store with a board whose scores are added."""
    store = await open_store(url, settings=RedisSettings(**settings))
    await store.define(SUMS.name, SUMS.definition)
    return store


async def until_ready(store: RedisStore) -> None:
    """Wait until a store has found its servers again."""
    while True:
        try:
            await store.ready()
        except StoreUnavailable:
            await asyncio.sleep(0.01)
        else:
            return


async def refused_as(store: RedisStore) -> str:
    """Return why a store is not ready; nothing if it is."""
    try:
        await store.ready()
    except StoreUnavailable as error:
        return str(error)
    return ""


# URLs


@pytest.mark.parametrize(
    ("url", "addresses", "database"),
    [
        ("redis://localhost", [("localhost", 6379)], 0),
        ("rediss://u:p%40@[::1]:7/3", [("::1", 7)], 3),
        ("unix:///run/redis.sock", [("/run/redis.sock", None)], 0),
        ("redis+sentinel://a,b:2/game/1", [("a", 26379), ("b", 2)], 1),
        ("redis+cluster://a:1,b:2", [("a", 1), ("b", 2)], 0),
    ],
)
def test_urls(url: str, addresses: list[tuple[str, int | None]], database: int) -> None:
    """Each form of a URL is read."""
    target = Target(url)
    assert (target.addresses, target.database) == (tuple(Address(*each) for each in addresses), database)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis:/host", "it must be redis://host:port/0"),
        ("redis://:hunter2@host:port", "'host:port' is no host and port"),
        ("redis://:hunter2@", "a host is missing"),
        ("redis://:hunter2@a,b", "several are redis+cluster://"),
        ("redis://:hunter2@a/b", "the database is a number"),
        ("redis://:hunter2@a/0?timeout=3", "it has no parameters"),
        ("unix://run/redis.sock", "the path of a socket is absolute"),
        ("redis+sentinel://:hunter2@a", "the name of the service"),
        ("redis+cluster://:hunter2@a/1", "no database but 0"),
    ],
)
def test_bad_urls(url: str, reason: str) -> None:
    """A bad URL says what would be right, and has no password in its message."""
    with pytest.raises(BadServerURL) as raised:
        Target(url)
    assert reason in str(raised.value)
    assert "hunter2" not in str(raised.value)


# What a server refuses, or is refused for


async def test_passwords(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password is taken from the URL, a file or the environment; a wrong one, or none, is said, and not shown."""
    file = tmp_path / "password"
    file.write_text("hunter2\n")
    with running(tmp_path / "node", requirepass="hunter2") as node:
        for password in (None, file):
            url = node.url if password else node.url.replace("//", "//:hunter2@")
            await (await open_store(url, settings=RedisSettings(password_file=password))).close()
        monkeypatch.setenv("LAURELS_REDIS_PASSWORD", "hunter2")
        await (await open_store(node.url)).close()
        monkeypatch.setenv("LAURELS_REDIS_PASSWORD", "hunter3")
        wrong = await refusal(node.url)
        monkeypatch.delenv("LAURELS_REDIS_PASSWORD")
        assert "refuses the user or the password" in wrong
        assert "hunter" not in wrong
        for scheme in ("redis", "redis+cluster"):
            assert "asks for a password" in await refusal(f"{scheme}://{node.address}")
        assert "no node of a cluster" in await refusal(f"redis+cluster://:hunter2@{node.address}")
        assert "cannot be read" in await refusal(node.url, password_file=tmp_path)
        file.write_bytes(b"\xff")
        assert "it is no text" in await refusal(node.url, password_file=file)


async def test_connections_that_are_refused(tmp_path: Path) -> None:
    """Why a server refuses a connection is said, whatever it is, and it is tried again."""
    with running(tmp_path / "node", maxclients="2") as node:
        assert "no database of that number" in await refusal(f"redis://{node.address}/99")
        assert "has no password, and is shown one" in await refusal(node.url.replace("//", "//:x@"))
        store = RedisStore(node.url)
        others = [node.client() for _ in range(2)]
        for other in others:
            other.ping()
        assert "as many connections as it takes" in await refused_as(store)
        for other in others:
            other.close()
        await until_ready(store)
        await store.close()
    async with answering(b"-ERR of a later version\r\n" * 4) as address:
        assert "refuses connections" in await refusal(f"redis://:x@{address}")


async def test_a_password_that_is_taken_away(tmp_path: Path) -> None:
    """A server that has got a password refuses connections without one, and takes them once it has none any more."""
    with running(tmp_path / "node", requirepass="x") as node, closing(node.client()) as client:
        store = RedisStore(node.url)
        assert "asks for a password" in await refused_as(store)
        client.config_set("requirepass", "")
        await until_ready(store)
        await store.close()


async def test_rights(tmp_path: Path) -> None:
    """A user may do only what it may: what is missing is named, and without CONFIG and INFO nothing is believed."""
    users = ("default off", "few on >few ~* +ping +evalsha", "some on >some ~* +@all -config -info -script -zscore")
    with running(tmp_path / "node", users=users, appendonly="yes", appendfsync="always") as node:
        node.password = None
        for name, missing, seldom in (("few", "MULTI", "SCRIPT"), ("some", "ZSCORE", "SCRIPT")):
            store = await open_store(node.url.replace("//", f"//{name}:{name}@"))
            assert not store.capabilities.durable
            assert "does not tell" in store.warnings()[0]
            with pytest.raises(ServerUnusable, match=missing):
                await store.standing(KART, "v")
            with pytest.raises(ServerUnusable, match=seldom):
                await store.count(KART)
            await store.close()


async def test_rights_that_are_taken(redis_server: Node) -> None:
    """If a user may not do all that a submit is, nothing of it is counted."""
    boards = [SUMS, Board("timed", Definition(ties="earliest"))]
    store = RedisStore(redis_server.url.replace("//", "//some:x@"))
    with closing(redis_server.client()) as client:
        client.execute_command("ACL SETUSER", "some", "on", ">x", "~*", "&*", "+@all")
        await until_ready(store)
        for board in boards:
            await store.define(board.name, board.definition)
            await store.submit(board, Submission("v", 1))
        client.execute_command("ACL SETUSER", "some", "-hset")
        for board in boards:
            for sent in (Submission("v", 2), [Submission("v", 2), Submission("w", 2)]):
                with pytest.raises(ServerUnusable, match="Nothing was counted: have the operator extend its rights"):
                    await store.submit(board, sent)
            assert shown(await store.page(board, 0, 9)) == [("v", 1, 0)]
        client.execute_command("ACL DELUSER", "some")
    await store.close()


async def test_tls(tmp_path: Path) -> None:
    """Over TLS a server must have a certificate of the authority that is named."""
    with running(tmp_path / "node", tls=True) as node:
        store = await open_store(node.url, settings=RedisSettings(ca_file=node.authority))
        await store.submit(KART, Submission("v", 1))
        await store.close()
        assert "certificate of Redis is not trusted" in await refusal(node.url)
        assert "Redis cannot be reached" in await refusal(node.url.replace("rediss", "redis"))
        with pytest.raises(ServerUnusable, match="no certificates"):
            RedisStore(node.url, settings=RedisSettings(ca_file=tmp_path / "none"))


async def test_tls_to_a_plain_server(redis_server: Node) -> None:
    """A server that speaks no TLS is not spoken to in plain."""
    assert "TLS" in await refusal(redis_server.url.replace("redis", "rediss"))


async def test_memory_and_disk(tmp_path: Path) -> None:
    """A server that evicts is refused; one that is full refuses; what syncs each change is durable."""
    options = {"maxmemory": "3mb", "maxmemory-policy": "allkeys-lru", "appendonly": "yes", "appendfsync": "always"}
    with running(tmp_path / "node", unixsocket=str(tmp_path / "socket"), **options) as node:
        assert "set maxmemory-policy noeviction" in await refusal(node.url)
        store = await open_store(f"unix://{tmp_path / 'socket'}", settings=RedisSettings(allow_eviction=True))
        assert store.capabilities.durable
        assert store.warnings() == []
        with closing(node.client()) as client:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", 1)
        with pytest.raises(ServerFull, match="no memory left"):
            await store.submit(KART, Submission("v", 1))
        await store.close()


async def test_another_kind_of_key(redis_server: Node) -> None:
    """A key of another program where a board would be is not touched, and is said."""
    store = await open_store(redis_server.url)
    with closing(redis_server.client()) as client:
        client.set(key_of(KART.name), "theirs")
        for act in (partial(store.submit, KART, Submission("v", 1)), partial(store.standing, KART, "v")):
            with pytest.raises(StoreRefused, match="another program"):
                await act()
        assert client.get(key_of(KART.name)) == b"theirs"
    await store.close()


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[str]:
    """Run a server that answers the first request of each connection with the next of these, and yield its address."""
    left, connections = list(answers), list[asyncio.Transport]()

    class Answering(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport: asyncio.Transport = transport  # type: ignore[assignment]
            connections.append(self.transport)
            self.answer = left.pop(0) if len(left) > 1 else left[0]

        def data_received(self, data: bytes) -> None:  # noqa: ARG002
            self.transport.write(self.answer)
            self.answer = b""

    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
    async with server:
        yield "{}:{}".format(*server.sockets[0].getsockname())
    for connection in connections:
        connection.abort()


def named(node: Node) -> bytes:
    """Return how a Sentinel names a node."""
    return b"*2\r\n$9\r\n127.0.0.1\r\n$5\r\n%d\r\n" % node.port


def told(*lines: str) -> bytes:
    """Return how a server answers to INFO, and with nothing to what is asked of its configuration."""
    body = "".join(f"{line}\r\n" for line in lines).encode()
    return b"$%d\r\n%s\r\n*0\r\n*0\r\n" % (len(body), body)


async def test_what_is_no_redis() -> None:
    """A server that speaks something else is said to be none; so is one that is too old, or not ready."""
    async with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as address:
        assert "does not speak the protocol" in await refusal(f"redis://{address}")
        assert "does not speak TLS" in await refusal(f"rediss://{address}")
    async with answering(told("redis_version:5.0.14", "role:master")) as address:
        assert "The server is Redis 5.0.14" in await refusal(f"redis://{address}")
    async with answering(told("redis_version:7.0.0", "loading:1")) as address:
        assert "is loading its data" in await refusal(f"redis://{address}")
    async with answering(b"-LOADING for a while\r\n") as address:
        assert "is loading its data" in await refusal(f"redis+sentinel://{address}/laurels")
    assert "its name is not known" in await refusal("redis://nowhere.invalid")


async def test_a_server_that_is_busy_at_first() -> None:
    """It is not used before it has said what it is."""
    async with answering(b"-BUSY for a while\r\n" * 3) as address:
        assert "keeps Redis busy" in await refusal(f"redis://{address}")


async def test_a_busy_server(redis_server: Node) -> None:
    """While a script of somebody else keeps it busy, nothing is done, and it is said."""
    store = await open_store(redis_server.url, settings=WHOLE)
    await store.standing(KART, "v")
    with closing(redis_server.client()) as client, closing(redis_server.client()) as killer, socket.socket() as busy:
        client.config_set("lua-time-limit", 1)
        busy.connect(("127.0.0.1", redis_server.port))
        busy.sendall(b"*3\r\n$4\r\nEVAL\r\n$18\r\nwhile true do end \r\n$1\r\n0\r\n")
        until(lambda: is_busy(killer))
        with pytest.raises(StoreUnavailable, match="keeps Redis busy"):
            await store.standing(KART, "v")
        killer.script_kill()
        until(lambda: not is_busy(killer))
        client.config_set("lua-time-limit", 5000)
    await store.close()


def is_busy(client: Redis) -> bool:
    """Return whether a script keeps a server busy."""
    try:
        client.ping()
    except ResponseError:
        return True
    return False


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("LOADING Redis is loading the dataset in memory", StoreUnavailable, "loading its data"),
        ("MISCONF Redis is configured to save RDB snapshots", StoreUnavailable, "cannot write to its disk"),
        ("CROSSSLOT Keys in request don't hash to the same slot", ServerUnusable, "a node of a cluster"),
        ("MOVED 1 10.0.0.1:6379", ServerUnusable, "a node of a cluster"),
        ("ERR Error running script (call to f_1): @user_script:5: -OOM command not allowed", ServerFull, "no memory"),
        ("ERR Error running script: The user executing the script can't run this command", ServerUnusable, "permit"),
        ("ERR something else at 10.0.0.1", StoreRefused, "as the log of the service says"),
    ],
)
def test_errors(text: str, kind: type[StoreError], says: str) -> None:
    """What a server says is translated, and no address or key of it is passed on."""
    error = translate(text)
    assert type(error) is kind
    assert says in str(error)
    assert "10.0.0.1" not in str(error)


@pytest.mark.parametrize("redis_server", PROGRAMS, indirect=True)
async def test_a_full_server(redis_server: Node) -> None:
    """Whatever its version, a server that is full refuses a change, and goes on with reads."""
    store = await open_store(redis_server.url)
    with closing(redis_server.client()) as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(ServerFull):
            await store.submit(KART, Submission("v", 1))
        assert await store.standing(KART, "v") is None
        client.config_set("maxmemory", 0)
    await store.close()


@pytest.mark.parametrize(
    ("appendonly", "fsync", "says"),
    [("no", "everysec", "in memory alone"), ("yes", "no", "half a minute"), ("yes", "everysec", "up to a second")],
)
async def test_what_may_be_lost(redis_server: Node, appendonly: str, fsync: str, says: str) -> None:
    """What a server keeps on its disk is said."""
    with closing(redis_server.client()) as client:
        client.config_set("appendonly", appendonly)
        client.config_set("appendfsync", fsync)
        store = await open_store(redis_server.url.replace("/0", "/1"))
        assert [says in warning for warning in store.warnings()] == [True]
        assert not store.capabilities.durable
        await store.close()
        client.config_set("appendonly", "yes")
        client.config_set("appendfsync", "everysec")


async def test_a_server_that_becomes_a_replica(redis_server: Node) -> None:
    """It takes no change from then on, and that is said, until it is a primary again."""
    store = await open_store(redis_server.url)
    with closing(redis_server.client()) as client:
        client.replicaof("127.0.0.1", 1)
        with pytest.raises(StoreUnavailable):
            await store.submit(KART, Submission("v", 1))
        client.replicaof("NO", "ONE")
    await until_ready(store)
    await store.submit(KART, Submission("v", 1))
    await store.close()


async def test_sentinels_that_do_not_agree(redis_sentinels: Sentinels, monkeypatch: pytest.MonkeyPatch) -> None:
    """What most of them name is believed; once they name another server, the connection to the first is given up."""
    monkeypatch.setattr(single, "WATCH_SECONDS", 0.01)
    primary = redis_sentinels.primary
    replica = next(node for node in redis_sentinels.nodes if node is not primary)
    async with answering(named(primary)) as one, answering(named(replica)) as other:
        assert "do not agree" in await refusal(f"redis+sentinel://{one},{other}/laurels")
        assert "no primary at the moment" in await refusal(f"redis+sentinel://{other}/laurels")
    async with answering(named(primary), named(replica)) as turning:
        store = await open_store(f"redis+sentinel://{turning}/laurels")
        while "no primary" not in (await refused_as(store)):  # noqa: ASYNC110 - there is nothing to wait on
            await asyncio.sleep(0.01)
        await store.close()


async def test_a_cluster_with_holes(tmp_path: Path) -> None:
    """A board whose slot nobody has is refused, and so is a cluster that has no slots at all."""
    with running(tmp_path / "node", cluster_enabled="yes", cluster_port=str(free_port())) as node:
        url = f"redis+cluster://{node.address}"
        assert "No node of the cluster answers that has slots" in await refusal(url)
        with closing(node.client()) as client:
            client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 100)
            client.config_set("cluster-require-full-coverage", "no")
        store = await open_store(url)
        with pytest.raises(StoreUnavailable, match="has these keys"):
            await store.standing(KART, "v")
        await store.close()


def take_all_slots(client: Redis) -> None:
    """Make a node a cluster of its own."""
    client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
    until(lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")


async def test_a_node_that_is_taken_out(tmp_path: Path) -> None:
    """A node that was taken out of the cluster, or is cut off, says that it is down: who has its slots is asked."""
    with ExitStack() as stack:
        options = {"cluster_enabled": "yes", "cluster_node_timeout": "500"}
        nodes = [
            stack.enter_context(running(tmp_path / name, cluster_port=str(free_port()), **options)) for name in "ab"
        ]
        old, new = (stack.enter_context(closing(node.client())) for node in nodes)
        take_all_slots(old)
        store = await open_store("redis+cluster://" + ",".join(node.address for node in nodes))
        await store.submit(KART, Submission("v", 1))
        old.flushall()
        old.execute_command("CLUSTER RESET SOFT")
        take_all_slots(new)
        await store.submit(KART, Submission("v", 1))
        assert new.zscore(key_of(KART.name), "v") == 1
        await store.close()


async def test_the_budget_of_a_cluster(redis_cluster: Cluster) -> None:
    """What waits for the map of slots is bounded, too, and is told if the store is closed."""
    servers = connect(redis_cluster.url, RedisSettings(waiting=1))
    first, second = (servers.ask("", "PING") for _ in range(2))
    with pytest.raises(StoreUnavailable, match="1 calls wait"):
        await second
    await servers.close()
    with pytest.raises(StoreUnavailable, match="is closed"):
        await first


# Calls


async def test_calls(redis_server: Node) -> None:
    """A call may be waited for as any future is, or given up; a waiter that raises harms no other."""
    servers = connect(redis_server.url)
    problems: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    left, waited, raising = (servers.ask("", "PING") for _ in range(3))
    assert left.cancel()
    assert not left.cancel()
    raising.add_done_callback(lambda _: int("none"))
    done, _ = await asyncio.wait([waited, raising])
    assert [each.result() for each in done] == [b"PONG"] * 2
    assert [context["message"] for context in problems] == ["A waiter for Redis raised"]
    await servers.close()


async def test_many_calls_and_large_ones(redis_server: Node) -> None:
    """More calls than may be under way at once, and more bytes than a socket takes, go one after the other."""
    servers = connect(redis_server.url)
    assert await asyncio.gather(*(servers.ask("", "PING") for _ in range(3000))) == [b"PONG"] * 3000
    redis_server.stall()
    large = [servers.ask("k", "SET", "laurels:{k}:large", "x" * 20_000_000)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    large.append(servers.ask("k", "SET", "laurels:{k}:large", "x"))
    await asyncio.sleep(0)
    redis_server.resume()
    assert await asyncio.gather(*large) == [b"OK"] * 2
    servers.ask("", "PING")
    await servers.reconnect()  # not while something waits
    await servers.close()


async def test_connections_are_made_anew(redis_server: Node) -> None:
    """A process that slept gives up its connections, and makes new ones for what it asks next."""
    store = await open_store(redis_server.url)
    for _ in range(2):
        await store.reconnect()
    assert store.measure()["redis_connections"] == 0
    assert await store.standing(KART, "v") is None
    redis_server.kill()
    while not await refused_as(store):  # noqa: ASYNC110 - there is nothing to wait on
        await asyncio.sleep(0.01)
    redis_server.start()
    await store.reconnect()
    assert await store.standing(KART, "v") is None
    await store.close()


async def test_a_server_that_comes_back_empty(redis_server: Node) -> None:
    """A board that was listed there is listed anew."""
    store = await open_store(redis_server.url)
    await store.submit(KART, Submission("v", 1))
    with closing(redis_server.client()) as client:
        client.flushall()
        client.client_kill_filter(_type="normal", skipme=True)
    with suppress(AnswerLost):  # unless it is known already that the connection is gone
        await store.submit(KART, Submission("v", 1))
    await store.submit(KART, Submission("v", 1))
    assert await store.names() == [KART.name]
    await store.close()


async def test_reads_are_never_uncertain(redis_server: Node) -> None:
    """A read that was under way when a server was killed is made again, or refused; it changes nothing."""
    store = await open_store(redis_server.url)
    redis_server.stall()
    reads = [asyncio.ensure_future(store.standing(KART, "v")) for _ in range(10)]
    await asyncio.sleep(0)
    redis_server.kill()
    answers = await asyncio.gather(*reads, return_exceptions=True)
    assert {type(answer) for answer in answers} <= {StoreUnavailable, type(None)}
    redis_server.start()
    await until_ready(store)
    await store.close()


async def test_the_wrong_scheme(redis_server: Node, redis_cluster: Cluster) -> None:
    """What is a cluster, and what is none, is said; so is what is no Sentinel."""
    assert "name it as redis+cluster://" in await refusal(redis_cluster.nodes[0].url)
    assert "name it as redis://" in await refusal(f"redis+cluster://{redis_server.address}")
    assert "This is no Sentinel" in await refusal(f"redis+sentinel://{redis_server.address}/laurels")


async def test_a_replica(redis_sentinels: Sentinels) -> None:
    """A replica takes no boards; Sentinels that do not know the service, or do not answer, say so."""
    replica = next(node for node in redis_sentinels.nodes if node is not redis_sentinels.primary)
    assert "a replica of Redis" in await refusal(replica.url)
    assert "watches no service" in await refusal(redis_sentinels.url.replace("laurels", "others"))
    assert "Redis cannot be reached" in await refusal("redis+sentinel://127.0.0.1:1/laurels")


# Faults under load


async def load(store: RedisStore, count: int, disturb: Callable[[], None], *, keyed: bool = False) -> tuple[int, int]:
    """Add 1 ``count`` times, in 16 tasks, and disturb the servers after a third; return acknowledged and uncertain."""
    counts = {"acknowledged": 0, "uncertain": 0}
    numbers = iter(range(count))

    async def add() -> None:
        for number in numbers:
            key = IdempotencyKey(number.to_bytes(16, "big"), bytes(16)) if keyed else None
            if number == count // 3:
                await asyncio.to_thread(disturb)
            for _ in range(10_000 if keyed else 1):
                try:
                    await store.submit(SUMS, Submission("v", 1), key)
                    counts["acknowledged"] += 1
                    break
                except AnswerLost:
                    counts["uncertain"] += 1
                except StoreError:
                    pass
                await asyncio.sleep(0.005)

    await asyncio.gather(*(add() for _ in range(16)))
    return counts["acknowledged"], counts["uncertain"]


async def total(store: RedisStore) -> float:
    """Return the sum."""
    while True:
        try:
            await store.ready()
            return ((await store.standing(SUMS, "v")) or Standing(0, 0)).score
        except StoreUnavailable:
            await asyncio.sleep(0.01)


def restart(node: Node) -> None:
    """Kill a server, and start it again."""
    node.kill()
    node.start()


@pytest.mark.parametrize("keyed", [False, True], ids=["plain", "keyed"])
async def test_kills(redis_server: Node, keyed: bool) -> None:  # noqa: FBT001
    """A server is killed under load: what was acknowledged is there, and nothing counts twice."""
    with closing(redis_server.client()) as client:
        client.config_set("appendfsync", "always")
    store = await open_sums(redis_server.url, timeout=2)
    acknowledged, uncertain = await load(store, 2000, lambda: restart(redis_server), keyed=keyed)
    found = await total(store)
    assert acknowledged <= found <= acknowledged + (0 if keyed else uncertain)
    assert not keyed or acknowledged == 2000
    await store.close()


async def test_failover_under_sentinel(redis_sentinels: Sentinels) -> None:
    """A primary is killed under load: its replica takes over, and nothing counts twice."""
    store = await open_sums(redis_sentinels.url, timeout=2, wait=1)
    primary = redis_sentinels.primary
    acknowledged, uncertain = await load(store, 3000, primary.kill)
    found = await total(store)
    assert found <= acknowledged + uncertain
    assert found >= acknowledged - 1
    await store.close()


async def test_failover_in_a_cluster(redis_cluster: Cluster) -> None:
    """A primary of a cluster is killed: boards elsewhere go on, its own come back, and nothing counts twice."""
    store = await open_sums(redis_cluster.url, timeout=2, wait=1)
    primary = redis_cluster.primary_of(slot_of(key_of(SUMS.name)))
    acknowledged, uncertain = await load(store, 3000, primary.kill)
    found = await total(store)
    assert found <= acknowledged + uncertain
    assert found >= acknowledged - 1
    await store.close()


MOVING = [SUMS, Board("whole", Definition(operator="increment", partitions=2, ranking="competition"))]


@pytest.mark.parametrize("board", MOVING, ids=lambda board: board.name)
async def test_slots_that_move(redis_cluster: Cluster, board: Board) -> None:
    """While the keys of a board move one by one, nothing is done that does not see them all; then calls follow them."""
    store = await open_store(redis_cluster.url, settings=RedisSettings(timeout=2))
    assert "--redis-wait 1" in store.warnings()[-1]
    await store.define(board.name, board.definition)
    key = key_of(partition(board, partition_of("v", 2)).name if board.definition.partitions > 1 else board.name)
    slot = slot_of(key)
    source = redis_cluster.primary_of(slot)
    await store.submit(board, Submission("v", 1))
    await store.hide(board, "w")
    target = next(
        node for node in redis_cluster.nodes if node is not source and node.info("replication")["role"] == "master"
    )
    found = 1
    with closing(source.client()) as old, closing(target.client()) as new:
        there, here = new.execute_command("CLUSTER MYID").decode(), old.execute_command("CLUSTER MYID").decode()
        new.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", here)
        old.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", there)
        for each in old.execute_command("CLUSTER GETKEYSINSLOT", slot, 100):
            old.execute_command("MIGRATE", "127.0.0.1", target.port, each, 0, 5000)
            acts = [store.submit(board, Submission("v", 1)), store.standing(board, "v"), store.names()]
            answers = await asyncio.gather(*acts, return_exceptions=True)
            found += answers[0] is None
            for answer, right in zip(answers, (None, Standing(found, 0), [board.name]), strict=True):
                assert answer == right or "is moving these keys. Nothing was counted" in str(answer)
        for client in (new, old):
            client.execute_command("CLUSTER SETSLOT", slot, "NODE", there)
    await store.submit(board, Submission("v", 1))
    assert await store.standing(board, "v") == Standing(found + 1, 0)
    assert [each.name for each in await store.hidden(board)] == ["w"]
    await store.close()


async def test_too_few_replicas(redis_server: Node) -> None:
    """A change that too few replicas have is not acknowledged, and may be there; reads do not wait."""
    store = await open_store(redis_server.url, settings=RedisSettings(wait=1, timeout=0.4))
    with pytest.raises(AnswerLost, match="0 of 1 replicas"):
        await store.submit(KART, Submission("v", 1))
    assert await store.standing(KART, "v") is None  # the list of boards was changed first
    await store.close()


async def test_replicas_on_disk(tmp_path: Path) -> None:
    """Where the server can say so, changes wait until replicas have them on disk."""
    users = ("default on nopass ~* &* +@all", "mute on nopass ~* &* +@all -waitaof")
    options = {"appendonly": "yes", "appendfsync": "always"}
    with running(tmp_path / "node", "valkey", users=users, **options) as node:
        for user, says in (("default", "0 of 1 replicas had it on disk"), ("mute", "did not say how many")):
            url = node.url.replace("//", f"//{user}:x@")
            store = await open_store(url, settings=RedisSettings(wait=1, timeout=0.4))
            with pytest.raises(AnswerLost, match=says):
                await store.submit(KART, Submission("v", 1))
            await store.close()


class Proxy:
    """Passes on what comes to a server, until it stalls: then both sides hear nothing more of each other."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.open = asyncio.Event()
        self.open.set()
        self.tasks: list[asyncio.Task[Any]] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def listen(self) -> asyncio.Server:
        """Take connections."""
        return await asyncio.start_server(self._connect, "127.0.0.1", 0)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers += [writer, to_server]
        for each in (self._pass_on(reader, to_server), self._pass_on(from_server, writer)):
            self.tasks.append(asyncio.ensure_future(each))

    async def close(self) -> None:
        """Break off all connections."""
        for writer in self.writers:
            writer.close()
        await asyncio.gather(*self.tasks)
        await asyncio.gather(*(writer.wait_closed() for writer in self.writers), return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self.open.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


async def test_a_partition(redis_server: Node) -> None:
    """While nothing comes through, changes may have counted and all else is refused fast; it goes on by itself."""
    proxy = Proxy(redis_server.port)
    async with await proxy.listen() as server:
        port = server.sockets[0].getsockname()[1]
        store = await open_sums(f"redis://127.0.0.1:{port}/0", timeout=0.4)
        await store.submit(SUMS, Submission("v", 1))
        proxy.open.clear()
        with pytest.raises(AnswerLost):
            await store.submit(SUMS, Submission("v", 1))
        with pytest.raises(StoreUnavailable):
            await store.standing(SUMS, "v")
        assert store.measure()["redis_connections"] == 0
        said = ""
        while "it does not answer" not in said:  # once that is known, all is refused at once
            said = await refused_as(store)
        assert any("cannot be reached" in warning for warning in store.warnings())
        proxy.open.set()
        assert await total(store) in {1, 2}
        await store.close()
        await proxy.close()
