"""What a key may do: rules over caches, their items and topics, as Momento's roles and tokens state them.

A key or a token holds its rules as a message (``permissionmessages``), a role as JSON. Here both become the same
:class:`Rule`. What Momento's documentation leaves open is *assumed*: that listing and making caches is resource
management, that flushing one is too, and that a cache permission without items is for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

from momento_wire_types import permissionmessages_pb2 as messages

from laurels.momento_local.errors import BadArgument
from laurels.momento_local.fields import choice, known

if TYPE_CHECKING:
    from collections.abc import Iterable

Verb = Literal["read", "write", "list"]
Family = Literal["cache", "topic", "resource_management", "auth_management", "account_management"]

READ, WRITE, BOTH = frozenset[Verb]({"read"}), frozenset[Verb]({"write"}), frozenset[Verb]({"read", "write"})
EVERY = BOTH | frozenset[Verb]({"list"})


class Action(Enum):
    """What a call does: the family and the verb that a rule must allow. The item of the two on topics is the topic."""

    READ = ("cache", "read")
    WRITE = ("cache", "write")
    SUBSCRIBE = ("topic", "read")
    PUBLISH = ("topic", "write")
    LIST_CACHES = ("resource_management", "list")
    MANAGE_CACHES = ("resource_management", "write")
    LIST_KEYS = ("auth_management", "list")
    MANAGE_KEYS = ("auth_management", "write")


@dataclass(frozen=True, slots=True)
class Rule:
    """The verbs allowed on one cache or all (None), and there on one item, on those with a prefix, or on all."""

    family: Family
    verbs: frozenset[Verb]
    cache: str | None = None
    item: bytes | None = None
    prefix: bytes = b""

    def allows(self, action: Action, cache: str | None, item: bytes | None) -> bool:
        """Return whether the action is allowed; one on no item in particular needs a rule for all items."""
        family, verb = action.value
        return self.family == family and verb in self.verbs and self.cache in {None, cache} and self._holds(item, item)

    def covers(self, other: Rule) -> bool:
        """Return whether this rule allows everything that the other one allows."""
        return (
            self.family == other.family
            and self.verbs >= other.verbs
            and self.cache in {None, other.cache}
            and self._holds(other.item, other.prefix if other.item is None else other.item)
        )

    def _holds(self, item: bytes | None, prefix: bytes | None) -> bool:
        return item == self.item if self.item is not None else (prefix or b"").startswith(self.prefix)


@dataclass(frozen=True, slots=True)
class Rights:
    """What a key may do: everything, or what any of its rules allows."""

    rules: tuple[Rule, ...] = ()
    everything: bool = False

    def allow(self, action: Action, cache: str | None, item: bytes | None) -> bool:
        """Return whether the action is allowed."""
        return self.everything or any(rule.allows(action, cache, item) for rule in self.rules)

    def cover(self, other: Rights) -> bool:
        """Return whether these rights allow all that the others do: each rule there is covered by one here."""
        return self.everything or (
            not other.everything and all(any(mine.covers(rule) for mine in self.rules) for rule in other.rules)
        )


SUPER_USER = Rights(everything=True)

CACHE_ROLES = {messages.CacheReadWrite: BOTH, messages.CacheReadOnly: READ, messages.CacheWriteOnly: WRITE}
TOPIC_ROLES = {messages.TopicReadWrite: BOTH, messages.TopicReadOnly: READ, messages.TopicWriteOnly: WRITE}


def check(permissions: messages.Permissions) -> None:
    """Raise BadArgument for permissions that are empty, or of which two are for the same."""
    if choice(permissions, "kind", "which permissions") == "super_user":
        known(permissions, "super_user")
        return
    targets = [_target(permission) for permission in permissions.explicit.permissions]
    if not targets:
        raise BadArgument("`explicit` has no permissions: give at least one.")
    if len(set(targets)) < len(targets):
        raise BadArgument("Two permissions are for the same: give one for each cache and item, or cache and topic.")


def _target(permission: messages.PermissionsType) -> tuple[Any, ...]:
    """Return what a permission is for; raise BadArgument if something that it needs is missing."""
    kind = choice(permission, "kind", "what a permission is for")
    given = getattr(permission, kind)
    if not known(given, "role"):
        raise BadArgument(f"`{kind}` has no role: say what it allows.")
    return kind, *(_scope(given, oneof.name) for oneof in given.DESCRIPTOR.oneofs)


def _scope(given: Any, oneof: str) -> tuple[str, Any]:
    """Return the field and the value by which a permission says on which cache, or on which item of it."""
    # An older SDK's permissions have no field for items: they are for all.
    is_for_all = oneof == "cache_item" and not given.HasField("item_selector")
    chosen = "all_items" if is_for_all else choice(given, oneof, "what a permission is for")
    if chosen.startswith("all_"):
        return chosen, None
    selector = getattr(given, chosen)
    field = choice(selector, "kind", "what a permission is for")
    if not getattr(selector, field):
        raise BadArgument(f"`{field}` is empty: give at least one character, or say that all are meant.")
    return field, getattr(selector, field)


def from_message(permissions: messages.Permissions) -> Rights:
    """Return the rights in a token. Permissions for functions are ignored, because this server has no functions."""
    if permissions.WhichOneof("kind") == "super_user":
        return SUPER_USER
    return Rights(tuple(_rules(permissions.explicit.permissions)))


def _rules(permissions: Iterable[messages.PermissionsType]) -> Iterable[Rule]:
    for permission in permissions:
        kind = permission.WhichOneof("kind")
        if kind == "cache_permissions":
            yield _cache_rule(permission.cache_permissions)
        elif kind == "topic_permissions":
            yield _topic_rule(permission.topic_permissions)


def _cache_rule(given: messages.PermissionsType.CachePermissions) -> Rule:
    cache = None if given.HasField("all_caches") else given.cache_selector.cache_name
    verbs = CACHE_ROLES.get(given.role, frozenset())
    if given.item_selector.HasField("key"):
        return Rule("cache", verbs, cache, given.item_selector.key)
    return Rule("cache", verbs, cache, prefix=given.item_selector.key_prefix)


def _topic_rule(given: messages.PermissionsType.TopicPermissions) -> Rule:
    cache = None if given.HasField("all_caches") else given.cache_selector.cache_name
    verbs = TOPIC_ROLES.get(given.role, frozenset())
    if given.topic_selector.HasField("topic_name"):
        return Rule("topic", verbs, cache, given.topic_selector.topic_name.encode())
    return Rule("topic", verbs, cache, prefix=given.topic_selector.topic_name_prefix.encode())
