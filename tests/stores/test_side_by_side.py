"""The embedded store and Redis side by side: whatever is asked over HTTP, both answer the same, to the byte.

What differs by nature: below a second the time of a submit, since the embedded store gives each a microsecond of its
own, and what is in a cursor, which has the store's own numbers: each goes on by its own.
"""

from __future__ import annotations

import json
import re
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

import pytest

from laurels.boards import Boards
from laurels.http import Request, Routes
from laurels.stores.embedded.store import EmbeddedStore
from laurels.stores.redis.store import RedisStore
from tests.clock import Clock
from tests.length import times

if TYPE_CHECKING:
    from pathlib import Path

    from tests.redis_servers import Node

pytestmark = pytest.mark.anyio

BOARDS = ["kart", "b/2", "{tag}:%"]
NAMES = ["v", "silverhand", "a b", "Zoë", "🏆", "stale", "w", "\U0010ffff"]
SCORES = [0, -0.0, 1, 2, 3, 5, -3, 0.1, 0.5, 5e-324, 1e308, -1e308, 2**53, 2**53 - 1, 2**53 + 2, 1e20, 0.1 + 0.2]
WINDOWS = ["daily", "weekly", "monthly", "0 */6 * * *"]
FIELDS = ["place", "total", "percentile", "metadata", "submittedAt", "windows", "held"]
SUMMARIES: list[dict[str, object]] = [{}, {"percentiles": "0,33.3333,100", "buckets": 3}, {"buckets": 100}]
TIMES = re.compile(rb"(\d\d:\d\d:\d\d)(\.\d+)?(Z|\+00:00)")
CURSORS = re.compile(rb'"next":"[^"]*"')
PERIOD = re.compile(r'"period":"([^"]*)"')


class Answer(NamedTuple):
    """What a service answered, without what differs by nature, and the cursor in it."""

    status: int
    headers: tuple[Any, ...]
    body: bytes
    cursor: str | None


async def ask(routes: Routes, method: str, path: str, body: object, headers: dict[bytes, bytes]) -> Answer:
    """Send one request."""
    path, _, query = path.partition("?")
    content = b"" if body is None else json.dumps(body).encode()
    response = await routes.answer(Request(method, path.encode(), query.encode(), headers, content))
    cursor = CURSORS.search(response.body) if "cursor" in query or path.endswith("/held") else None
    shown = CURSORS.sub(b'"next":"*"', response.body) if cursor else response.body
    sent = json.loads(b"{%b}" % cursor.group())["next"] if cursor else None
    return Answer(response.status, tuple(response.headers), TIMES.sub(rb"\1\3", shown), sent)


