"""The rules of boards, over the embedded store, at chosen times and without HTTP."""

from __future__ import annotations

import asyncio
from datetime import datetime
from math import inf, nan
from typing import TYPE_CHECKING

import pytest

from laurels.boards import Boards
from laurels.definition import BoardsFile, Bounds, Definition
from laurels.entries import checked_name, checked_score
from laurels.errors import (
    BadBody,
    BadName,
    BadParameter,
    DefinitionConflict,
    KeyReused,
    NotDeclared,
    NotDefined,
    ScoreRefused,
)
from laurels.stores.contract import Board, Change, FullSubmission, Refusal, Standing, Submission
from laurels.stores.embedded.store import EmbeddedStore
from laurels.submissions import make_idempotency_key, make_submit_key
from laurels.turnstile import EVERY_BOARD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from laurels.boards import ListedPeriod
    from tests.clock import Clock

    Open = Callable[[BoardsFile], Awaitable[Boards]]

pytestmark = pytest.mark.anyio

WINDOWS = ("daily", "weekly", "monthly", "0 6 * * MON")
KART = Definition(windows=WINDOWS, time_zone="Europe/Berlin", keep={"daily": 2})
BOUNDED = Definition(scores=Bounds(0, 10, integer=True))
SUM = Definition(operator="increment", scores=Bounds(0, 10, integer=True))
NOON = datetime.fromisoformat("2026-03-28T12:00:00+01:00").timestamp()
HOUR, DAY = 60 * 60, 24 * 60 * 60


@pytest.fixture
def anyio_backend() -> str:
    """Run the coroutines of tests on asyncio."""
    return "asyncio"


@pytest.fixture
async def opened(tmp_path: Path, clock: Clock) -> AsyncIterator[Open]:
    """Open the boards of a file over a store of its own."""
    clock.now = NOON
    stores = []

    async def opened(file: BoardsFile) -> Boards:
        stores.append(await EmbeddedStore.open(tmp_path / "data", file.default, clock=clock))
        boards = Boards(stores[-1], file, clock=clock)
        await boards.declare()
        return boards

    yield opened
    for store in stores:
        await store.close()


@pytest.fixture
async def boards(opened: Open) -> Boards:
    """Open boards of which two are declared."""
    return await opened(BoardsFile(boards={"kart": KART, "bounded": BOUNDED}))


async def names(boards: Boards, window: str, period: str | None = None) -> list[str]:
    """Return the names on a period of the board with windows."""
    found = await boards.page(boards.period_of("kart", window, period), 0, 10)
    return [entry.name for entry in found.entries]


async def change(boards: Boards, board: str, submission: Submission, key: str | None = None) -> Change:
    """Submit a score, and return what it changed."""
    changed = await boards.submit(board, submission, key, want_change=True)
    assert changed is not None
    return changed


def daily(periods: list[ListedPeriod]) -> list[str]:
    """Return the days among periods."""
    return [period.period for period in periods if period.window == "daily"]


@pytest.mark.parametrize("score", [inf, -inf, nan])
def test_score_is_finite(score: float) -> None:
    """What is no number, or has no end, is no score."""
    with pytest.raises(ScoreRefused, match="not finite"):
        checked_score(score)


def test_name_is_unicode() -> None:
    """Half of a surrogate pair has no UTF-8."""
    with pytest.raises(BadName, match="surrogate pair"):
        checked_name("a\ud800")


async def test_submit_feeds_windows(boards: Boards) -> None:
    """One submit is on the board and in the current period of each of its windows."""
    await boards.submit("kart", Submission("v", 5))
    assert [await names(boards, window) for window in WINDOWS] == [["v"]] * 4
    assert await boards.standing(boards.board("kart"), "v") is not None


