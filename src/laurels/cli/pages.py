"""The export of a whole board over HTTP: its entries, fetched in pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from laurels.cli.errors import RequestRefused
from laurels.cli.rows import DetailedEntry, HiddenRow
from laurels.limits import PAGE_ENTRIES
from laurels.stores.contract import Entry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from msgspec import Raw

    from laurels.cli.client import Client, FullPage, Period
    from laurels.http.wire import HiddenEntry, ReadEntry
    from laurels.stores.contract import Score

NOT_KEPT = 422
"""The status if the store cannot do what is asked for."""
FORBIDDEN = frozenset({401, 403})
UNSEEN = FORBIDDEN | {404, NOT_KEPT}
"""The statuses if hidden names cannot be listed: by who asks, by a service before 0.7, or by its store."""


class Copy:
    """The entries of a board or of a period, some at a time, from the first to the last.

    ``has_details`` says whether they have their times and metadata, and ``has_cursors`` whether the service goes on
    after an entry. If it does not, an entry may be missing or come twice, because others are submitted or removed.
    ``damaged`` counts the entries whose metadata is damaged, and left out. Hidden names come first, if one may see
    them: ``has_hidden`` says whether there are any, ``may_see_hidden`` whether one may.
    """

    def __init__(self, client: Client, board: str, when: Period, *, scores_only: bool) -> None:
        self._client = client
        self._board = board
        self._when = when
        self.has_details = not scores_only
        self.has_cursors = True
        self.has_hidden = False
        self.may_see_hidden = True
        self.damaged = 0

    async def pages(self) -> AsyncIterator[Sequence[Entry | HiddenRow]]:
        """Yield the entries; those that tie in score and time in the order in which they were sent."""
        first = await self._first_page()
        if first is not None:  # a store without cursors does not hide names either
            async for rows in self._hidden_pages():
                self.has_hidden = True
                yield rows
        if first is None:
            pages = self._pages_by_rank()
        elif self.has_details and await self._has_latest_first():
            pages = _in_sent_order(self._pages_after(first))
        else:
            pages = self._pages_after(first)
        async for page in pages:
            yield page

    async def _first_page(self) -> FullPage | None:
        """Return the first page, or None if the service knows no cursors, times or metadata."""
        self._include = "cursor,metadata,submittedAt" if self.has_details else "cursor"
        query = {"startRank": "0", "endRank": str(PAGE_ENTRIES), "include": self._include}
        try:
            return await self._client.full_page(self._board, query | self._when.query)
        except RequestRefused as refusal:
            if refusal.status != NOT_KEPT:
                raise
            self.has_details = self.has_cursors = False
            return None

    async def _hidden_pages(self) -> AsyncIterator[Sequence[HiddenRow]]:
        """Yield the hidden names: of a board all, of a period those that have an entry there."""
        include = "metadata,submittedAt" if self.has_details else None
        try:
            async for page in self._client.hidden(self._board, self._when, include):
                rows = [_make_hidden(each) for each in page if each.score is not None or self._when.window is None]
                self.damaged += sum(each.metadata_damaged is True for each in page)
                if rows:
                    yield rows
        except RequestRefused as refusal:
            if refusal.status not in UNSEEN:
                raise
            self.may_see_hidden = refusal.status not in FORBIDDEN

    async def _pages_after(self, page: FullPage) -> AsyncIterator[Sequence[Entry]]:
        yield self._entries(page)
        while page.next is not None:
            page = await self._client.full_page(self._board, {"cursor": page.next, "include": self._include})
            yield self._entries(page)

    def _entries(self, page: FullPage) -> Sequence[Entry]:
        self.damaged += sum(entry.metadata_damaged is True for entry in page.leaderboard)
        return [_make_entry(entry) for entry in page.leaderboard]

    async def _pages_by_rank(self) -> AsyncIterator[Sequence[Entry]]:
        start = 0
        is_last = False
        while not is_last:
            page = await self._client.page(self._board, start, start + PAGE_ENTRIES, self._when)
            yield page
            start += PAGE_ENTRIES
            is_last = len(page) < PAGE_ENTRIES

    async def _has_latest_first(self) -> bool:
        try:
            return (await self._client.definition(self._board)).ties == "latest"
        except RequestRefused:  # it has neither entries nor a definition
            return False


def _make_hidden(entry: HiddenEntry) -> HiddenRow:
    return HiddenRow(entry.name, entry.score, _metadata_of(entry), entry.submitted_at or None, hidden=True)


def _metadata_of(entry: HiddenEntry | ReadEntry) -> Raw | None:
    metadata = entry.metadata or None
    return None if metadata and bytes(metadata) == b"null" else metadata


def _make_entry(entry: ReadEntry) -> Entry:
    metadata = _metadata_of(entry)
    if metadata or entry.submitted_at:
        return DetailedEntry(entry.name, entry.score, metadata, entry.submitted_at or None)
    return Entry(entry.name, entry.score)


async def _in_sent_order(pages: AsyncIterator[Sequence[Entry]]) -> AsyncIterator[Sequence[Entry]]:
    """Turn those around that tie in score and time, of which the last that was sent comes first."""
    tied: list[Entry] = []
    async for page in pages:
        ready: list[Entry] = []
        for entry in page:
            if tied and _moment(tied[0]) != _moment(entry):
                ready += reversed(tied)
                tied = []
            tied.append(entry)
        yield ready
    yield tied[::-1]


def _moment(entry: Entry) -> tuple[Score, str | None]:
    return entry.score, entry.submitted_at if isinstance(entry, DetailedEntry) else None
