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
    """A value by itself."""

    kind: ClassVar[str] = "scalar"
    body: bytes
    expires: float


class Cache:
    """Items by their keys, and topics by their names, numbered on one ``page``. ``clock`` tells seconds.

    An item that has expired is not there. Whoever makes an item also looks at two others, in turns, and drops those
    that have expired: so the expired never outnumber the rest for long, and no act waits for a sweep.
    """

    def __init__(self, clock: Callable[[], float], page: int) -> None:
        self._clock = clock
        self._page = page
        self._topics: dict[str, Topic] = {}
        self._items: OrderedDict[bytes, Scalar | SortedSet] = OrderedDict()

    def __len__(self) -> int:
        return len(self._items)

    def sorted_set(self, key: bytes) -> SortedSet | None:
        """Give a sorted set, or None where it is not there; raise WrongKind where the item is none."""
        item = self._item(key)
        if item is None or isinstance(item, SortedSet):
            return item
        raise WrongKind(key, item.kind, SortedSet.kind)

    def scalar(self, key: bytes) -> Scalar | None:
        """Give a scalar, or None where it is not there; raise WrongKind where the item is none."""
        item = self._item(key)
        if item is None or isinstance(item, Scalar):
            return item
        raise WrongKind(key, item.kind, Scalar.kind)

    def set_for(self, key: bytes, milliseconds: int, *, refresh: bool) -> SortedSet:
        """Give a sorted set to put to, new where it is not there; with that TTL if it is new or to be refreshed."""
        expires = self.expiry(milliseconds)
        found = self.sorted_set(key)
        if found is None:
            found = SortedSet(expires)
            self.keep(key, found)
        elif refresh:
            found.expires = expires
        return found

    def keep(self, key: bytes, item: Scalar | SortedSet) -> None:
        """Keep an item in place of any that was there."""
        self._sweep()
        self._items[key] = item

    def drop(self, key: bytes) -> None:
        """Drop an item, if it is there."""
        self._items.pop(key, None)

    def clear(self) -> None:
        """Drop all items."""
        self._items.clear()

    def topic(self, name: str) -> Topic:
        """Give a topic; it is made where nobody has asked for it yet."""
        if not name:
            raise BadArgument("The name of a topic is empty: give at least one character.")
        return self._topics.setdefault(name, Topic(self._page))

    def end(self) -> None:
        """End the topics with all subscriptions."""
        for topic in self._topics.values():
            topic.end()

    def expiry(self, milliseconds: int) -> float:
        """Give the moment at which that TTL from now is over; raise BadArgument where there is none."""
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
    """The caches of a server, by their names. The topics of each have a page of their own, from ``page`` on."""

    def __init__(self, clock: Callable[[], float], page: int = 1) -> None:
        self._clock = clock
        self._pages = itertools.count(page)
        self._caches: dict[str, Cache] = {}

    def __getitem__(self, name: str) -> Cache:
        cache = self._caches.get(name)
        if cache is None:
            raise NotThere("cache", acceptable(name))
        return cache

    def names(self) -> list[str]:
        """Name the caches, in order."""
        return sorted(self._caches)

    def create(self, name: str) -> None:
        """Make an empty cache; raise AlreadyThere where there is one of that name."""
        if acceptable(name) in self._caches:
            raise AlreadyThere("cache", name)
        self._caches[name] = Cache(self._clock, next(self._pages))

    def delete(self, name: str) -> None:
        """Delete a cache with all that is in it; raise NotThere where there is none of that name."""
        self[name].end()
        del self._caches[name]

    def end(self) -> None:
        """End all subscriptions."""
        for cache in self._caches.values():
            cache.end()


def acceptable(name: str) -> str:
    """Give a name that a cache may have; raise BadArgument for another."""
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise BadArgument(
            f"The name of a cache is 1 to {LONGEST_NAME} printable characters, not {name[:LONGEST_NAME]!r}."
        )
    return name