async def test_periods_begin_by_the_clock(boards: Boards, clock: Clock) -> None:
    """At midnight of the board's zone a day begins and the others go on; the day before is read by its name."""
    await boards.submit("kart", Submission("v", 5))
    clock.now = NOON + 12 * HOUR - 0.001
    assert await names(boards, "daily") == ["v"]
    clock.now = NOON + 12 * HOUR
    assert (await names(boards, "daily"), await names(boards, "weekly")) == ([], ["v"])
    await boards.submit("kart", Submission("w", 5))
    assert (await names(boards, "daily"), await names(boards, "daily", "2026-03-28")) == (["w"], ["v"])


async def test_clock_that_jumps(boards: Boards, clock: Clock) -> None:
    """A submit feeds the periods of its instant, wherever the clock was before."""
    for name, ahead in {"v": 0, "w": 400 * DAY, "x": 0, "y": -DAY}.items():
        clock.now = NOON + ahead
        await boards.submit("kart", Submission(name, 5))
    assert await names(boards, "daily", "2026-03-27") == ["y"]
    clock.now = NOON
    assert await names(boards, "weekly") == ["y", "x", "v"]


async def test_down_at_the_boundary(opened: Open, clock: Clock) -> None:
    """A process that was down at the boundary misses nothing."""
    boards = await opened(BoardsFile(boards={"kart": KART}))
    await boards.submit("kart", Submission("v", 5))
    await boards.store.close()
    clock.now = NOON + DAY
    boards = await opened(BoardsFile(boards={"kart": KART}))
    assert (await names(boards, "daily"), await names(boards, "daily", "2026-03-28")) == ([], ["v"])


async def test_periods_are_told(boards: Boards, clock: Clock) -> None:
    """Each period with entries is listed with its ends by the clock of its zone, and whether it is current."""
    await boards.submit("kart", Submission("v", 5))
    clock.now = NOON + DAY
    await boards.submit("kart", Submission("w", 5))
    *_, first, second = [period for period in await boards.periods("kart") if period.window == "daily"]
    assert (first.period, first.start, first.stop) == ("2026-03-28", "2026-03-28T00:00:00+01:00", second.start)
    assert (second.stop, second.count) == ("2026-03-30T00:00:00+02:00", 1)
    assert [first.current, second.current] == [False, True]


async def test_pages_of_periods(boards: Boards, clock: Clock) -> None:
    """Of many periods a list has those after one, up to a limit."""
    await boards.define("days", Definition(windows=("daily",)))
    for day in range(250):
        clock.now = NOON + day * DAY
        await boards.submit("days", Submission("v", day))
    days = daily(await boards.periods("days"))
    assert (len(days), daily(await boards.periods("days", ("daily", days[-120]), 110))) == (250, days[-119:-9])


async def test_definitions_after_changes(boards: Boards) -> None:
    """The list of definitions follows each change."""
    for name in "bdac":
        await boards.define(name, BOUNDED)
        assert name in await boards.names("", 9)
    await boards.define("c", Definition())
    await boards.undefine("b")
    await boards.undefine("nothing")
    assert (await boards.names("", 9))[:3] == ["a", "bounded", "c"]


async def test_keep(boards: Boards, clock: Clock) -> None:
    """As many past periods as are kept stay visible; older ones are not."""
    await boards.submit("kart", Submission("v", 5))
    clock.now = NOON + 2 * DAY
    assert (await names(boards, "daily", "2026-03-28"), daily(await boards.periods("kart"))) == (["v"], ["2026-03-28"])
    clock.now = NOON + 3 * DAY
    assert (await names(boards, "daily", "2026-03-28"), daily(await boards.periods("kart"))) == ([], [])
    assert await names(boards, "monthly", "2026-03") == ["v"]


async def test_what_is_not_kept_comes_back(boards: Boards, clock: Clock) -> None:
    """A period that is not visible any more is still there until a submit prunes it or it is dropped by name."""
    await boards.submit("kart", Submission("v", 5))
    clock.now = NOON + 3 * DAY
    where = boards.period_of("kart", "daily", "2026-03-28")
    assert (await boards.drop(where), await boards.drop(where)) == (True, False)


