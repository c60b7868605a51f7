"""The service against a naive model, with whole requests and responses: whatever is asked, the two agree."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import tempfile
from datetime import datetime, time, timedelta
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from laurels.boards import Boards
from laurels.definition import BoardsFile
from laurels.http import Request, Routes
from laurels.stores.embedded.store import EmbeddedStore
from tests.clock import Clock
from tests.http.model import SIX_HOURS, Model, Place, Problem
from tests.length import times

if TYPE_CHECKING:
    from collections.abc import Callable

STARTS = [
    1772951400.5,  # 2026-03-08 01:30 in New York, half an hour before its clocks leap ahead
    1793507400.25,  # 2026-11-01 00:30 there, before they fall back
    1798759800.0,  # 2026-12-31 23:30 UTC, in week 53 of the year
    1835308799.0,  # the last second of 2028-02-27, UTC
]
ZONES = ["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"]
WINDOWS = ["daily", "weekly", "monthly", SIX_HOURS]
BOARDS = ["kart", "b/2", "declared"]
NAMES = ["v", "silverhand", "johnny", "a b", "Zoë", "🏆"]
KEYS = ["k1", "k2", '"3"']


def drop_unknown_keep(definition: dict[str, Any]) -> dict[str, Any]:
    """Remove from ``keep`` the windows that the definition does not have."""
    if "keep" not in definition:
        return definition
    kept = {window: count for window, count in definition["keep"].items() if window in definition.get("windows", [])}
    return definition | {"keep": kept}


boards, names, keys = st.sampled_from(BOARDS), st.sampled_from(NAMES), st.none() | st.sampled_from(KEYS)
scores = st.integers(-3, 3) | st.sampled_from([0.5, -1.5, 10, 2**53, 1e300])
metadata = st.none() | st.sampled_from([{}, {"car": "pipe"}, [1, 2], "é", 0, {"a": {"b": [None, True]}}])
submissions = st.tuples(names, scores, metadata)
batches = st.lists(submissions, min_size=1, max_size=8)
fields = st.lists(st.sampled_from(["rank", "place", "metadata", "submittedAt"]), unique=True)
full_fields = st.lists(
    st.sampled_from(["place", "total", "percentile", "metadata", "submittedAt", "windows"]), unique=True, min_size=1
)
bounds = st.sampled_from([{}, {}, {"min": -2}, {"max": 5}, {"min": -2, "max": 10}, {"integer": True}])
windows: st.SearchStrategy[list[str]] = st.lists(
    st.sampled_from(WINDOWS), unique=True, min_size=1, max_size=3
) | st.just([])
keeps = st.fixed_dictionaries(dict.fromkeys(WINDOWS, st.integers(1, 3)))
definitions = st.fixed_dictionaries(
    {},
    optional={
        "order": st.sampled_from(["descending", "ascending"]),
        "operator": st.sampled_from(["latest", "best", "increment"]),
        "ties": st.sampled_from(["name", "earliest", "latest"]),
        "ranking": st.sampled_from(["ordinal", "competition", "dense"]),
        "scores": bounds,
        "windows": windows,
        "time_zone": st.sampled_from(ZONES),
        "keep": keeps,
        "ttl": st.sampled_from([None, None, "91m", "1201m", "7201m"]),
    },
).map(drop_unknown_keep)
KINDS = ["standing", "in_full", "around_limited", "page", "around", "by_names", "between_scores", "rank_of", "summary"]


class Answer(NamedTuple):
    """A response."""

    status: int
    json: Any


class Service:
    """The routes over a store on disk, with a clock that the test moves."""

    def __init__(self, clock: Clock, file: BoardsFile) -> None:
        self.clock = clock
        self.file = file
        self.data = Path(tempfile.mkdtemp())
        self.loop = asyncio.Runner()
        self.open()

    def open(self) -> None:
        """Open the store on what is on disk."""
        self.loop.run(self._open())

    async def _open(self) -> None:
        self.store = await EmbeddedStore.open(self.data, self.file.default, clock=self.clock)
        boards = Boards(self.store, self.file, clock=self.clock)
        await boards.declare()
        self.routes = Routes(boards)

    def close(self) -> None:
        """Close the store."""
        self.loop.run(self.store.close())

    def end(self) -> None:
        """Close the store and delete its files."""
        self.close()
        self.loop.close()
        shutil.rmtree(self.data)

    def ask(self, method: str, path: str, body: Any = None, **headers: str | None) -> Answer:
        """Send one request."""
        path, _, query = path.partition("?")
        lines = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items() if value}
        content = b"" if body is None else json.dumps(body).encode()
        request = Request(method, path.encode(), query.encode(), lines, content)
        response = self.loop.run(self.routes.answer(request))
        body = re.sub(rb'(\.\d{3})\d{3}Z"', rb'\1Z"', response.body)  # the model knows milliseconds
        return Answer(response.status, json.loads(body) if body else None)


def at(*segments: str, **query: Any) -> str:
    """Return a request target; parameters that are None are left out."""
    path = "".join("/" + quote(segment, safe="") for segment in segments)
    text = urlencode({key: value for key, value in query.items() if value is not None}, doseq=True)
    return f"{path}?{text}" if text else path


def select_fields(entries: list[dict[str, Any]], wanted: list[str]) -> list[dict[str, Any]]:
    """Return the model's entries with name, score and the wanted fields only."""
    return [{key: entry[key] for key in ("name", "score", *wanted)} for entry in entries]


