"""A crowd of made-up players, so that there is something to look at: a season of scores until now, then more, live.

The same seed makes the same players with the same season. They play three games: one for points, one for lap times, and
a crew of theirs collects what they do. A few play much better than most, and much more often, as people do.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from itertools import product
from math import exp, log2
from random import Random
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from laurels.clock import SECOND
from laurels.errors import StoreError
from laurels.stores.contract import FullSubmission

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from laurels.boards import Boards

POINTS, LAPS, CREWS = "star-runner", "ring-road", "crews"
BOARDS = f"""\
[boards.{POINTS}]
title = "Star Runner"
display = {{ country = "country", fields = ["ship"] }}
operator = "best"
ties = "earliest"
ranking = "competition"
windows = ["daily", "weekly"]
keep = {{ daily = 14, weekly = 4 }}

[boards.{LAPS}]
title = "Ring Road, fastest laps"
display = {{ format = "duration", unit = "ms", country = "country" }}
order = "ascending"
operator = "best"
ties = "earliest"
windows = ["weekly"]

[boards.{CREWS}]
title = "Crews of the season"
operator = "increment"
scores = {{ integer = true }}
windows = ["daily"]
keep = {{ daily = 14 }}
"""
"""The boards file of what they play."""
SEASON_DAYS = 21
DAY = 24 * 60 * 60
BATCH = 1000
ONLINE, REGULARS = 60, 40
"""How many play at a time, and how many of the best never leave for long."""
STARTS = (
    "Ar",
    "Bel",
    "Ca",
    "Dor",
    "El",
    "Fin",
    "Ga",
    "Hal",
    "Io",
    "Ju",
    "Ka",
    "Lu",
    "Mi",
    "No",
    "Or",
    "Pe",
    "Ra",
    "Si",
)
MIDDLES = ("", "la", "mi", "ra", "ne", "to", "ve", "shi")
ENDS = ("a", "en", "i", "ko", "lin", "ma", "n", "rah", "s", "to", "vik", "wen")
COUNTRIES = ("DE", "US", "BR", "JP", "FR", "IN", "PL", "KR", "MX", "NG", "SE", "ID", "ES", "CA", "EG", "NZ")
SHIPS = ("Comet", "Heron", "Lantern", "Magpie", "Orca", "Wren")
CREW_NAMES = tuple(
    f"{of} {what}" for what in ("Foxes", "Comets", "Pilots") for of in ("Amber", "Blue", "Cobalt", "North")
)


class Player(Struct):
    """A player: ``skill`` is 1 of most, and above 2 of few; ``keenness`` is how often they play in a season."""

    name: str
    crew: str
    metadata: bytes
    skill: float
    keenness: int
    games: int = 0


class Crowd:
    """The players, and what they play."""

    def __init__(self, players: int, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - a game
        self.players = list(self._make(players))
        best = sorted(self.players, key=lambda each: -each.skill)
        self._regulars = best[:REGULARS]
        self._online = self._random.choices(self.players, k=ONLINE)

    def _make(self, count: int) -> Iterator[Player]:
        draw = self._random
        names = ["".join(parts) for parts in product(STARTS, MIDDLES, ENDS)]
        draw.shuffle(names)
        for at in range(count):
            again = at // len(names)
            fields = {"country": draw.choice(COUNTRIES), "ship": draw.choice(SHIPS)}
            yield Player(
                names[at % len(names)] + (str(again + 1) if again else ""),
                draw.choice(CREW_NAMES),
                msgspec.json.encode(fields),
                skill=exp(draw.gauss(0, 0.3)),
                keenness=min(40, int(3 * draw.paretovariate(1.3))),
            )

    def season(self, until: float) -> Iterator[tuple[str, list[FullSubmission]]]:
        """Yield batches, each with its board: what was played in the days before a time, the oldest first."""
        draw = self._random
        games = [
            (draw.uniform(1, SEASON_DAYS * DAY), at)
            for at, each in enumerate(self.players)
            for _ in range(each.keenness)
        ]
        batches: dict[str, list[FullSubmission]] = {}
        for before, at in sorted(games, reverse=True):
            for board, each in self._play(self.players[at], int((until - before) * SECOND)):
                batch = batches.setdefault(board, [])
                batch.append(each)
                if len(batch) == BATCH:
                    yield board, batches.pop(board)
        yield from batches.items()

    def _play(self, player: Player, when: int | None = None) -> Iterator[tuple[str, FullSubmission]]:
        """Yield what one game comes to, each with its board."""
        player.games += 1
        luck = self._random.lognormvariate(0, 0.15)
        shape = player.skill * luck * (1 + 0.08 * log2(player.games))
        points = int(4000 * shape**2)
        lap = int(58_000 + 41_000 / shape)
        board, score = (POINTS, points) if self._random.random() < 0.6 else (LAPS, lap)  # noqa: PLR2004 - more like it
        yield board, FullSubmission(player.name, score, player.metadata, when)
        yield CREWS, FullSubmission(player.crew, points // 100, None, when)

    @asynccontextmanager
    async def playing(self, boards: Boards, now: float, rate: float) -> AsyncIterator[None]:
        """Have played the season until now, and go on with so many games a second inside."""
        for board, batch in self.season(now):
            await boards.submit_many(board, batch)
        live = asyncio.create_task(self._play_on(boards, rate))
        try:
            yield
        finally:
            live.cancel()
            with suppress(asyncio.CancelledError):
                await live

    async def _play_on(self, boards: Boards, rate: float) -> None:
        draw = self._random
        while True:
            await asyncio.sleep(draw.expovariate(rate))
            self._online[draw.randrange(ONLINE)] = draw.choice(self.players)
            for board, each in self._play(draw.choice(draw.choice((self._regulars, self._online)))):
                with suppress(StoreError):  # a full disk, say: they play on
                    await boards.submit_in_full(board, each)