async def test_future(boards: Boards, clock: Clock) -> None:
    """A period that has not begun is not visible, even if the clock had gone ahead."""
    clock.now = NOON + DAY
    await boards.submit("kart", Submission("v", 5))
    clock.now = NOON
    assert (await names(boards, "daily", "2026-03-29"), daily(await boards.periods("kart"))) == ([], [])


@pytest.mark.parametrize(
    ("board", "window", "period", "says"),
    [
        ("plain", "daily", None, "it has none"),
        ("kart", "0 0 1 1 *", None, "it has 'daily', 'weekly', 'monthly', '0 6"),
        ("kart", "hourly", None, "'hourly' is no window of this board: it has 'daily', 'weekly'"),
        ("kart", "daily", "2026-W47", "it is named as '2026-11-22'"),
        ("kart", "0  6 * * mon", "2026-11-22", "the instant in UTC at which it began"),
    ],
)
async def test_no_such_period(boards: Boards, board: str, window: str, period: str | None, says: str) -> None:
    """A window that the board does not have, and a period that the window cannot have, are refused."""
    with pytest.raises(BadParameter, match=says):
        boards.period_of(board, window, period)


async def test_one_way_to_ask(boards: Boards) -> None:
    """A window is found however its line is written."""
    assert boards.period_of("kart", " 0 6  * * mon", None) == boards.period_of("kart", "0 6 * * MON", None)


@pytest.mark.parametrize(
    ("score", "says"), [(-1, "none below 0"), (11, "none above 10"), (0.5, "only whole"), (inf, "not finite")]
)
async def test_bounds(boards: Boards, score: float, says: str) -> None:
    """A score that the board does not accept is refused by every kind of submit, and nothing is stored."""
    with pytest.raises(ScoreRefused, match=says):
        await boards.submit("bounded", Submission("v", score))
    with pytest.raises(ScoreRefused, match=says):
        await change(boards, "bounded", Submission("v", score))
    (refusal,) = await boards.submit_many("bounded", [Submission("v", score)])
    assert (refusal.index, refusal.name) == (0, "v")
    assert await boards.standing(boards.board("bounded"), "v") is None


@pytest.mark.parametrize("score", [0, 10, 10.0])
async def test_within_bounds(boards: Boards, score: float) -> None:
    """Both ends of the bounds are accepted, and a whole number that is written as a fraction."""
    await boards.submit("bounded", Submission("v", score))
    assert (await change(boards, "bounded", Submission("v", score))).current.score == score


async def test_bounds_of_sums(opened: Open) -> None:
    """A score that is added must be whole; the bounds hold for the sum."""
    boards = await opened(BoardsFile(boards={"sum": SUM}))
    assert (await change(boards, "sum", Submission("v", 9))).current.score == 9
    assert (await change(boards, "sum", Submission("v", -8))).current.score == 1
    with pytest.raises(ScoreRefused):
        await boards.submit("sum", Submission("v", 10))
    with pytest.raises(ScoreRefused, match="only whole"):
        await boards.submit("sum", Submission("v", 0.5))


async def test_batch(boards: Boards) -> None:
    """Each entry of a batch is accepted or refused on its own, also those that could not be read."""
    unread = Refusal(1, "?", "It cannot be read.")
    batch: list[Submission | Refusal] = [
        Submission("a", 1),
        unread,
        Submission("", 1),
        Submission("b", 1, b"x" * 1025),
        Submission("c", 11),
        Submission("d", 2),
    ]
    refused = await boards.submit_many("bounded", batch)
    assert [(refusal.index, refusal.name) for refusal in refused] == [(1, "?"), (2, ""), (3, "b"), (4, "c")]
    assert [entry.name for entry in (await boards.page(boards.board("bounded"), 0, 9)).entries] == ["d", "a"]


