"""The naive ranking that the index is compared with: a dict, sorted anew for every answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from laurels.ranking.index import Score, Ties


@dataclass
class Oracle:
    """Names with their scores and sequences."""

    descending: bool = True
    ties: Ties = "name"
    held: dict[str, tuple[Score, int]] = field(default_factory=dict)

    def entries(self) -> list[tuple[str, Score]]:
        """Give all entries in order, by three stable sorts, the least significant first."""
        names = sorted(self.held, key=str.encode, reverse=self.descending)
        if self.ties != "name":
            names.sort(key=lambda name: self.held[name][1], reverse=self.ties == "latest")
        names.sort(key=lambda name: self.held[name][0], reverse=self.descending)
        return [(name, self.held[name][0]) for name in names]

    def put(self, name: str, score: Score, sequence: int) -> bool:
        """Replace what the name had; tell whether it is new."""
        new = name not in self.held
        self.held[name] = (score, sequence)
        return new

    def remove(self, name: str) -> bool:
        """Forget the name; tell whether it was there."""
        return self.held.pop(name, None) is not None

    def standing(self, name: str) -> tuple[Score, int] | None:
        """Give score and rank."""
        return next(((score, rank) for rank, (other, score) in enumerate(self.entries()) if other == name), None)

    def rank_of_score(self, score: Score) -> int:
        """Count the better scores."""
        return sum(held > score if self.descending else held < score for held, _ in self.held.values())

    def rank_after(self, name: str, score: Score, sequence: int) -> int:
        """Count the entries that do not stand after it, one by one."""
        sign = 0 if self.ties == "name" else 1 if self.descending == (self.ties == "latest") else -1
        place = (score, sign * sequence, name.encode())
        places = [(held, sign * when, other.encode()) for other, (held, when) in self.held.items()]
        return sum(other >= place if self.descending else other <= place for other in places)

    def range(self, low: Score, high: Score, limit: int) -> tuple[int, list[tuple[str, Score]]]:
        """Give the entries between the scores."""
        between = [entry for entry in self.entries() if low <= entry[1] <= high]
        return self.rank_of_score(high if self.descending else low), between[:limit]

    def around(self, name: str, span: int) -> tuple[int, list[tuple[str, Score]]] | None:
        """Give the neighbours."""
        standing = self.standing(name)
        if standing is None:
            return None
        first = max(0, standing[1] - span)
        return first, self.entries()[first : standing[1] + span + 1]