class Walk:
    """A random sequence of requests."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.periods = ["2026-11-22"]

    def _score(self) -> float:
        return self.random.choice(SCORES)

    def _options(self, **given: object) -> dict[str, object]:
        return {key: value for key, value in given.items() if value is not None}

    def definition(self) -> dict[str, Any]:
        """Return a definition, of any combination of rules."""
        pick = self.random.choice
        windows = self.random.sample(WINDOWS, pick([0, 0, 1, 2]))
        guard = self._options(max_step=pick([None, 3]), per_player=pick([None, "3/h"]), hold_above=pick([None, 2, -2]))
        return self._options(
            order=pick(["descending", "ascending"]),
            operator=pick(["latest", "best", "increment"]),
            ties=pick(["name", "earliest", "latest"]),
            ranking=pick(["ordinal", "competition", "dense"]),
            scores=pick([None, None, None, {"min": -2}, {"max": 5}, {"integer": True}]),
            windows=windows or None,
            keep={window: pick([1, 3]) for window in windows[:1]} or None,
            time_zone=pick([None, "America/New_York"]),
            ttl=pick([None, None, "91m", "30h"]),
            guard=pick([None, None, guard]),
        )

    def entry(self, clock: Clock) -> dict[str, object]:
        """Return what is submitted of one name."""
        pick = self.random.choice
        ago = pick([None, None, None, 7, 10, 5000, 100_000])
        when = None if ago is None else int(clock.now) - ago
        return self._options(
            score=self._score(),
            metadata=pick([None, None, {"a": 1}, [1, "é"], "x" * 50]),
            submittedAt=None if when is None else iso(when),
            operator=pick([None, None, None, None, "latest", "best", "increment"]),
        )

    def step(self, clock: Clock) -> tuple[str, str, object, dict[bytes, bytes]]:
        """Return a request: method, path, body and headers."""
        random = self.random
        board, name = random.choice(BOARDS), random.choice(NAMES)
        window = random.choice([None, None, *WINDOWS])
        where = self._options(
            window=window, period=random.choice([None, random.choice(self.periods)]) if window else None
        )
        headers: dict[bytes, bytes] = {}
        if random.random() < 0.3:
            headers[b"idempotency-key"] = random.choice([b"1", b"2", b"3"])
        kind = random.choices(*zip(*KINDS.items(), strict=True))[0]
        if kind == "submit":
            headers |= {b"prefer": b"return=representation"} if random.random() < 0.5 else {}
            return "POST", at(board, name), self.entry(clock), headers
        if kind == "batch":
            entries = [{"name": random.choice(NAMES), **self.entry(clock)} for _ in range(random.randint(1, 6))]
            return "POST", at(board), {"entries": entries}, headers
        if kind == "read":
            include = random.sample(["rank", "place", "total", "metadata", "submittedAt"], random.randint(0, 5))
            reads: list[dict[str, object]] = [
                {"startRank": random.randint(0, 3), "endRank": random.randint(4, 9)},
                {"around": name, "span": random.randint(0, 3)},
                {"around": name, "limit": random.randint(1, 6)},
                {"name": random.sample(NAMES, 3)},
                {"minScore": -3, "maxScore": self._score(), "limit": 3},
                {"endRank": 2, "include": "cursor"},
            ]
            read = random.choice(reads)
            return "GET", at(board, **({"include": ",".join(include)} if include else {}) | read, **where), None, {}
        simple = {
            "standing": ("GET", at(board, name, **where), None),
            "full": ("GET", at(board, name, include=",".join(random.sample(FIELDS, 4)), **where), None),
            "metadata": ("PATCH", at(board, name, **where), {"metadata": random.choice([None, {"b": 2}])}),
            "remove": ("DELETE", at(board, name, **where), None),
            "drop": ("DELETE", at(board, **where), None),
            "define": ("PUT", at("-", "boards", board), self.definition()),
            "undefine": ("DELETE", at("-", "boards", board), None),
            "show": ("GET", at("-", "boards", board), None),
            "list": ("GET", at("-", "boards", include="count", limit=random.randint(1, 3)), None),
            "periods": ("GET", at("-", "boards", board, "periods", limit=random.randint(1, 4)), None),
            "summary": ("GET", at("-", "boards", board, "summary", **random.choice(SUMMARIES), **where), None),
            "rank": ("GET", at("-", "boards", board, "rank", score=self._score(), **where), None),
            "hide": (random.choice(["PUT", "DELETE"]), at("-", "boards", board, "hidden", name), None),
            "hidden": ("GET", at("-", "boards", board, "hidden", include="metadata", limit=2, **where), None),
            "held": ("GET", at("-", "boards", board, "held", limit=random.randint(1, 3)), None),
            "release": ("POST", at("-", "boards", board, "held", name, "release"), None),
            "reject": ("POST", at("-", "boards", board, "held", name, "reject"), None),
        }
        return (*simple[kind], {})


KINDS = {
    "submit": 30,
    "batch": 10,
    "read": 20,
    "standing": 5,
    "full": 5,
    "metadata": 3,
    "remove": 3,
    "drop": 3,
    "define": 7,
    "undefine": 1,
    "show": 2,
    "list": 2,
    "periods": 2,
    "summary": 3,
    "rank": 3,
    "hide": 4,
    "hidden": 2,
    "held": 3,
    "release": 3,
    "reject": 1,
}


def iso(seconds: int) -> str:
    """Return a time as RFC 3339 has it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def at(*segments: str, **query: Any) -> str:
    """Return a request target."""
    path = "".join("/" + quote(segment, safe="") for segment in segments)
    text = urlencode(query, doseq=True)
    return f"{path}?{text}" if text else path


@pytest.mark.parametrize("seed", range(times(4)))
async def test_side_by_side(redis_server: Node, tmp_path: Path, seed: int) -> None:
    """Each answer is the same: status, headers and body."""
    walk, clock = Walk(seed), Clock(1_795_350_000.0)
    async with AsyncExitStack() as opened:
        stores = [await EmbeddedStore.open(tmp_path / "data", clock=clock), RedisStore(redis_server.url, clock)]
        services = []
        for store in stores:
            opened.push_async_callback(store.close)
            boards = Boards(store, clock=clock)
            await boards.declare()
            services.append(Routes(boards))
        done: list[str] = []
        for _ in range(600):
            clock.now += walk.random.choice([1, 1, 1, 1, 60, 3000, 40_000])
            method, path, body, headers = walk.step(clock)
            done.append(f"{int(clock.now)} {method} {path} {json.dumps(body)} {headers}")
            ours, theirs = [await ask(each, method, path, body, headers) for each in services]
            assert ours[:3] == theirs[:3], "\n".join(done[-400:])
            walk.periods += PERIOD.findall(ours.body.decode()) if path.endswith("periods") else []
            if ours.cursor and theirs.cursor:
                paths = [
                    re.sub(r"\?.*", "", path) + "?" + urlencode({"cursor": each.cursor}) for each in (ours, theirs)
                ]
                found = [await ask(each, "GET", go_on, None, {}) for each, go_on in zip(services, paths, strict=True)]
                assert found[0][:3] == found[1][:3], "\n".join([*done[-40:], str(paths)])
