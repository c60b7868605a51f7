"""The Momento store: the contract, and what it makes of Momento's errors, against the local server."""

# ruff: noqa: SLF001 - Momento's messages begin with an underscore

from __future__ import annotations

import asyncio
import time
import traceback
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from momento import CacheClientAsync, Configurations
from momento.errors import SdkException, exceptions
from momento_wire_types import cacheclient_pb2 as wire
from momento_wire_types import common_pb2

from laurels.definition import Bounds, Definition
from laurels.errors import (
    AnswerLost,
    CacheMissing,
    KeyRefused,
    LimitReached,
    NotKept,
    StoreRefused,
    StoreUnavailable,
    SumUncertain,
)
from laurels.momento_local.keys import Keys as LocalKeys
from laurels.momento_local.server import MomentoServer
from laurels.stores.contract import Board, IdempotencyKey, Ranked, Standing, Store, Submission
from laurels.stores.momento import connection
from laurels.stores.momento.connection import TTL, FixedKey, read_credentials
from laurels.stores.momento.errors import ERRORS
from laurels.stores.momento.store import MomentoStore
from tests.stores.conformance import CALLS, Conformance
from tests.stores.guarantees import KART, Kept

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.momento import Momento

pytestmark = pytest.mark.anyio

SUMS = Board("sums", Definition(operator="increment"))

WIRE = {
    "submit": "SortedSetPut",
    "add": "SortedSetIncrement",
    "batch": "SortedSetPut",
    "standing": "SortedSetGetScore",
    "page": "SortedSetFetch",
    "page_json": "SortedSetFetch",
    "count": "SortedSetLength",
    "remove": "SortedSetRemove",
    "drop": "Delete",
    "ready": "SortedSetRemove",
}
"""The call on the wire that each method cannot do without. The other methods are refused."""
ASKING = {name: call for name, call in CALLS.items() if name in WIRE} | {
    "add": lambda store: store.submit(SUMS, Submission("v", 1))
}