class Machine(RuleBasedStateMachine):
    """Sends the same requests to the service and to the model."""

    @initialize(
        start=st.sampled_from(STARTS),
        default=st.just({}) | definitions,
        declared=definitions,
        kart=definitions,
        filling=st.tuples(batches, batches, batches),
        only=st.sampled_from([False, False, True]),
    )
    def start(
        self,
        start: float,
        default: dict[str, Any],
        declared: dict[str, Any],
        kart: dict[str, Any],
        filling: tuple[list[tuple[str, float, Any]], ...],
        *,
        only: bool,
    ) -> None:
        """Start with some boards file, define one board, and submit entries to all."""
        self.clock = Clock()
        self.clock.now = start
        file = {"default": default, "boards": {"declared": declared}, "declared_only": only}
        self.service = Service(self.clock, msgspec.convert(file, BoardsFile))
        self.model = Model(start, default, {"declared": declared}, only=only)
        self.waits = 0
        self.keyed: list[tuple[str, Any, str]] = []
        self.cursors: list[tuple[str, str, Place, int]] = []
        self.define("kart", kart)
        for board, batch in zip(BOARDS, filling, strict=True):
            self.send_many(board, batch, None)

    def teardown(self) -> None:
        """Stop the service."""
        if hasattr(self, "service"):
            self.service.end()

    def agree(self, status: int, expected: Callable[[], Any], answer: Answer) -> None:
        """Compare a response with the model's, or its status with that of the model's problem."""
        try:
            wanted = Answer(status, expected())
        except Problem as problem:
            wanted = Answer(problem.status, answer.json)
        assert answer == wanted, (answer, wanted)

    # Writes

    @rule(board=boards, submission=submissions, key=keys, represent=st.booleans())
    def submit(self, board: str, submission: tuple[str, float, Any], key: str | None, *, represent: bool) -> None:
        """Submit one score."""
        self.send(board, submission, key, represent=represent)

    def send(self, board: str, submission: tuple[str, float, Any], key: str | None, *, represent: bool) -> None:
        """Submit to both."""
        name, score, metadata = submission
        if key:
            self.keyed.append((board, submission, key))
        prefer = "return=representation" if represent else None
        body = {"score": score} | ({"metadata": metadata} if metadata is not None else {})
        answer = self.service.ask("POST", at(board, name), body, prefer=prefer, idempotency_key=key)

        def expected() -> Any:
            receipt = self.model.submit(board, name, score, metadata, key)
            return receipt if represent else None

        self.agree(200 if represent else 202, expected, answer)

    @rule(board=boards, batch=batches, key=keys)
    def batch(self, board: str, batch: list[tuple[str, float, Any]], key: str | None) -> None:
        """Submit a batch."""
        self.send_many(board, batch, key)

    def send_many(self, board: str, batch: list[tuple[str, float, Any]], key: str | None) -> None:
        """Submit to both."""
        if key:
            self.keyed.append((board, batch, key))
        entries = [{"name": name, "score": score, "metadata": metadata} for name, score, metadata in batch]
        answer = self.service.ask("POST", at(board), {"entries": entries}, idempotency_key=key)
        if answer.status == 200:
            assert all(refusal.get("problem") for refusal in answer.json["refused"])
            refused = [(refusal["index"], refusal["name"]) for refusal in answer.json["refused"]]
            answer = Answer(200, answer.json | {"refused": refused})
        self.agree(200, lambda: self.model.batch(board, batch, key), answer)

    @precondition(lambda self: self.keyed)
    @rule(data=st.data(), represent=st.booleans())
    def replay(self, data: st.DataObject, *, represent: bool) -> None:
        """Repeat a request that had a key."""
        board, sent, key = data.draw(st.sampled_from(self.keyed[-6:]))
        if isinstance(sent, list):
            self.send_many(board, sent, key)
        else:
            self.send(board, sent, key, represent=represent)

    @rule(data=st.data(), name=st.sampled_from([None, *NAMES]))
    def remove(self, data: st.DataObject, name: str | None) -> None:
        """Remove a name, or all, from a board or from one period."""
        board, where = self.draw(data)
        answer = self.service.ask("DELETE", at(board, **where) if name is None else at(board, name, **where))
        self.agree(204, lambda: self.model.remove(board, self.model.key(board, **where), name), answer)

    @rule(board=boards, definition=definitions)
    def define(self, board: str, definition: dict[str, Any]) -> None:
        """Define a board."""
        is_new = board not in self.model.own
        answer = self.service.ask("PUT", at("-", "boards", board), definition)
        self.agree(201 if is_new else 200, lambda: self.model.define(board, definition), answer)

    @rule(board=boards, definition=definitions.filter(bool), data=st.data())
    def redefine(self, board: str, definition: dict[str, Any], data: st.DataObject) -> None:
        """Change one field of a board's definition."""
        field = data.draw(st.sampled_from(sorted(definition)))
        self.define(board, drop_unknown_keep(self.model.definition(board) | {field: definition[field]}))

    @rule(board=boards)
    def undefine(self, board: str) -> None:
        """Delete a board's definition."""
        self.agree(204, lambda: self.model.undefine(board), self.service.ask("DELETE", at("-", "boards", board)))

    @rule(seconds=st.sampled_from([1, 59, 3_601, 21_611, 43_207, 86_413, 3 * 86_400 + 7, 8 * 86_400, 33 * 86_400]))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        self.wait_until(self.clock.now + seconds)

    @rule(zone=st.sampled_from(ZONES), days=st.integers(1, 4), seconds=st.sampled_from([-1, 0, 0.25]))
    def wait_for_midnight(self, zone: str, days: int, seconds: float) -> None:
        """Let time pass until a midnight somewhere, or a moment before or after."""
        today = datetime.fromtimestamp(self.clock.now, ZoneInfo(zone)).date()
        midnight = datetime.combine(today + timedelta(days), time(), ZoneInfo(zone))
        self.wait_until(midnight.timestamp() + seconds)

    def wait_until(self, instant: float) -> None:
        """Move the clock, never to exactly one ttl or lifetime of a key after an earlier moment."""
        self.waits += 1
        self.clock.now = self.model.now = floor(instant * 1000 + self.waits) / 1000 + 0.0001

    @rule()
    def restart(self) -> None:
        """Stop the service, and start it on what is on disk."""
        self.service.close()
        self.service.open()

    # Reads

    def draw(self, data: st.DataObject) -> tuple[str, dict[str, str | None]]:
        """Draw a board and a period of it: one that has entries, or any that could be named."""
        stored = [(board, *key) for board in BOARDS for key in self.model.stored(board)]
        if stored and data.draw(st.sampled_from([True, True, True, False])):
            board, window, period = data.draw(st.sampled_from(stored))
            return board, {"window": window or None, "period": period or None}
        board = data.draw(boards)
        known = self.model.definition(board)["windows"]
        window = data.draw(st.sampled_from([None, *known, *known, "daily"]))
        return board, self.model.named(board, window, data.draw(st.integers(0, 4)))

    @rule(data=st.data(), kind=st.sampled_from(KINDS))
    def read(self, data: st.DataObject, kind: str) -> None:
        """Read from a board, or from a period of it."""
        board, where = self.draw(data)
        getattr(self, kind)(data, board, where)

    @rule(data=st.data(), kind=st.sampled_from(KINDS))
    def read_further(self, data: st.DataObject, kind: str) -> None:
        """Read again: reads are then as frequent as writes."""
        self.read(data, kind)

    def standing(self, data: st.DataObject, board: str, where: dict[str, str | None]) -> None:
        """Read a standing."""
        name = data.draw(names)
        answer = self.service.ask("GET", at(board, name, **where))
        self.agree(200, lambda: self.model.standing(board, self.model.key(board, **where), name), answer)

    def in_full(self, data: st.DataObject, board: str, where: dict[str, str | None]) -> None:
        """Read more of a standing."""
        name, wanted = data.draw(st.tuples(names, full_fields))
        answer = self.service.ask("GET", at(board, name, include=",".join(wanted), **where))

        def expected() -> Any:
            key = self.model.key(board, **where)
            if "windows" in wanted and key[0]:
                raise Problem(400, "windows")
            full = self.model.in_full(board, key, name)
            return {field: full[field] for field in ("score", "rank", *wanted)}

        self.agree(200, expected, answer)

    def around_limited(self, data: st.DataObject, board: str, where: dict[str, str | None]) -> None:
        """Read so many entries around a name."""
        name, limit = data.draw(st.tuples(names, st.integers(1, 5)))
        answer = self.service.ask("GET", at(board, around=name, limit=limit, include="place,total", **where))

        def expected() -> Any:
            key = self.model.key(board, **where)
            found = self.model.around_limited(board, key, name, limit)
            total = len(self.model.entries(board, key))
            return {"leaderboard": select_fields(found, ["rank", "place"]), "total": total}

        self.agree(200, expected, answer)

    def page(self, data: st.DataObject, board: str, where: dict[str, str | None]) -> None:
        """Read a page; keep its cursor."""
        start, size, wanted = data.draw(st.tuples(st.integers(0, 2), st.integers(1, 3), fields))
        include = ",".join([*wanted, "cursor"])
        answer = self.service.ask("GET", at(board, startRank=start, endRank=start + size, include=include, **where))

        def expected() -> Any:
            key = self.model.key(board, **where)
            found = self.model.page(board, key, start, start + size)
            cursor = answer.json["next"]
            assert (cursor is None) == (not self.model.page(board, key, start + size, start + size + 1))
            if cursor:
                last = self.model.visible(board, key)[found[-1]["name"]]
                place = Place(*key, found[-1]["name"], last.score, last.sequence)
                self.cursors.append((board, cursor, place, size))
            return {"leaderboard": select_fields(found, wanted), "next": cursor}

        self.agree(200, expected, answer)

    @precondition(lambda self: self.cursors)
    @rule(data=st.data(), wanted=fields)
    def page_behind_cursor(self, data: st.DataObject, wanted: list[str]) -> None:
        """Read the page behind the cursor of an earlier page."""
        board, cursor, place, size = data.draw(st.sampled_from(self.cursors[-6:]))
        answer = self.service.ask("GET", at(board, cursor=cursor, include=",".join(wanted) or None))
        self.agree(
            200, lambda: {"leaderboard": select_fields(self.model.page_behind(board, place, size), wanted)}, answer
        )

    def around(self, data: st.DataObject, board: str, where: dict[str, str | None]) -> None:
        """Read a name and its neighbours."""
        name, span = data.draw(st.tuples(names, st.integers(0, 3)))
        answer = self.service.ask("GET", at(board, around=name, span=span, include="metadata", **where))

        def expected() -> Any:
            found = self.model.around(board, self.model.key(board, **where), name, span)
            return {"leaderboard": select_fields(found, ["metadata", "rank"])}

        self.agree(200, expected, answer)

    def by_names(self, data: st.DataObject, board: str, where: dict[str, str | None]) -> None:
        """Read the entries of some names."""
        asked = data.draw(st.lists(names, unique=True, min_size=1))
        answer = self.service.ask("GET", at(board, name=asked, include="submittedAt", **where))

        def expected() -> Any:
            found, missing = self.model.entries_named(board, self.model.key(board, **where), asked)
            return {"leaderboard": select_fields(found, ["submittedAt", "rank"]), "missing": missing}

        self.agree(200, expected, answer)

    def between_scores(self, data: st.DataObject, board: str, where: dict[str, str | None]) -> None:
        """Read the entries between two scores."""
        low, high = sorted(data.draw(st.tuples(scores, scores)))
        limit = data.draw(st.integers(1, 4))
        answer = self.service.ask("GET", at(board, minScore=low, maxScore=json.dumps(high), limit=limit, **where))

        def expected() -> Any:
            found = self.model.entries_between_scores(board, self.model.key(board, **where), low, high, limit)
            return {"leaderboard": select_fields(found, ["rank"])}

        self.agree(200, expected, answer)

    def rank_of(self, data: st.DataObject, board: str, where: dict[str, str | None]) -> None:
        """Read the rank of a score."""
        score = data.draw(scores)
        answer = self.service.ask("GET", at("-", "boards", board, "rank", score=score, **where))
        self.agree(200, lambda: self.model.rank_of(board, self.model.key(board, **where), score), answer)

    def summary(self, _: st.DataObject, board: str, where: dict[str, str | None]) -> None:
        """Read a summary."""
        answer = self.service.ask("GET", at("-", "boards", board, "summary", **where))
        histogram = answer.json.pop("histogram", [])
        assert sum(bucket["count"] for bucket in histogram) == answer.json.get("count", 0)
        self.agree(200, lambda: self.model.summary(board, self.model.key(board, **where)), answer)

    @rule(board=boards)
    def definition(self, board: str) -> None:
        """Read a definition."""
        answer = self.service.ask("GET", at("-", "boards", board))
        self.agree(200, lambda: self.model.read_definition(board), answer)

    @rule(limit=st.none() | st.integers(1, 3), after=st.none() | boards)
    def listing(self, limit: int | None, after: str | None) -> None:
        """List the boards."""
        answer = self.service.ask("GET", at("-", "boards", limit=limit, after=after))
        listed = [board for board in self.model.list_boards() if board["name"] > (after or "")]
        following = listed[limit - 1]["name"] if limit and len(listed) > limit else None
        self.agree(200, lambda: {"boards": listed[:limit], "next": following}, answer)

    @invariant()
    def pages_agree(self) -> None:
        """Every board and every period of it has the same page in both, and both list the same periods."""
        for board in BOARDS if hasattr(self, "service") else ():
            listed = self.service.ask("GET", at("-", "boards", board, "periods"))
            periods = {"periods": self.model.periods(board)}
            assert listed.json == periods, (board, listed.json, periods)
            for window, period in [("", ""), *((one["window"], one["period"]) for one in listed.json["periods"])]:
                where = {"window": window or None, "period": period or None}
                answer = self.service.ask("GET", at(board, include="rank,place,metadata,submittedAt", **where))
                page = {"leaderboard": self.model.page(board, (window, period), 0, 20)}
                assert answer.json == page, (board, window, period, answer.json, page)


Machine.TestCase.settings = settings(
    max_examples=times(25), stateful_step_count=40, suppress_health_check=list(HealthCheck)
)
TestService = pytest.mark.slow(Machine.TestCase)
