"""The rows of one board on two sides, by their names: read some at a time, in the order of the board."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from laurels.cli.rows import DetailedEntry, HiddenRow
from laurels.stores.contract import Entry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from laurels.cli.pages import Copy
    from laurels.stores.contract import Score


class Row(NamedTuple):
    """An entry as it is compared, and sent; ``place`` is its number among those of its side."""

    place: int
    name: str
    score: Score
    submitted_at: str | None
    metadata: bytes | None

    def is_as(self, other: Row | None) -> bool:
        """Return whether another side has this entry; a time that this one does not know is any."""
        return (
            other is not None
            and self.score == other.score
            and self.metadata == other.metadata
            and self.submitted_at in {None, other.submitted_at}
        )

    def is_before(self, other: Row) -> bool:
        """Return whether this entry is older than another, so that it is not what that became."""
        return self.submitted_at is not None and self.submitted_at < (other.submitted_at or "")

    def entry(self) -> Entry:
        """Return what is sent."""
        if self.submitted_at is None and self.metadata is None:
            return Entry(self.name, self.score)
        metadata = None if self.metadata is None else msgspec.Raw(self.metadata)
        return DetailedEntry(self.name, self.score, metadata, self.submitted_at)

    def __str__(self) -> str:
        """Return what there is besides the name, in words."""
        metadata = f" with {self.metadata.decode()}" if self.metadata else ""
        return f"{self.score} of {self.submitted_at or 'no time'}{metadata}"


async def read_rows(copy: Copy) -> AsyncIterator[list[Row]]:
    """Yield the rows of a board in pages; hidden names without an entry are left out."""
    place = 0
    async for page in copy.pages():
        rows: list[Row] = []
        for each in page:
            if each.score is None:
                continue
            metadata, time = None, None
            if isinstance(each, DetailedEntry | HiddenRow):
                metadata, time = each.metadata, each.submitted_at
            rows.append(Row(place, each.name, each.score, time, bytes(metadata) if metadata else None))
            place += 1
        yield rows


async def pair(
    here: AsyncIterator[list[Row]], there: AsyncIterator[list[Row]]
) -> AsyncIterator[tuple[Row | None, Row | None]]:
    """Yield what each name has on both sides, None for a side that does not have it.

    Rows wait for those of their name: sides that agree cost a page of memory each, and so do those of which one is
    empty.
    """
    ours, theirs = dict[str, Row](), dict[str, Row]()
    page: list[Row] | None = []
    other_page: list[Row] | None = []
    while page is not None or other_page is not None:
        page = None if page is None else await anext(here, None)
        other_page = None if other_page is None else await anext(there, None)
        ours |= {row.name: row for row in page or ()}
        theirs |= {row.name: row for row in other_page or ()}
        met = [row.name for row in (*(page or ()), *(other_page or ())) if row.name in ours and row.name in theirs]
        for name in [*ours] if other_page is None else dict.fromkeys(met):
            yield ours.pop(name), theirs.pop(name, None)
    for row in theirs.values():
        yield None, row