async def test_name_is_asked_twice(boards: Boards) -> None:
    """An error says which name was asked for twice."""
    with pytest.raises(BadParameter, match="'b' stands twice"):
        await boards.entries_named(boards.board("kart"), ["a", "b", "c", "b"])


async def test_metadata(boards: Boards) -> None:
    """Metadata has at most 1 KiB."""
    with pytest.raises(BadBody, match=r"1,025 bytes"):
        await change(boards, "kart", Submission("v", 1, b"x" * 1025))


@pytest.mark.parametrize("key", ["", "a b", "\x7f", "é", "k" * 256], ids=["empty", "space", "control", "é", "long"])
async def test_bad_key(boards: Boards, key: str) -> None:
    """A key is visible ASCII, and not long."""
    with pytest.raises(BadParameter, match="1 to 255 visible ASCII"):
        await change(boards, "kart", Submission("v", 1), key)


async def test_key_counts_once(opened: Open) -> None:
    """A retry changes nothing and gets the first answer, however its score is written."""
    boards = await opened(BoardsFile(default=Definition(operator="increment")))
    first = await change(boards, "sum", Submission("v", 5), "k")
    await boards.submit("sum", Submission("w", 9))
    assert await change(boards, "sum", Submission("v", 5.0), "k") == first
    assert (await boards.standing(boards.board("sum"), "v")).score == 5  # type: ignore[union-attr]


async def test_key_of_a_score_that_is_excluded_since(boards: Boards) -> None:
    """A retry gets the first answer even if its score is beyond bounds that the board has got since."""
    first = await change(boards, "b", Submission("v", 50), "k")
    await boards.remove(boards.board("b"), "v")
    await boards.define("b", BOUNDED)
    assert await change(boards, "b", Submission("v", 50), "k") == first
    for submission, key in ((Submission("v", 50), "other"), (Submission("v", 50), None)):
        with pytest.raises(ScoreRefused):
            await change(boards, "b", submission, key)
    with pytest.raises(KeyReused):
        await change(boards, "b", Submission("v", 60), "k")


async def test_key_of_a_batch(opened: Open) -> None:
    """A batch that is sent again counts once, with what was refused of it."""
    boards = await opened(BoardsFile(default=Definition(operator="increment", scores=Bounds(max=10))))
    batch: list[Submission | Refusal] = [Submission("v", 5), Submission("v", 6), Refusal(2, "?", "It cannot be read.")]
    first = await boards.submit_many("sum", batch, "k")
    assert [refusal.index for refusal in first] == [1, 2]
    assert await boards.submit_many("sum", batch, "k") == first


@pytest.mark.parametrize(
    "again", [Submission("v", 6), Submission("v", 5, b"1")], ids=["another score", "other metadata"]
)
async def test_key_with_another_body(boards: Boards, again: Submission) -> None:
    """A key that came with something else is refused."""
    await change(boards, "plain", Submission("v", 5), "k")
    with pytest.raises(KeyReused):
        await change(boards, "plain", again, "k")


async def test_scope_of_a_key(boards: Boards) -> None:
    """A key belongs to one name of one board, or to the batches of one board."""
    for board, name in (("a", "v"), ("a", "w"), ("b", "v")):
        assert (await change(boards, board, Submission(name, 5), "k")).previous is None
    assert await boards.submit_many("a", [Submission("v", 6)], "k") == []
    assert (await change(boards, "a", Submission("v", 7))).previous.score == 6  # type: ignore[union-attr]


async def test_define(boards: Boards) -> None:
    """A definition holds from the next submit on, and the default again when it is dropped."""
    assert (await boards.define("b", BOUNDED), await boards.define("b", KART)) == (True, False)
    await boards.submit("b", Submission("v", 50))
    assert (await boards.periods("b"))[0].count == 1
    for period in await boards.periods("b"):
        await boards.drop(boards.period_of("b", period.window, period.period))
    assert (await boards.undefine("b"), await boards.undefine("b")) == (True, False)
    assert await boards.definition("b") == Definition()


