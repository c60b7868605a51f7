"""Caches: items by their keys, each until it expires."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from laurels.momento_local.errors import AlreadyThere, BadArgument, NotThere, WrongKind
from laurels.momento_local.sets import SortedSet
from laurels.momento_local.topics import Topic

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_NAME = 256


@dataclass(slots=True)
class Scalar:
    """A single value."""

    kind: ClassVar[str] = "scalar"
    body: bytes
    expires: float


class Cache:
    """Items by their keys, and topics by their names, numbered on one ``page``. ``clock`` is in seconds.

    An expired item counts as missing. Each call that makes an item also checks two others, in turns, and drops those
    that have expired: so the expired never outnumber the rest for long, and no call waits for a sweep of all.
    """

    def __init__(self, clock: Callable[[], float], page: int) -> None:
        self._clock = clock
        self._page = page
        self._topics: dict[str, Topic] = {}
        self._items: OrderedDict[bytes, Scalar | SortedSet] = OrderedDict()

    def __len__(self) -> int:
        return len(self._items)

    def sorted_set(self, key: bytes) -> SortedSet | None:
        """Return a sorted set, or None if there is no item; raise WrongKind if the item is no sorted set."""
        item = self._item(key)
        if item is None or isinstance(item, SortedSet):
            return item
        raise WrongKind(key, item.kind, SortedSet.kind)

    def scalar(self, key: bytes) -> Scalar | None:
        """Return a scalar, or None if there is no item; raise WrongKind if the item is no scalar."""
        item = self._item(key)
        if item is None or isinstance(item, Scalar):
            return item
        raise WrongKind(key, item.kind, Scalar.kind)

    def set_for(self, key: bytes, milliseconds: int, *, refresh: bool) -> SortedSet:
        """Return the sorted set, made if it is missing; the TTL is set if the set is new, or with ``refresh``."""
        expires = self.expiry(milliseconds)
        found = self.sorted_set(key)
        if found is None:
            found = SortedSet(expires)
            self.keep(key, found)
        elif refresh:
            found.expires = expires
        return found

    def keep(self, key: bytes, item: Scalar | SortedSet) -> None:
        """Keep an item, in place of the one that may be there."""
        self._sweep()
        self._items[key] = item

    def drop(self, key: bytes) -> None:
        """Drop an item, if it is there."""
        self._items.pop(key, None)

    def clear(self) -> None:
        """Drop all items."""
        self._items.clear()

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

    def _item(self, key: bytes) -> Scalar | SortedSet | None:
        item = self._items.get(key)
        if item is not None and item.expires <= self._clock():
            del self._items[key]
            return None
        return item

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

    def __init__(self, clock: Callable[[], float], page: int = 1) -> None:
        self._clock = clock
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
        self._caches[name] = Cache(self._clock, next(self._pages))

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
