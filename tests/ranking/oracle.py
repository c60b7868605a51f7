"""The naive ranking that the index is compared with: a dict, sorted again for every answer."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from laurels.ranking.index import Operator, Ranking, Row, Score, Ties


@dataclass
class Oracle:
    """Names with their scores and sequences."""

    descending: bool = True
    ties: Ties = "name"
    operator: Operator = "latest"
    ranking: Ranking = "ordinal"
    stamped: bool = False
    held: dict[str, tuple[Score, int]] = field(default_factory=dict)
    ticks: dict[str, int] = field(default_factory=dict)

    def entries(self) -> list[tuple[str, Score]]:
        """Return all entries in order, by three stable sorts, the least significant first."""
        names = sorted(self.held, key=str.encode, reverse=self.descending)
        if self.ties != "name":
            names.sort(key=self.moment, reverse=self.ties == "latest")
        names.sort(key=lambda name: self.held[name][0], reverse=self.descending)
        return [(name, self.held[name][0]) for name in names]

    def rows(self) -> list[Row]:
        """Return all entries in order, with their ranks and sequences."""
        rows: list[Row] = []
        ranks: dict[Score, int] = {}
        for place, (name, score) in enumerate(self.entries()):
            shared = ranks.setdefault(score, len(ranks) if self.ranking == "dense" else place)
            rank = place if self.ranking == "ordinal" else shared
            tick = self.ticks.get(name)
            rows.append((name, score, rank, self.sequence(name), *(() if tick is None else (tick,))))
        return rows

    def moment(self, name: str) -> tuple[int, int]:
        """Return by what ties are ordered."""
        sequence = self.held[name][1]
        return self.ticks.get(name, sequence // 2), sequence

    def sequence(self, name: str) -> int:
        """Return the sequence of a name, 0 if sequences are not kept."""
        return self.held[name][1] if self.stamped or self.ties != "name" else 0

    def put(self, name: str, score: Score, sequence: int) -> bool:
        """Replace what the name had; return whether it is new."""
        new = name not in self.held
        self.hold(name, score, sequence, -1)
        return new

    def hold(self, name: str, score: Score, sequence: int, tick: int) -> None:
        """Keep an entry; one that had a tick has one from then on."""
        self.held[name] = (score, sequence)
        if tick >= 0:
            self.ticks[name] = tick
        elif name in self.ticks:
            self.ticks[name] = sequence // 2

    def submit(
        self, name: str, score: Score, sequence: int, *, refresh: bool, lossy: bool = False, tick: int = -1
    ) -> int | None:
        """Submit by the operator; return 0 if it did not count, 1 if it did, 2 if the name is new, None if refused."""
        if name not in self.held:
            self.hold(name, score, sequence, tick)
            return 2
        old = self.held[name][0]
        if self.operator == "increment":
            total = float(old) + float(score)
            if math.isinf(total) or not self.is_added(Fraction(old), Fraction(score), Fraction(total), lossy=lossy):
                return None
            score = total
        if (score == old and not refresh) or (self.operator == "best" and self.is_better(old, score)):
            return 0
        self.hold(name, score, sequence, tick)
        return 1

    @staticmethod
    def is_added(old: Fraction, more: Fraction, total: Fraction, *, lossy: bool) -> bool:
        """Return whether what a sum has more is what was to be added, to a thousandth, or exactly if both are whole."""
        lost = abs(total - old - more)
        if old.denominator == more.denominator == 1:
            return lost == 0
        return lossy or lost <= abs(more) / 1000

    def is_better(self, score: Score, other: Score) -> bool:
        """Return whether one score is better than another."""
        return score > other if self.descending else score < other

    def remove(self, name: str) -> bool:
        """Remove the name; return whether it was there."""
        self.ticks.pop(name, None)
        return self.held.pop(name, None) is not None

    def row(self, name: str) -> Row | None:
        """Return the row of a name, None if it is not there."""
        return next((row for row in self.rows() if row[0] == name), None)

    def place_of(self, name: str) -> int | None:
        """Return the position of a name, None if it is not there."""
        return next((place for place, row in enumerate(self.entries()) if row[0] == name), None)

    def place_of_score(self, score: Score) -> int:
        """Count the better entries."""
        return sum(self.is_better(held, score) for held, _ in self.held.values())

    def rank_of_score(self, score: Score) -> int:
        """Count the better entries, or the better scores."""
        better = [held for held, _ in self.held.values() if self.is_better(held, score)]
        return len(set(better) if self.ranking == "dense" else better)

    def place_after(self, name: str, score: Score, sequence: int, tick: int = -1) -> int:
        """Count the entries before or at this position, one by one."""
        sign = 0 if self.ties == "name" else 1 if self.descending == (self.ties == "latest") else -1
        place = (score, sign * (sequence // 2 if tick < 0 else tick), sign * sequence, name.encode())
        places = [
            (held, sign * self.moment(other)[0], sign * when, other.encode())
            for other, (held, when) in self.held.items()
        ]
        return sum(other >= place if self.descending else other <= place for other in places)

    def places(self, low: Score, high: Score) -> tuple[int, int]:
        """Return the places of the first entry between the scores and after the last, by counting."""
        first = self.place_of_score(high if self.descending else low)
        return first, first + sum(low <= held <= high for held, _ in self.held.values())