async def test_submits_while_a_definition_changes(boards: Boards) -> None:
    """Submits that come while definitions change wait, and feed what the last definition says."""
    await boards.submit("b", Submission("v0", 1))

    async def submit(number: int) -> None:
        await boards.submit("b", Submission(f"v{number}", 1))

    changes = [boards.define("b", KART), boards.define("b", Definition(windows=("daily",)))]
    other = [change(boards, "b", Submission("v1", 1)), boards.submit_many("b", [Submission("v2", 1)])]
    await asyncio.gather(*changes, *map(submit, range(3, 7)), *other)
    assert await boards.store.count(boards.board("b")) == 7
    assert await boards.store.count(boards.period_of("b", "daily", None)) == 6


@pytest.mark.parametrize("kind", ["change", "batch"])
async def test_definition_waits_for_keys(boards: Boards, kind: str) -> None:
    """A definition does not overtake a submit whose key is still looked up, and which contradicts it."""
    submission = Submission("v", 50)
    keyed = change(boards, "b", submission, "k") if kind == "change" else boards.submit_many("b", [submission], "k")
    done, defined = await asyncio.gather(keyed, boards.define("b", BOUNDED), return_exceptions=True)
    assert (isinstance(done, Change) or done == [], type(defined)) == (True, DefinitionConflict)


@pytest.mark.parametrize("kind", ["submit", "batch"])
async def test_definition_waits_for_metadata(boards: Boards, kind: str) -> None:
    """Nor does it overtake a submit whose metadata is still compared with that of one before."""

    async def submit(submission: Submission) -> None:
        await (boards.submit("b", submission) if kind == "submit" else boards.submit_many("b", [submission]))

    submits = [submit(Submission("v", score, b"%d" % score)) for score in (1, 10**6)]
    *done, defined = await asyncio.gather(*submits, boards.define("b", BOUNDED), return_exceptions=True)
    assert (done, type(defined)) == ([None, None], DefinitionConflict)


async def declare(boards: Boards, file: BoardsFile) -> asyncio.Task[None]:
    """Begin to declare the boards of another file; return when submits wait for that."""
    declaring = asyncio.create_task(boards.declare(file))
    while EVERY_BOARD not in boards._submits.changing:  # noqa: SLF001, ASYNC110
        await asyncio.sleep(0)
    return declaring


async def test_submits_while_boards_are_declared(boards: Boards) -> None:
    """Submits to all boards wait for another file, and feed what that says."""
    await boards.submit("b", Submission("v0", 1))
    declaring = await declare(boards, BoardsFile(Definition(windows=("daily",))))
    other = [boards.set_metadata("b", "v0", b"1"), boards.submit_many("b", [Submission("v4", 1)])]
    await asyncio.gather(*(change(boards, "b", Submission(f"v{number}", 1)) for number in range(1, 4)), *other)
    await declaring
    assert await boards.store.count(boards.period_of("b", "daily", None)) == 4


async def test_declaring_waits_for_submits_under_way(boards: Boards) -> None:
    """Another file does not overtake a submit of which the store may not know yet."""
    known: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    submitting = asyncio.create_task(boards._submits.let_pass("b", known))  # noqa: SLF001
    declaring = await declare(boards, BoardsFile(boards={"b": BOUNDED}))
    assert await boards.definition("kart") == KART
    known.set_result(None)
    await asyncio.gather(submitting, declaring)
    assert await boards.definition("b") == BOUNDED


async def test_declaring_waits_for_a_definition(boards: Boards) -> None:
    """Another file does not overtake a definition that is being changed."""
    async with boards._change_definition("b"):  # noqa: SLF001
        declaring = asyncio.create_task(boards.declare(BoardsFile(boards={"b": BOUNDED})))
        while not boards._submits.changing["b"]._waiters:  # noqa: SLF001, ASYNC110
            await asyncio.sleep(0)
        assert await boards.definition("kart") == KART
    await declaring
    assert await boards.definition("b") == BOUNDED


