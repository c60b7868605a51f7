"""Caches: items by their keys, each until it expires, and leaderboards and topics by their names."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, ClassVar

from laurels.momento_local.errors import AlreadyThere, BadArgument, NotThere, TooMuch, WrongKind
from laurels.momento_local.sets import SortedSet
from laurels.momento_local.topics import Topic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from laurels.momento_local.ranked import Leaderboard

LONGEST_NAME = 256
LONGEST_TTL = 2**64 - 1
LARGEST_ITEM = 5 * 1024 * 1024
"""The bytes of an item with its key, unless an account has another quota."""


@dataclass(slots=True)
class Scalar:
    """A single value."""

    kind: ClassVar[str] = "scalar"
    body: bytes
    expires: float

    @property
    def size(self) -> int:
        """The bytes of it."""
        return len(self.body)


Item = Scalar | SortedSet


class Cache:
    """Items by their keys, and topics by their names, numbered on one ``page``. ``clock`` is in seconds.

    An item and its key have ``largest`` bytes at most. A leaderboard is no item: it stays until it is deleted.

    An expired item counts as missing. Each call that makes an item also checks two others, in turns, and drops those
    that have expired: so the expired never outnumber the rest for long, and no call waits for a sweep of all.
    """

    def __init__(self, clock: Callable[[], float], page: int, largest: int = LARGEST_ITEM) -> None:
        self.leaderboards: dict[str, Leaderboard] = {}
        self._clock = clock
        self._page = page
        self._largest = largest
        self._topics: dict[str, Topic] = {}
        self._items: OrderedDict[bytes, Item] = OrderedDict()

    def __len__(self) -> int:
        return len(self._items)

    def item(self, key: bytes) -> Item | None:
        """Return an item of any kind, or None if it is missing."""
        item = self._items.get(key)
        if item is not None and item.expires <= self._clock():
            del self._items[key]
            return None
        return item

    def sorted_set(self, key: bytes) -> SortedSet | None:
        """Return a sorted set, or None if there is no item; raise WrongKind if the item is no sorted set."""
        item = self.item(key)
        if item is None or isinstance(item, SortedSet):
            return item
        raise WrongKind(key, item.kind, SortedSet.kind)

    def scalar(self, key: bytes) -> Scalar | None:
        """Return a scalar, or None if there is no item; raise WrongKind if the item is no scalar."""
        item = self.item(key)
        if item is None or isinstance(item, Scalar):
            return item
        raise WrongKind(key, item.kind, Scalar.kind)

    def set_for(self, key: bytes, milliseconds: int, *, refresh: bool, values: Iterable[bytes] = ()) -> SortedSet:
        """Return the sorted set to put values in, made if it is missing; raise TooMuch if they do not fit.

        The TTL is set if the set is new, or with ``refresh``.
        """
        expires = self.expiry(milliseconds)
        found = self.sorted_set(key)
        target = SortedSet(expires) if found is None else found
        self._check_size(key, target.size_with(values))
        if found is None:
            self.keep(key, target)
        elif refresh:
            target.expires = expires
        return target

    def keep(self, key: bytes, item: Item) -> None:
        """Keep an item, in place of the one that may be there; raise TooMuch if it is too large."""
        self._check_size(key, item.size)
        self._sweep()
        self._items[key] = item

    def drop(self, key: bytes) -> None:
        """Drop an item, if it is there."""
        self._items.pop(key, None)

    def clear(self) -> None:
        """Drop all items and leaderboards."""
        self._items.clear()
        self.leaderboards.clear()

    def topic(self, name: str) -> Topic:
        """Return a topic; it is made by its first use."""
        if not name:
            raise BadArgument("The name of a topic is empty: give at least one character.")
        return self._topics.setdefault(name, Topic(self._page))

    def end(self) -> None:
        """End all subscriptions."""
        for topic in self._topics.values():
            topic.end()

    def expiry(self, milliseconds: int) -> float:
        """Return the time at which a TTL that begins now ends; raise BadArgument for a TTL of 0."""
        if milliseconds == 0:
            raise BadArgument("ttl_milliseconds is 0: give at least 1.")
        return self._clock() + milliseconds / 1000

    def remaining(self, item: Item) -> int:
        """Return the milliseconds that an item has left, at least 1."""
        return min(ceil((item.expires - self._clock()) * 1000), LONGEST_TTL)

    def _check_size(self, key: bytes, size: int) -> None:
        if len(key) + size > self._largest:
            problem = f"The item {key[:LONGEST_NAME]!r} would have {len(key) + size:,} bytes with its key, over"
            limit = f"the item size limit of {self._largest:,}, which --max-item-bytes sets"
            raise TooMuch("item_size_limit_exceeded", f"{problem} {limit}.")

    def _sweep(self) -> None:
        now = self._clock()
        for _ in range(min(2, len(self._items))):
            key, item = next(iter(self._items.items()))
            if item.expires <= now:
                del self._items[key]
            else:
                self._items.move_to_end(key)


class Caches:
    """The caches of a server, by their names. The topics of each cache have a page of their own, from ``page`` on."""

    def __init__(self, clock: Callable[[], float], page: int = 1, largest: int = LARGEST_ITEM) -> None:
        self._clock = clock
        self._largest = largest
        self._pages = itertools.count(page)
        self._caches: dict[str, Cache] = {}

    def __getitem__(self, name: str) -> Cache:
        cache = self._caches.get(name)
        if cache is None:
            raise NotThere("cache", checked_name(name))
        return cache

    def names(self) -> list[str]:
        """Return the names of the caches, sorted."""
        return sorted(self._caches)

    def create(self, name: str) -> None:
        """Make an empty cache; raise AlreadyThere if there is one of that name."""
        if checked_name(name) in self._caches:
            raise AlreadyThere("cache", name)
        self._caches[name] = Cache(self._clock, next(self._pages), self._largest)

    def delete(self, name: str) -> None:
        """Delete a cache with everything in it; raise NotThere if there is none of that name."""
        self[name].end()
        del self._caches[name]

    def end(self) -> None:
        """End all subscriptions."""
        for cache in self._caches.values():
            cache.end()


def checked_name(name: str) -> str:
    """Return the name if a cache may have it; raise BadArgument if not."""
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise BadArgument(
            f"The name of a cache is 1 to {LONGEST_NAME} printable characters, not {name[:LONGEST_NAME]!r}."
        )
    return name
