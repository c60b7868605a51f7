"""The calls that read scores and ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from laurels.answers import Page, ScoreRank, Standing, StandingInFull, Summary
from laurels.client.calls import Calls, list_fields, own_path, path_of
from laurels.client.errors import NotKept
from laurels.entries import checked_name
from laurels.limits import DEFAULT_PAGE_ENTRIES, DEFAULT_SUMMARY_BUCKETS, NAMES_ASKED, PAGE_ENTRIES, TARGET_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence

    from laurels.answers import Entry
    from laurels.client.calls import Field
    from laurels.stores.contract import Score

FULL_IN_WINDOW = ("place", "total", "percentile", "metadata", "submittedAt")
FULL = (*FULL_IN_WINDOW, "windows")
"""What there is to know of a standing."""
_NAMES_BYTES = TARGET_BYTES // 2
"""Of names in one request's target, encoded."""

_read_standing = msgspec.json.Decoder(Standing)
_read_full_standing = msgspec.json.Decoder(StandingInFull)
_read_page = msgspec.json.Decoder(Page)
_read_summary = msgspec.json.Decoder(Summary)
_read_score_rank = msgspec.json.Decoder(ScoreRank)


class ReadCalls(Calls):
    """The calls that read scores and ranks.

    ``window`` and ``period`` go with all: with ``window`` the call is about one period of that window of the board, by
    default the current one. A board that does not exist reads as an empty one.
    """

    async def standing(
        self, board: str, name: str, *, window: str | None = None, period: str | None = None
    ) -> Standing | None:
        """Return the score and the rank of a name, None if it is not on the board.

        Of a hidden name the rank is None, and ``hidden`` true.
        """
        query = {"window": window, "period": period}
        found = await self._connection.read(_read_standing, path_of(board, name), query)
        return found if found.rank is not None or found.hidden else None

    async def standing_in_full(
        self, board: str, name: str, *, window: str | None = None, period: str | None = None, held: bool = False
    ) -> StandingInFull:
        """Return the standing of a name with all that the service's store can tell of it, of one moment.

        With ``held`` also the score that waits for a moderator, which only that player's token and moderators may see.
        """
        fields = (*(FULL if window is None else FULL_IN_WINDOW), *(["held"] if held else []))
        path, query = path_of(board, name), {"window": window, "period": period}
        try:
            return await self._connection.read(_read_full_standing, path, {"include": ",".join(fields)} | query)
        except NotKept:
            if held:
                raise
        return await self._connection.read(_read_full_standing, path, {"include": "place,total"} | query)

    async def page(
        self,
        board: str,
        start: int = 0,
        stop: int | None = None,
        *,
        include: Iterable[Field] = (),
        total: bool = False,
        window: str | None = None,
        period: str | None = None,
    ) -> Page:
        """Return the entries at the places from ``start`` to ``stop``, exclusive: at most 1,000, by default 20."""
        query = {"startRank": start, "endRank": stop, "window": window, "period": period}
        return await self._read_page(board, query, include, total=total)

    async def pages(
        self,
        board: str,
        *,
        size: int = PAGE_ENTRIES,
        include: Iterable[Field] = (),
        by_cursor: bool = True,
        window: str | None = None,
        period: str | None = None,
    ) -> AsyncIterator[Page]:
        """Yield a whole board, in pages of ``size`` entries, each of one moment.

        An entry that keeps its standing comes once, whatever is submitted or removed meanwhile. Without ``by_cursor``
        the pages go on by place, and that does not hold: it is for stores that cannot go on after an entry (Momento),
        of which NotKept is raised otherwise.
        """
        fields = tuple(include)
        where = {"window": window, "period": period}
        query: Mapping[str, Any] = {"startRank": 0, "endRank": size} | where
        last: Sequence[Entry] = ()
        while True:
            found = await self._read_page(board, query, fields, cursor=by_cursor)
            if found.entries and found.entries == last:
                self._connection.refuse("its pages do not end")
            yield found
            if by_cursor:
                if found.next is None:
                    return
                if len(found) < size or found.next == query.get("cursor"):
                    self._connection.refuse("its pages do not end")
                query = {"cursor": found.next}
            elif len(found) < size:
                return
            else:
                start = query["endRank"]
                query = {"startRank": start, "endRank": start + size} | where
            last = found.entries

    async def entries(
        self,
        board: str,
        *,
        include: Iterable[Field] = (),
        by_cursor: bool = True,
        window: str | None = None,
        period: str | None = None,
    ) -> AsyncIterator[Entry]:
        """Yield all entries of a board, best first, as :meth:`pages` has them."""
        async for page in self.pages(board, include=include, by_cursor=by_cursor, window=window, period=period):
            for entry in page:
                yield entry

    async def around(
        self,
        board: str,
        name: str,
        *,
        span: int | None = None,
        limit: int | None = None,
        include: Iterable[Field] = (),
        total: bool = False,
        window: str | None = None,
        period: str | None = None,
    ) -> Page:
        """Return a name with ``span`` entries above and below it, 5 by default and at most 500.

        With ``limit`` instead so many in all, with the name as near to the middle as the ends of the board allow.
        Raises NameMissing.
        """
        query = {"around": checked_name(name), "span": span, "limit": limit, "window": window, "period": period}
        return await self._read_page(board, query, include, total=total)

    async def between(
        self,
        board: str,
        low: Score | None = None,
        high: Score | None = None,
        *,
        limit: int = DEFAULT_PAGE_ENTRIES,
        include: Iterable[Field] = (),
        total: bool = False,
        window: str | None = None,
        period: str | None = None,
    ) -> Page:
        """Return the first ``limit`` entries whose scores are from ``low`` to ``high``, both included; one may be None.

        At most 1,000 of them.
        """
        query = {"minScore": low, "maxScore": high, "limit": limit, "window": window, "period": period}
        return await self._read_page(board, query, include, total=total)

    async def names(
        self,
        board: str,
        names: Iterable[str],
        *,
        include: Iterable[Field] = (),
        total: bool = False,
        window: str | None = None,
        period: str | None = None,
    ) -> Page:
        """Return the entries of these names by rank, and under ``missing`` those that are not on the board.

        Up to 100 names are read at one moment, or fewer if they are long; of more every part is of its own moment.
        """
        fields = tuple(include)
        found = [
            await self._read_page(board, {"name": some, "window": window, "period": period}, fields, total=total)
            for some in _split(dict.fromkeys(names))
        ]
        if len(found) == 1:
            return found[0]
        entries = sorted((entry for page in found for entry in page), key=lambda entry: entry.rank)
        missing = tuple(name for page in found for name in page.missing)
        return Page(tuple(entries), found[-1].total if found else None, missing)

    async def summary(
        self,
        board: str,
        *,
        percentiles: Iterable[float | str] | None = None,
        buckets: int | None = None,
        window: str | None = None,
        period: str | None = None,
    ) -> Summary:
        """Return a board in a few figures: how many entries, the best and the worst score, percentiles, a histogram.

        ``percentiles`` are from 0 to 100, by default 50, 90 and 99, and count from the worst entry; ``buckets`` is how
        many the histogram has, 10 by default.
        """
        asked = None if percentiles is None else ",".join(map(str, percentiles))
        query = {"percentiles": asked, "buckets": buckets, "window": window, "period": period}
        found = await self._connection.read(_read_summary, own_path(board, "summary"), query)
        if len(found.histogram) > (buckets or DEFAULT_SUMMARY_BUCKETS):
            self._connection.refuse("it sent more buckets than were asked for")
        return found

    async def rank_of(
        self, board: str, score: Score, *, window: str | None = None, period: str | None = None
    ) -> ScoreRank:
        """Return the rank that a score would have, and the percentage of entries that are no better."""
        query = {"score": score, "window": window, "period": period}
        return await self._connection.read(_read_score_rank, own_path(board, "rank"), query)

    async def _read_page(
        self,
        board: str,
        query: Mapping[str, Any],
        include: Iterable[Field],
        *,
        total: bool = False,
        cursor: bool = False,
    ) -> Page:
        fields = ["rank", *include, *(["total"] if total else []), *(["cursor"] if cursor else [])]
        return await self._connection.read(_read_page, path_of(board), {**query, "include": list_fields(fields)})


def _split(names: Iterable[str]) -> Iterator[list[str]]:
    """Yield names in parts that fit into the target of a request."""
    part: list[str] = []
    size = 0
    for name in names:
        more = len(quote(checked_name(name))) + len("&name=")
        if part and (len(part) == NAMES_ASKED or size + more > _NAMES_BYTES):
            yield part
            part, size = [], 0
        part.append(name)
        size += more
    if part:
        yield part