async def test_definition_waits_for_declaring(boards: Boards) -> None:
    """A definition that comes meanwhile is of a board that the new file declares."""
    declaring = await declare(boards, BoardsFile(boards={"b": BOUNDED}))
    with pytest.raises(DefinitionConflict, match="declared in the boards file"):
        await boards.define("b", KART)
    await declaring
    assert await boards.definition("b") == BOUNDED


async def test_conflict_leaves_all_as_it_was(boards: Boards) -> None:
    """A definition that entries contradict is refused, and the old one holds."""
    await boards.submit("b", Submission("v", 50))
    with pytest.raises(DefinitionConflict):
        await boards.define("b", BOUNDED)
    await boards.submit("b", Submission("w", 60))
    assert await boards.definition("b") == Definition()


async def test_definitions(boards: Boards) -> None:
    """Declared boards and those with entries are listed by their bytes, page by page."""
    for name in ("a", "kart", "z", "\U0001f3c1", "\uffff"):
        await boards.submit(name, Submission("v", 5))
    await boards.define("m", BOUNDED)
    pages = [await boards.names("", 3), await boards.names("kart", 3), await boards.names("z", 3)]
    assert [[(name, boards.describe(name)[1]) for name in page] for page in pages] == [
        [("a", False), ("bounded", True), ("kart", True)],
        [("m", True), ("z", False), ("\uffff", False)],
        [("\uffff", False), ("\U0001f3c1", False)],
    ]


@pytest.mark.parametrize("after", ["z" * 256, "z" * 257, "z" * 255 + "\u00e9", "z" * 254 + "\U0001f3c1"])
async def test_boards_after_what_is_too_long(boards: Boards, after: str) -> None:
    """A list goes on after any text, also one that no board can have for a name."""
    names = ["z" * 255, "z" * 256, "z" * 254 + "\u00e9", "\U0010ffff" * 64]
    for name in names:
        await boards.submit(name, Submission("v", 5))
    assert await boards.names(after, 9) == [name for name in names if name > after]


async def test_definition_that_changed_goes(boards: Boards) -> None:
    """A board that was defined twice and then no more is not listed."""
    for definition in (BOUNDED, KART):
        await boards.define("m", definition)
    await boards.undefine("m")
    assert await boards.names("", 9) == ["bounded", "kart"]


async def test_definitions_come_back(opened: Open) -> None:
    """Definitions that were put are there after a restart, and the file's go before them."""
    boards = await opened(BoardsFile())
    await boards.define("a", BOUNDED)
    await boards.define("b", BOUNDED)
    await boards.store.close()
    boards = await opened(BoardsFile(boards={"a": KART}))
    assert [await boards.definition(name) for name in "ab"] == [KART, BOUNDED]


async def test_declared_only(opened: Open) -> None:
    """Undeclared boards accept no scores and are not visible, but can be removed; a definition declares one."""
    before = await opened(BoardsFile())
    await before.submit("old", Submission("v", 5))
    await before.store.close()
    boards = await opened(BoardsFile(declared_only=True))
    with pytest.raises(NotDeclared):
        await boards.submit("old", Submission("w", 5))
    with pytest.raises(NotDefined):
        await boards.definition("old")
    assert (await boards.summary(boards.board("old"))).count == 0
    assert (await boards.periods("old"), await boards.names("", 9)) == ([], [])
    await boards.define("old", BOUNDED)
    assert (await boards.standing(boards.board("old"), "v")).rank == 0  # type: ignore[union-attr]
    await boards.undefine("old")
    assert await boards.remove(boards.board("old"), "v")


