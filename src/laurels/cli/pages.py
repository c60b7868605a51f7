"""The export of a whole board over HTTP: its entries, fetched in pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from laurels.cli.client import format_instant
from laurels.cli.rows import DetailedEntry, HiddenRow
from laurels.client.errors import RequestRefused
from laurels.stores.contract import Entry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from msgspec import Raw

    from laurels import answers
    from laurels.cli.client import CommandClient, Period
    from laurels.stores.contract import Score

NOT_KEPT = 422
"""The status if the store cannot do what is asked for."""
DETAILS: Sequence[Literal["metadata", "submitted_at"]] = ("metadata", "submitted_at")
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

    def __init__(self, client: CommandClient, board: str, when: Period, *, scores_only: bool) -> None:
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
        pages = self._pages_by_cursor()
        first = await self._take_first(pages)
        if first is None:  # a store without cursors does not hide names either
            async for each in self._client.pages(self._board, by_cursor=False, **self._when.where):
                yield self._entries(each)
            return
        async for rows in self._hidden_rows():
            self.has_hidden = True
            yield rows
        rest = self._entries_of(first, pages)
        async for page in _in_sent_order(rest) if self.has_details and await self._has_latest_first() else rest:
            yield page

    def _pages_by_cursor(self) -> AsyncIterator[answers.Page]:
        fields = DETAILS if self.has_details else ()
        return self._client.pages(self._board, include=fields, **self._when.where)

    async def _take_first(self, pages: AsyncIterator[answers.Page]) -> answers.Page | None:
        """Return the first page, or None if the service knows no cursors, times or metadata."""
        try:
            return await anext(pages)
        except RequestRefused as refusal:
            if refusal.status != NOT_KEPT:
                raise
            self.has_details = self.has_cursors = False
            return None

    async def _hidden_rows(self) -> AsyncIterator[Sequence[HiddenRow]]:
        """Yield the hidden names: of a board all, of a period those that have an entry there."""
        fields = DETAILS if self.has_details else ()
        try:
            async for each in self._client.hidden(self._board, include=fields, **self._when.where):
                self.damaged += each.metadata_damaged
                if each.score is not None or self._when.window is None:
                    yield [_make_hidden(each)]
        except RequestRefused as refusal:
            if refusal.status not in UNSEEN:
                raise
            self.may_see_hidden = refusal.status not in FORBIDDEN

    async def _entries_of(
        self, first: answers.Page, others: AsyncIterator[answers.Page]
    ) -> AsyncIterator[Sequence[Entry]]:
        yield self._entries(first)
        async for page in others:
            yield self._entries(page)

    def _entries(self, page: answers.Page) -> Sequence[Entry]:
        self.damaged += sum(entry.metadata_damaged for entry in page)
        return [_make_entry(entry) for entry in page]

    async def _has_latest_first(self) -> bool:
        try:
            return (await self._client.definition(self._board)).ties == "latest"
        except RequestRefused:  # it has neither entries nor a definition
            return False


def _make_hidden(entry: answers.HiddenEntry) -> HiddenRow:
    return HiddenRow(entry.name, entry.score, _metadata_of(entry), _time_of(entry), hidden=True)


def _metadata_of(entry: answers.WithMetadata) -> Raw | None:
    return None if bytes(entry.metadata_json) == b"null" else entry.metadata_json


def _time_of(entry: answers.Entry | answers.HiddenEntry) -> str | None:
    return format_instant(entry.submitted_at) if entry.submitted_at else None


def _make_entry(entry: answers.Entry) -> Entry:
    metadata, time = _metadata_of(entry), _time_of(entry)
    if metadata or time:
        return DetailedEntry(entry.name, entry.score, metadata, time)
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
