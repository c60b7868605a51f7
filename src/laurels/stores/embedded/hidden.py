"""The hidden names of the boards, and their entries.

Each board lists its hidden names. Their entries, of the board and of its periods, are in indexes of their own, so that
every read of the others is exact by itself and costs nothing more. To hide or to show a name moves its row for each
key; the row keeps its sequence, and with that its place among ties, its time and its metadata.

**A name stays hidden** until it is shown: also if its entries are removed, the board is dropped, or its time is over.
What a moderator has decided about a name does not depend on whether the name has a score at the moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from laurels.ranking import Index

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from laurels.ranking.index import Row

NAMES_READ = 1000
"""How many names are read from an index at once."""


def add_row(index: Index, row: Row) -> None:
    """Add the row of another index, whose name is new here."""
    name, score, _, sequence, *date = row
    index.submit(name, score, sequence, False, False, date[0] if date else -1)  # noqa: FBT003


class Hidden:
    """``names`` has for a board its hidden names, by their bytes; ``entries`` has for a key the index of theirs.

    Both have no empty index. ``count`` is how many names are hidden, those of all boards together.
    """

    __slots__ = ("count", "entries", "names")

    def __init__(self) -> None:
        self.names: dict[str, Index] = {}
        self.entries: dict[str, Index] = {}
        self.count = 0

    def __contains__(self, where: tuple[str, str]) -> bool:
        """Return whether a name, behind its board, is hidden."""
        board, name = where
        return name in self.names.get(board, ())

    def add_name(self, board: str, name: str) -> bool:
        """Count a name as hidden; return whether it was not."""
        names = self.names.get(board)
        if names is None:
            names = self.names[board] = Index(descending=False)
        is_new = names.put(name, 0)
        self.count += is_new
        return is_new

    def remove_name(self, board: str, name: str) -> None:
        """Count a hidden name no longer as hidden."""
        names = self.names[board]
        names.remove(name)
        self.count -= 1
        if not len(names):
            del self.names[board]

    def names_after(self, board: str, after: str) -> Iterator[str]:
        """Yield the hidden names of a board after a name, by their bytes."""
        names = self.names.get(board)
        place = names.place_after(after, 0) if names and after else 0
        while names and (page := names.page(place, place + NAMES_READ)):
            yield from (name for name, _ in page)
            place += NAMES_READ

    def all_names(self) -> Iterable[tuple[str, str]]:
        """Yield every hidden name behind its board."""
        return ((board, name) for board in sorted(self.names) for name in self.names_after(board, ""))

    def remove(self, key: str, name: str) -> bool:
        """Remove the entry of a hidden name; return whether it was there."""
        index = self.entries.get(key)
        if index is None or not index.remove(name):
            return False
        if not len(index):
            del self.entries[key]
        return True