@pytest.mark.parametrize("name", ["-", "", "a\n"])
async def test_bad_board(boards: Boards, name: str) -> None:
    """A board with a bad name is refused by every operation."""
    with pytest.raises(BadName):
        await change(boards, name, Submission("v", 1))
    with pytest.raises(BadName):
        await boards.define(name, BOUNDED)


def test_digests_of_keys() -> None:
    """What keys and fingerprints are made of does not change: those of earlier versions are on disk."""
    one = make_idempotency_key("k1", "kart", "v", [Submission("v", 5.0)])
    batch: list[Submission | Refusal] = [Submission("v", 5.0, b'{"a":1}'), Refusal(1, "w", "no"), Submission("é", 1.5)]
    many = make_idempotency_key("k1", "kart", "", batch)
    assert [each.hex() for once in (one, many) for each in (once.key, once.fingerprint)] == [
        "24eb7fbabf934fe1d63f9309d53cc173",
        "98a9b11d133dd1c25ac8f327c483bb8b",
        "ee0f94156b01b8b3e47e593d4f5b180c",
        "69c5deaa40c0396a2594f1cc030aaa71",
    ]


SCORES = [5, 5.0, -5, 0, -0.0, 1.5, 2**62, 2.0**62, 2**63, -(2**63), 1e300]


def test_fingerprints_of_scores() -> None:
    """A key belongs to a board and a name, and its fingerprint to a score, however that is written."""
    made = [make_submit_key("k", "kart", Submission("v", score)) for score in SCORES]
    assert len({once.key for once in made}) == 1
    assert [[a.fingerprint == b.fingerprint for a in made] for b in made] == [[a == b for a in SCORES] for b in SCORES]
    with_metadata = make_submit_key("k", "kart", Submission("v", 5, b"{}"))
    assert with_metadata.fingerprint not in {once.fingerprint for once in made}
    assert make_submit_key("k", "kart", Submission("w", 5)).key != made[0].key


async def test_retry_of_a_submit_of_an_earlier_version(tmp_path: Path) -> None:
    """A key whose fingerprint is that of an earlier version is known, and another score with it refused."""
    store = await EmbeddedStore.open(tmp_path / "data")
    boards = Boards(store)
    before = make_idempotency_key("k1", "kart", "v", [Submission("v", 5)])
    await store.submit(Board("kart"), Submission("v", 5), before)
    await boards.submit("kart", Submission("v", 9))
    await boards.submit("kart", Submission("v", 5), "k1")
    with pytest.raises(KeyReused):
        await boards.submit("kart", Submission("v", 6), "k1")
    assert await store.standing(Board("kart"), "v") == Standing(9, 0)
    await store.close()


async def test_periods_of_then(boards: Boards, clock: Clock) -> None:
    """A submission of the past feeds the periods of then that are kept; one that is to come is refused."""
    now = round(clock() * 1_000_000)
    for name, ago in (("today", 0), ("yesterday", DAY), ("long ago", 300 * DAY), ("first", NOON)):
        await boards.submit_in_full("kart", FullSubmission(name, 5, None, round((NOON - ago) * 1_000_000)))
    refused = await boards.submit_many("kart", [FullSubmission("tomorrow", 5, None, now + 1), Submission("now", 5)])
    assert [refusal.index for refusal in refused] == [0]
    assert await names(boards, "daily") == ["today", "now"]
    assert await names(boards, "daily", "2026-03-27") == ["yesterday"]
    listed = [(each.window, each.period) for each in await boards.periods("kart")]
    assert listed == [
        *(("0 6 * * MON", period) for period in ("1969-12-29T05:00Z", "2025-05-26T04:00Z", "2026-03-23T05:00Z")),
        *(("daily", period) for period in ("2026-03-27", "2026-03-28")),
        *(("monthly", period) for period in ("1970-01", "2025-06", "2026-03")),
        *(("weekly", period) for period in ("1970-W01", "2025-W22", "2026-W13")),
    ]