CONFIGURATION = Configurations.Lambda.latest()
IMPATIENT = CONFIGURATION.with_client_timeout(timedelta(milliseconds=100))


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Keep one loop for all tests here: what gRPC still has for one that is closed fails in the next."""
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
async def one_loop(anyio_backend: str) -> None:  # noqa: ARG001 - it comes first
    """Hold the loop."""
    return


class TestMomento(Conformance):
    """The Momento store keeps the contract, as far as its capabilities say."""

    @pytest.fixture
    def cache(self, momento: Momento) -> str:
        """Return the name of a new cache."""
        return momento.new_cache()

    @pytest.fixture
    async def store(self, momento: Momento, cache: str) -> AsyncIterator[Store]:
        """Open a store over a new cache."""
        store = MomentoStore(cache, FixedKey(""), f"http://{momento.host}:{momento.port}")
        yield store
        await store.close()

    @pytest.fixture
    def kept(self, momento: Momento, cache: str) -> Kept:
        """Ask for the whole set on the wire, past the SDK."""
        everything = wire._SortedSetFetchRequest._ByIndex(
            unbounded_start=common_pb2._Unbounded(), unbounded_end=common_pb2._Unbounded()
        )

        async def read(board: Board) -> dict[str, float]:
            request = wire._SortedSetFetchRequest(set_name=board.key.encode(), by_index=everything, with_scores=True)
            answer = await asyncio.to_thread(momento.items.SortedSetFetch, request, metadata=[("cache", cache)])
            return {one.value.decode(): one.score for one in answer.found.values_with_scores.elements}

        return read


class Turning:
    """Keys of which the next is given when one was refused, and the last for good."""

    def __init__(self, *keys: str) -> None:
        self.keys = list(keys)
        self.refusals: list[str] = []

    async def current(self) -> str:
        """Return the first that is left."""
        return self.keys[0]

    async def refused(self, key: str) -> str:
        """Take the key away, unless it is the last."""
        self.refusals.append(key)
        if len(self.keys) > 1:
            self.keys.remove(key)
        return self.keys[0]


@dataclass
class Local:
    """A local Momento server in this process, with one cache, ``boards``, and with a clock to be set."""

    now: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self.keys = LocalKeys(b"secret" * 6, lambda: self.now)
        self.server = MomentoServer(self.keys, clock=lambda: self.now)
        self.server.caches.create("boards")
        self.endpoint = f"http://127.0.0.1:{self.server.listen('127.0.0.1', 0)}"

    @asynccontextmanager
    async def store(self, keys: Turning | None = None, **options: Any) -> AsyncIterator[MomentoStore]:
        """Open a store over the cache."""
        store = MomentoStore("boards", keys or Turning(self.key()), self.endpoint, **options)
        yield store
        await store.close()

    def key(self, role: str = "owner") -> str:
        """Make a v2 key of a role: ``owner``, or ``viewer`` which may only read."""
        return self.keys.issue(role, "a test's", None)[0]

    def fail(self, fault: str) -> None:
        """Plan a fault for calls to come."""
        self.server.faults.plan(fault)

    async def struck(self) -> None:
        """Wait until all planned faults have hit a call."""
        async with asyncio.timeout(10):
            while self.server.faults:  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.001)


@pytest.fixture
async def local() -> AsyncIterator[Local]:
    """Start a server whose clock, faults and keys the test controls."""
    local = Local()
    await local.server.start()
    yield local
    await local.server.stop(0)


COUNTED = {
    "RESOURCE_EXHAUSTED": "limit",
    "DEADLINE_EXCEEDED": "timeout",
    "UNAUTHENTICATED": "key_refused",
    "PERMISSION_DENIED": "key_refused",
    "NOT_FOUND": "cache_missing",
    "INVALID_ARGUMENT": "refused",
    "FAILED_PRECONDITION": "refused",
    "OUT_OF_RANGE": "refused",
}
"""How the metrics count what Momento answers; all else is an answer that is lost."""


@pytest.mark.parametrize("name", ASKING)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("RESOURCE_EXHAUSTED", LimitReached),
        ("UNAVAILABLE", AnswerLost),
        ("DEADLINE_EXCEEDED", AnswerLost),
        ("CANCELLED", AnswerLost),
        ("UNKNOWN", AnswerLost),
        ("INTERNAL", AnswerLost),
        ("UNAUTHENTICATED", KeyRefused),
        ("PERMISSION_DENIED", KeyRefused),
        ("NOT_FOUND", CacheMissing),
        ("INVALID_ARGUMENT", StoreRefused),
        ("FAILED_PRECONDITION", StoreRefused),
        ("OUT_OF_RANGE", StoreRefused),
    ],
)
async def test_errors_are_ours(local: Local, name: str, status: str, kind: type[Exception]) -> None:
    """Whatever Momento answers to whatever call, what is raised is the error of ours for it."""
    kind = SumUncertain if (name, kind) == ("add", AnswerLost) else kind
    async with local.store() as store:
        await store.submit(KART, Submission("v", 1))
        local.fail(f"{WIRE[name]}:{status}")
        with pytest.raises(kind) as caught:
            await ASKING[name](store)
        counted: Any = store.measure()["momento_errors"]
    assert type(caught.value) is kind
    assert {word for word, count in counted.items() if count} == {COUNTED.get(status, "answer_lost")}


@pytest.mark.parametrize("name", ASKING)
async def test_missing_cache(local: Local, name: str) -> None:
    """A cache that is not there is named, with the command that makes it."""
    local.server.caches.delete("boards")
    async with local.store() as store:
        with pytest.raises(
            CacheMissing, match="no Momento cache 'boards': create it with `laurels momento create-cache b"
        ):
            await ASKING[name](store)


def test_missing_cache_of_an_odd_name() -> None:
    """The command that makes a cache can be copied, whatever the name."""
    assert "`laurels momento create-cache 'my boards'`" in str(CacheMissing("my boards"))


@pytest.mark.parametrize("name", ASKING)
async def test_dead_server(local: Local, name: str) -> None:
    """A missing server is an outage that leaves open what was counted, and its address is not in the error."""
    await local.server.stop(0)
    async with local.store() as store:
        with pytest.raises(StoreUnavailable, match=r"^Momento cannot be reached\. What was asked may") as caught:
            await ASKING[name](store)
    assert "127.0.0.1" not in str(caught.value)


@pytest.mark.parametrize("name", ASKING)
async def test_slow_server(local: Local, name: str) -> None:
    """A server that does not answer within the SDK's time may yet count what it was sent, and that is said."""
    async with local.store(configuration=IMPATIENT) as store:
        await store.ready()
        local.fail(f"{WIRE[name]}:delay=5s")
        with pytest.raises(AnswerLost, match=r"not answer in time\. What was asked may have been done all the same"):
            await ASKING[name](store)


