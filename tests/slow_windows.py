"""The boundaries of windows by their definition: one wall time after another, each looked up in its zone."""

from __future__ import annotations

from bisect import bisect_left
from datetime import datetime, timedelta
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from cronsim import CronSim

from laurels.wall_clock import load_zone

if TYPE_CHECKING:
    from collections.abc import Iterator

SECOND = timedelta(seconds=1)


class SlowCalendar:
    """The boundaries of a cron line in a zone."""

    def __init__(self, line: str, zone: str) -> None:
        self._line = line
        self._zone = load_zone(zone)
        # Which of the times that are shown twice are boundaries: both if the line means elapsed time, or the first.
        self._passes = (0, 1) if "*" in {field[0] for field in line.split()[:2]} else (0,)

    def back(self, instant: int) -> Iterator[tuple[int, datetime]]:
        """Walk back over the boundaries up to an instant: when each came, and the last wall time that came then."""
        boundaries = merge(*(self._back(instant, fold) for fold in self._passes), reverse=True)
        return (next(same) for _, same in groupby(boundaries, key=itemgetter(0)))

    def stop(self, instant: int) -> int:
        """Return the first boundary after an instant."""
        return min(next(self._ahead(instant, fold)) for fold in self._passes)

    def _back(self, instant: int, fold: int) -> Iterator[tuple[int, datetime]]:
        # In a time that is shown twice, wall times ahead of what is shown now may have come already, the first time.
        shown, repeated = self._wall_clock(instant)
        walls = CronSim(self._line, shown + repeated + SECOND, reverse=True)
        return ((at, wall) for wall in walls for at in self._instants_of(wall, fold) if at <= instant)

    def _ahead(self, instant: int, fold: int) -> Iterator[int]:
        shown, repeated = self._wall_clock(instant)
        walls = CronSim(self._line, shown - repeated)
        return (at for wall in walls for at in self._instants_of(wall, fold) if at > instant)

    def _wall_clock(self, instant: int) -> tuple[datetime, timedelta]:
        """Return what the wall clock shows, and how much of that time it shows twice."""
        moment = datetime.fromtimestamp(instant, self._zone)
        first, second = moment.replace(fold=0).utcoffset(), moment.replace(fold=1).utcoffset()
        assert first is not None
        assert second is not None
        return moment.replace(tzinfo=None), first - second

    def _instants_of(self, wall: datetime, fold: int) -> Iterator[int]:
        instant = self._instant(wall, fold)
        if self._wall_clock(instant)[0] == wall:
            yield instant
        elif len(self._passes) == 1:
            # PEP 495 maps a skipped time to an instant after the skip with fold 0, before it with 1: search in between.
            before, after = self._instant(wall, 1), self._instant(wall, 0)
            ahead = self._offset(after)
            yield before + bisect_left(range(before, after), 1, key=lambda second: self._offset(second) == ahead)

    def _instant(self, wall: datetime, fold: int) -> int:
        return int(wall.replace(tzinfo=self._zone, fold=fold).timestamp())

    def _offset(self, instant: int) -> timedelta | None:
        return datetime.fromtimestamp(instant, self._zone).utcoffset()
