"""The roles of a local Momento server: named sets of rules, which v2 keys refer to, in the JSON of the account API.

This follows Momento's documentation, `HTTP API for Momento Roles`. It does not say the identifiers of the three system
roles: that they are their names in lower case is *assumed*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from laurels.momento_local.errors import AlreadyThere, NotThere
from laurels.momento_local.rights import SUPER_USER, Family, Rights, Rule, Verb

if TYPE_CHECKING:
    from collections.abc import Iterator

Every = Literal["*"]
Text = Annotated[str, Meta(min_length=1)]
Verbs = Annotated[list[Verb], Meta(min_length=1)]


class Cache(Struct, frozen=True, forbid_unknown_fields=True):
    """One cache."""

    name: Text


class Items(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One item of a cache, or those whose keys have a prefix."""

    key: Text | None = None
    key_prefix: Text | None = None

    def __post_init__(self) -> None:
        if (self.key is None) == (self.key_prefix is None):
            raise ValueError('`items` is "*", or an object of either `key` or `key_prefix`')


class Topics(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One topic, or those whose names have a prefix."""

    name: Text | None = None
    prefix: Text | None = None

    def __post_init__(self) -> None:
        if (self.name is None) == (self.prefix is None):
            raise ValueError('`topics` is "*", or an object of either `name` or `prefix`')


class CacheRule(Struct, frozen=True, forbid_unknown_fields=True, tag="cache"):
    """What is allowed on the items of caches."""

    permissions: Verbs
    caches: Every | Cache
    items: Every | Items

    def rule(self) -> Rule:
        """Return it in the form that is checked."""
        items = Items(key_prefix="") if self.items == "*" else self.items
        return _rule("cache", self.permissions, self.caches, items.key, items.key_prefix)


class TopicRule(Struct, frozen=True, forbid_unknown_fields=True, tag="topic"):
    """What is allowed on the topics of caches: to read is to subscribe, to write is to publish."""

    permissions: Verbs
    caches: Every | Cache
    topics: Every | Topics

    def rule(self) -> Rule:
        """Return it in the form that is checked."""
        topics = Topics(prefix="") if self.topics == "*" else self.topics
        return _rule("topic", self.permissions, self.caches, topics.name, topics.prefix)


class AuthRule(Struct, frozen=True, forbid_unknown_fields=True, tag="auth_management"):
    """What is allowed on keys and roles."""

    permissions: Verbs
    items: Every

    def rule(self) -> Rule:
        """Return it in the form that is checked."""
        return Rule("auth_management", frozenset(self.permissions))


class ResourceRule(Struct, frozen=True, forbid_unknown_fields=True, tag="resource_management"):
    """What is allowed on caches as a whole."""

    permissions: Verbs
    resources: Every

    def rule(self) -> Rule:
        """Return it in the form that is checked."""
        return Rule("resource_management", frozenset(self.permissions))


class AccountRule(Struct, frozen=True, forbid_unknown_fields=True, tag="account_management"):
    """What is allowed on the account itself; this server has no call for that."""

    permissions: Annotated[list[Literal["read", "list"]], Meta(min_length=1)]

    def rule(self) -> Rule:
        """Return it in the form that is checked."""
        return Rule("account_management", frozenset(self.permissions))


def _rule(family: Family, verbs: list[Verb], caches: Every | Cache, item: str | None, prefix: str | None) -> Rule:
    return Rule(
        family,
        frozenset(verbs),
        None if caches == "*" else caches.name,
        None if item is None else item.encode(),
        (prefix or "").encode(),
    )


AnyRule = CacheRule | TopicRule | AuthRule | ResourceRule | AccountRule


class Permissions(Struct, frozen=True, forbid_unknown_fields=True):
    """A role's rules. Rules for stores and functions, and conditions, are refused: this server has none of these."""

    rules: Annotated[list[AnyRule], Meta(min_length=1)]

    def __post_init__(self) -> None:
        targets = [replace(rule, permissions=[]) for rule in self.rules]
        if any(target in targets[:place] for place, target in enumerate(targets)):
            raise ValueError("two `rules` are for the same: give one with all `permissions`")


class RoleRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body that makes a role."""

    role_name: Text
    permissions: Permissions
    description: str | None = None


class Role(Struct, frozen=True, omit_defaults=True):
    """A role as the account API shows it."""

    role_id: str
    role_name: str
    role_type: Literal["system", "custom"]
    permissions: Permissions
    description: str | None = None

    def rights(self) -> Rights:
        """Return what a key of this role may do."""
        return SUPER_USER if self.role_id == "owner" else Rights(tuple(rule.rule() for rule in self.permissions.rules))


def _system(name: str, about: str, verbs: list[Verb]) -> Role:
    rules: list[AnyRule] = [
        AccountRule(["read", "list"]),
        AuthRule(verbs, "*"),
        ResourceRule(verbs, "*"),
        CacheRule(verbs, "*", "*"),
        TopicRule(verbs, "*", "*"),
    ]
    return Role(name.lower(), name, "system", Permissions(rules), about)


SYSTEM = (
    _system("Owner", "May do everything", ["read", "write", "list"]),
    _system("Operator", "May do everything but with the account itself", ["read", "write", "list"]),
    _system("Viewer", "May read everything", ["read", "list"]),
)


class Roles:
    """The roles: those of the system, and those that were made."""

    def __init__(self) -> None:
        self._roles = {role.role_id: role for role in SYSTEM}

    def __iter__(self) -> Iterator[Role]:
        return iter(self._roles.values())

    def __getitem__(self, role_id: str) -> Role:
        """Return a role; raise NotThere if there is none of that id."""
        try:
            return self._roles[role_id]
        except KeyError as exc:
            raise NotThere("role", role_id) from exc

    def add(self, request: RoleRequest) -> Role:
        """Make a role, whose id is its name (*assumed*); raise AlreadyThere if the name is taken."""
        if any(request.role_name in {role.role_name, role.role_id} for role in self):
            raise AlreadyThere("role", request.role_name)
        role = Role(request.role_name, request.role_name, "custom", request.permissions, request.description)
        self._roles[role.role_id] = role
        return role