async def test_outage_ends(local: Local) -> None:
    """The SDK's own retries bridge a short outage."""
    local.fail("SortedSetPut:UNAVAILABLE:3")
    async with local.store() as store:
        await store.submit(KART, Submission("v", 1))
        assert await store.standing(KART, "v") == Standing(1, 0)


async def test_long_outage_ends(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an outage the next operation connects anew, and does not wait for gRPC to try again."""
    monkeypatch.setattr(connection, "FRESH_SECONDS", 0)
    async with local.store() as store:
        await local.server.stop(0)
        for _ in range(3):
            tried = store._connection.clients[-1:]
            with pytest.raises(StoreUnavailable):
                await store.submit(KART, Submission("v", 1))
            assert store._connection.clients[-1:] != tried
        assert len(store._connection.clients) == 1


async def test_young_client_is_kept(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a server cannot be reached not every operation makes a new connection."""
    monkeypatch.setattr(connection, "FRESH_SECONDS", 3600)
    async with local.store() as store:
        await local.server.stop(0)
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await store.submit(KART, Submission("v", 1))
            assert len(store._connection.clients) == 1
        assert not store._connection.clients[0].is_broken


class Network:
    """A network between a store and a server: it can lose the open connections without a word to either end."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._carried: set[asyncio.StreamReader] = set()

    def lose(self) -> None:
        """Carry nothing any more but what is connected from now on."""
        self._carried.clear()

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry a new connection."""
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._carried |= {reader, there}
        await asyncio.gather(self._carry(reader, back), self._carry(there, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while some := await reader.read(2**16):
            if reader in self._carried:
                writer.write(some)
        writer.close()


@asynccontextmanager
async def between(local: Local) -> AsyncIterator[Network]:
    """Put a network before the server."""
    network = Network(int(local.endpoint.rpartition(":")[2]))
    async with await asyncio.start_server(network.connect, "127.0.0.1", 0) as listening:
        local.endpoint = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield network


async def test_lost_connection(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a connection that was lost silently one operation times out; the next has a new one."""
    monkeypatch.setattr(connection, "FRESH_SECONDS", 0)
    async with between(local) as network, local.store() as store:
        await store.submit(KART, Submission("v", 1))
        network.lose()
        async with store._connection.clients[-1]:  # as an act does that still waits on it
            with pytest.raises(StoreUnavailable, match="did not answer in time"):
                await store.standing(KART, "v")
            assert await store.standing(KART, "v") == Standing(1, 0)


async def test_long_pause(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a pause so long that the connection may be lost, the first operation already has a new one."""
    async with between(local) as network, local.store() as store:
        await store.submit(KART, Submission("v", 1))
        network.lose()
        monkeypatch.setattr(connection, "IDLE_SECONDS", 0)
        assert await store.standing(KART, "v") == Standing(1, 0)
        assert len(store._connection.clients) == 1


def test_every_error_has_its_translation() -> None:
    """Every error of the SDK has a translation."""
    assert set(ERRORS) == set(SdkException.__subclasses__())


async def test_limit_says_which(local: Local) -> None:
    """A limit is reported in Momento's words, with the time to try again."""
    local.fail("SortedSetPut:RESOURCE_EXHAUSTED")
    async with local.store() as store:
        with pytest.raises(LimitReached, match="Momento: Limit exceeded for this account") as caught:
            await store.submit(KART, Submission("v", 1))
    assert caught.value.retry_after == 1


async def test_item_of_another_kind(local: Local) -> None:
    """A key of the cache that something else has taken is refused in Momento's words."""
    login = read_credentials(local.key(), local.endpoint)
    async with local.store() as store, CacheClientAsync(CONFIGURATION, login, TTL) as client:
        await client.set("boards", KART.name, "no set")
        with pytest.raises(StoreRefused, match=r"The store refused: .*scalar"):
            await store.submit(KART, Submission("v", 1))


async def test_name_that_is_no_text(local: Local) -> None:
    """A name from another program that is not UTF-8 does not fail the page."""
    login = read_credentials(local.key(), local.endpoint)
    async with local.store() as store, CacheClientAsync(CONFIGURATION, login, TTL) as client:
        await client.sorted_set_put_element("boards", KART.name, b"\xff", 1.0)
        assert await store.page(KART, 0, 9) == [Ranked("\ufffd", 1, 0)]


async def test_refused_key_is_replaced(local: Local, caplog: pytest.LogCaptureFixture) -> None:
    """If there is another key when one is refused, the operation is done with that."""
    stale, info = local.keys.issue("owner", "old", None)
    local.keys.revoke(info.key_id)
    async with local.store(Turning(stale, local.key())) as store:
        await store.submit(KART, Submission("v", 1))
        assert await store.standing(KART, "v") == Standing(1, 0)
    assert [record.message for record in caplog.records if record.name == "laurels.stores"] == [
        "The Momento key is refused: it is wrong, has expired or was revoked. Nothing was counted: try again."
    ]


async def test_refused_key_that_is_the_only_one(local: Local, caplog: pytest.LogCaptureFixture) -> None:
    """A refused key is not sent again if there is no other."""
    async with local.store(Turning(local.key("viewer"))) as store:
        with pytest.raises(KeyRefused):
            await store.submit(KART, Submission("v", 1))
    assert caplog.text.count("The Momento key is refused") == 1


async def test_standing_without_its_rank(local: Local) -> None:
    """If only the rank fails, that is an error, not a missing name."""
    async with local.store() as store:
        await store.submit(KART, Submission("v", 1))
        local.fail("SortedSetGetRank:RESOURCE_EXHAUSTED")
        with pytest.raises(LimitReached):
            await store.standing(KART, "v")


async def test_refused_keys(local: Local, caplog: pytest.LogCaptureFixture) -> None:
    """If the next key is refused too, the operation fails, and every refusal is in the log."""
    keys = Turning(local.key("viewer"), local.key("viewer"), local.key())
    async with local.store(keys) as store:
        with pytest.raises(KeyRefused, match="it has no right to do this"):
            await store.submit(KART, Submission("v", 1))
    assert (len(keys.refusals), caplog.text.count("The Momento key is refused")) == (1, 2)


async def test_unreadable_key(local: Local, caplog: pytest.LogCaptureFixture) -> None:
    """A key that cannot be read is in the log as one that Momento refuses, and another is asked for."""
    async with local.store(Turning("nonsense", local.key())) as store:
        await store.submit(KART, Submission("v", 1))
    assert "The Momento key is refused: it cannot be read" in caplog.text


async def test_read_only_key_is_not_ready(local: Local) -> None:
    """A store that may only read is not ready, and serves what may be read."""
    async with local.store(Turning(local.key("viewer"))) as store:
        assert await store.page(KART, 0, 9) == []
        with pytest.raises(KeyRefused):
            await store.ready()


async def test_ready_changes_nothing(local: Local) -> None:
    """The readiness check makes no item."""
    async with local.store() as store:
        await store.ready()
    assert len(local.server.caches["boards"]) == 0


async def test_keys_stay_secret(local: Local, caplog: pytest.LogCaptureFixture) -> None:
    """No log at any level, error or repr has the key."""
    caplog.set_level(1)
    key = local.key("viewer")
    async with local.store(Turning(key)) as store:
        with pytest.raises(KeyRefused) as caught:
            await store.submit(KART, Submission("v", 1))
    shown_text = (
        "".join(traceback.format_exception(caught.value)) + caplog.text + repr(store) + repr(caught.value.__cause__)
    )
    assert not [part for part in key.split(".") if part in shown_text]


async def test_new_key_takes_over(local: Local) -> None:
    """A new key is used from the next operation on, and those under way with the old one succeed."""
    keys = Turning(local.key())
    async with local.store(keys) as store:
        await store.submit(KART, Submission("v", 1))
        local.fail("SortedSetFetch:delay=300ms:1")
        slow = asyncio.create_task(store.page(KART, 0, 9))
        await local.struck()
        keys.keys = [local.key()]
        assert await store.standing(KART, "v") == Standing(1, 0)
        assert not slow.done()
        assert await slow == [Ranked("v", 1, 0)]


async def test_old_clients_are_closed(local: Local) -> None:
    """However often the key changes, one client is left."""
    keys = Turning(local.key())
    async with local.store(keys) as store:
        for _ in range(5):
            keys.keys = [local.key()]
            await asyncio.gather(*(store.submit(KART, Submission(f"v{n}", n)) for n in range(10)))
        await store.ready()
        assert len(store._connection.clients) == 1


async def test_close_waits_for_acts(local: Local) -> None:
    """An operation under way succeeds before a store is closed."""
    async with local.store() as store:
        await store.submit(KART, Submission("v", 1))
        local.fail("SortedSetFetch:delay=200ms:1")
        slow = asyncio.create_task(store.page(KART, 0, 9))
        await local.struck()
    assert slow.done()
    assert await slow == [Ranked("v", 1, 0)]


@pytest.mark.parametrize(("days", "names"), [(6.9, ["w", "v"]), (7.1, [])], ids=["within", "after"])
async def test_board_goes_after_its_last_submit(local: Local, days: float, names: list[str]) -> None:
    """A board stays 7 days from its last submit, whatever is read meanwhile."""
    async with local.store() as store:
        await store.submit(KART, Submission("v", 1))
        local.now += timedelta(days=6).total_seconds()
        await store.submit(KART, Submission("w", 2))
        local.now += timedelta(days=days).total_seconds()
        assert [entry.name for entry in await store.page(KART, 0, 9)] == names


async def test_ttl_is_a_setting(local: Local) -> None:
    """The time to live of boards is a setting of the store."""
    async with local.store(ttl=timedelta(minutes=1)) as store:
        await store.submit(KART, Submission("v", 1))
        local.now += 61
        assert await store.page(KART, 0, 9) == []


@pytest.mark.parametrize(("ttl", "kept"), [("30d", 29), ("90s", 0), (None, 6)], ids=str)
async def test_ttl_of_a_definition(local: Local, ttl: str | None, kept: int) -> None:
    """A board stays as long after its last submit as its definition says, whatever the store's own setting."""
    async with local.store() as store:
        for operator in ("latest", "increment"):
            board = Board(operator, Definition(operator=operator, ttl=ttl))
            await store.submit(board, Submission("v", 1))
            local.now += 60
            await store.submit(board, Submission("v", 2))
            local.now += 60 + kept * 86_400
            assert await store.count(board) == 1
            local.now += 86_400
            assert await store.count(board) == 0


async def test_additions_lose_nothing(local: Local) -> None:
    """32 writers at once, over two stores, add up to what they all added."""
    async with local.store() as one, local.store() as other:
        stores = [one, other] * 16
        for _ in range(10):
            await asyncio.gather(*(store.submit(SUMS, Submission("v", number)) for number, store in enumerate(stores)))
        assert await one.standing(SUMS, "v") == Standing(10 * sum(range(32)), 0)


async def test_additions_are_sent_once(local: Local) -> None:
    """An addition whose answer was lost may have counted: it is not sent again, and the error says what to do."""
    async with local.store(configuration=IMPATIENT) as store:
        local.fail("SortedSetIncrement:UNAVAILABLE:1")
        with pytest.raises(SumUncertain, match="look at the standing before trying again") as caught:
            await store.submit(SUMS, Submission("v", 1))
        assert isinstance(caught.value.__cause__, exceptions.ServerUnavailableException)
        assert await store.standing(SUMS, "v") is None


async def test_sum_that_is_not_finite(local: Local) -> None:
    """A sum beyond all doubles is refused, and the score stays."""
    async with local.store() as store:
        await store.submit(SUMS, Submission("v", 1.7e308))
        with pytest.raises(StoreRefused, match="not finite"):
            await store.submit(SUMS, Submission("v", 1.7e308))
        assert await store.standing(SUMS, "v") == Standing(int(1.7e308), 0)


async def test_batch_of_additions(local: Local) -> None:
    """A batch of additions would be as many operations as it has entries, so it is refused as a whole."""
    async with local.store() as store:
        with pytest.raises(NotKept, match="a batch of scores to be added"):
            await store.submit(SUMS, [Submission("v", 1)])
        assert await store.count(SUMS) == 0


@pytest.mark.parametrize(
    ("submission", "once"),
    [(Submission("v", 1, b"{}"), None), (Submission("v", 1), IdempotencyKey(b"k" * 16, b"p" * 16))],
    ids=str,
)
async def test_what_comes_with_a_submission(local: Local, submission: Submission, once: IdempotencyKey | None) -> None:
    """Neither metadata nor a key can be kept, and no score is taken without them."""
    async with local.store() as store:
        for submitting in (
            store.submit(KART, [submission], once),
            store.submit(KART, submission, once),
            store.submit(KART, submission, once, want_changes=True),
            store.submit(KART, [Submission("v", 1)], want_changes=True),
        ):
            with pytest.raises(NotKept, match="cannot"):
                await submitting
        with pytest.raises(NotKept, match="give metadata"):
            await store.page(KART, 0, 9, with_metadata=True)
        assert await store.count(KART) == 0


UNKEPT = [
    Definition(operator="best"),
    Definition(ties="earliest"),
    Definition(ranking="dense"),
    Definition(windows=("daily",)),
    Definition(operator="increment", scores=Bounds(max=9)),
]


@pytest.mark.parametrize("definition", UNKEPT, ids=str)
@pytest.mark.parametrize("call", ["submit", "batch", "standing", "page", "count", "remove", "drop"])
async def test_boards_that_cannot_be_kept(local: Local, call: str, definition: Definition) -> None:
    """A board whose definition is more than Momento can keep is refused by every operation."""
    board = Board("kart", definition)
    calls: dict[str, Callable[[MomentoStore], Awaitable[object]]] = {
        "submit": lambda store: store.submit(board, Submission("v", 1)),
        "batch": lambda store: store.submit(board, [Submission("v", 1)]),
        "standing": lambda store: store.standing(board, "v"),
        "page": lambda store: store.page(board, 0, 9),
        "count": lambda store: store.count(board),
        "remove": lambda store: store.remove(board, "v"),
        "drop": lambda store: store.drop(board),
    }
    async with local.store() as store:
        with pytest.raises(NotKept):
            await calls[call](store)
