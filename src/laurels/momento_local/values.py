"""Values: any bytes, mapped to the names that the ranking index takes, in the same order.

The index orders names by their UTF-8, and takes 1 to 256 bytes of it. Latin-1 gives each byte the code point of its
number, and UTF-8 keeps the order of code points, so a short value is its own name. The empty value, and any that begins
with a zero byte, gets one more zero in front, so that the empty one has a name and comes first.

A long value is named by its beginning and a label. Values with the same beginning are a group, kept in order; a new one
gets a label in the middle between its neighbours' labels, and if there is no number between them the group is labelled
anew, evenly. Labels have 96 bits: that happens once in some eighty values that come in the worst order.
"""

from __future__ import annotations

from bisect import bisect_left, insort

SHORT = 112
"""The characters of a name that are of its value: 224 bytes at most, which leaves room for a label."""
LABEL_BITS = 96


def short_name(value: bytes) -> str:
    """Return the name of a value as if it were short."""
    name = value.decode("latin-1")
    return name if name and name[0] != "\0" else "\0" + name


def label(beginning: str, number: int) -> str:
    """Return the name of a long value."""
    return f"{beginning}{number:024x}"


class LongValues:
    """The long values of one set, and their names."""

    def __init__(self) -> None:
        self._groups: dict[str, list[bytes]] = {}
        self._names: dict[bytes, str] = {}
        self._values: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._values)

    def find(self, value: bytes) -> str | None:
        """Return the name of a value, or None if it has none."""
        return self._names.get(value)

    def value(self, name: str) -> bytes:
        """Return the value of a name."""
        return self._values[name]

    def take(self, value: bytes) -> list[tuple[str, str]]:
        """Name a new value; return the old and new names of those that had to be renamed. Amortized O(log group)."""
        beginning = short_name(value)[:SHORT]
        group = self._groups.setdefault(beginning, [])
        place = bisect_left(group, value)
        low = self._number(group[place - 1]) if place else 0
        high = self._number(group[place]) if place < len(group) else 1 << LABEL_BITS
        insort(group, value)
        if high - low < 2:  # noqa: PLR2004 - there is a number between them
            return self._spread(beginning, group)
        self._name(value, label(beginning, (low + high) // 2))
        return []

    def drop(self, value: bytes) -> None:
        """Drop a value and its name."""
        beginning = short_name(value)[:SHORT]
        group = self._groups[beginning]
        del group[bisect_left(group, value)]
        if not group:
            del self._groups[beginning]
        del self._values[self._names.pop(value)]

    def check(self) -> None:
        """Raise AssertionError if the names are not in the order of the values."""
        in_order = sorted(self._names)
        if in_order != [self._values[name] for name in sorted(self._values)]:
            raise AssertionError("the names are not in the order of their values")
        if in_order != [value for _, group in sorted(self._groups.items()) for value in group]:
            raise AssertionError("the groups are not in order, or do not hold what is named")

    def _number(self, value: bytes) -> int:
        return int(self._names[value][SHORT:], 16)

    def _name(self, value: bytes, name: str) -> None:
        self._names[value] = name
        self._values[name] = value

    def _spread(self, beginning: str, group: list[bytes]) -> list[tuple[str, str]]:
        """Label a group evenly; return the old and new names of those that had one."""
        old = {value: self._names[value] for value in group if value in self._names}
        for name in old.values():
            del self._values[name]
        step = (1 << LABEL_BITS) // (len(group) + 1)
        for place, value in enumerate(group, 1):
            self._name(value, label(beginning, place * step))
        return [(name, self._names[value]) for value, name in old.items()]
