"""What a call on the items of a cache is: which rights on which keys it needs, and the function that answers it.

A write that depends on what is there, or that answers what is there now, needs both rights: Momento's documentation
says that a key for writing alone cannot make such a call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from laurels.momento_local.rights import Action

if TYPE_CHECKING:
    from collections.abc import Callable

    from laurels.momento_local.caches import Cache


class Need(NamedTuple):
    """A right on an item, whose key is in a field of the request."""

    action: Action
    field: str
    key: bytes


class ItemCall(NamedTuple):
    """One call: what a request needs, and the function that returns its response."""

    needs: Callable[[Any], list[Need]]
    answer: Callable[[Cache, Any], Any]


def reads(field: str) -> Callable[[Any], list[Need]]:
    """Return what a read of the item in a field needs."""
    return lambda request: [Need(Action.READ, field, _key(request, field))]


def writes(field: str) -> Callable[[Any], list[Need]]:
    """Return what a write to the item in a field needs that neither depends on the item nor answers what it is."""
    return lambda request: [Need(Action.WRITE, field, _key(request, field))]


def changes(field: str) -> Callable[[Any], list[Need]]:
    """Return what any other write to the item in a field needs."""
    return lambda request: [Need(action, field, _key(request, field)) for action in (Action.READ, Action.WRITE)]


def _key(request: Any, field: str) -> bytes:
    key: bytes | str = getattr(request, field)
    if isinstance(key, bytes):
        return key
    # The name of a leaderboard is text. The SDKs take a blank one for an empty one.
    return key.encode() if key.strip() else b""
