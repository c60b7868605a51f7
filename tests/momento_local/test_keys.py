"""The keys of the local Momento server, and what they allow."""

from __future__ import annotations

import itertools

import pytest
from momento_wire_types import permissionmessages_pb2 as messages

from laurels.momento_local import keys as keys_module
from laurels.momento_local.errors import NotAuthenticated, NotPermitted, NotThere
from laurels.momento_local.keys import EVERYTHING, Keys
from laurels.momento_local.rights import SUPER_USER, Action, Rights, Rule, from_message
from tests.clock import Clock

SECRET = bytes(32)
CACHE = messages.PermissionsType.CachePermissions
TOPIC = messages.PermissionsType.TopicPermissions
FUNCTION = messages.PermissionsType.FunctionPermissions
ALL = messages.PermissionsType.All()
ITEM = messages.PermissionsType.CacheItemSelector
ONE_TOPIC = messages.PermissionsType.TopicSelector
ONE = messages.PermissionsType.CacheSelector(cache_name="one")


@pytest.fixture
def keys(clock: Clock) -> Keys:
    """Return the keys of a server that requires one with every call."""
    return Keys(SECRET, clock, is_open=False)


def permissions(*given: CACHE | TOPIC | FUNCTION) -> messages.Permissions:
    """Return the permissions in a token."""
    fields = {CACHE: "cache_permissions", TOPIC: "topic_permissions", FUNCTION: "function_permissions"}
    rules = [messages.PermissionsType(**{fields[type(one)]: one}) for one in given]
    return messages.Permissions(explicit=messages.ExplicitPermissions(permissions=rules))


def allowed(rights: Rights, *items: bytes | None) -> set[str]:
    """Return the actions that are allowed on two caches, and there on some items or topics."""
    places = itertools.product(Action, ["one", "two"], items)
    return {
        f"{action.name} {cache} {(item or b'-').decode()}"
        for action, cache, item in places
        if rights.allow(action, cache, item)
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            CACHE(role=messages.CacheReadOnly, cache_selector=ONE),
            {"READ one a/1", "READ one b/1", "READ one -"},
            id="one cache, read only",
        ),
        pytest.param(
            CACHE(role=messages.CacheReadWrite, all_caches=ALL, item_selector=ITEM(key=b"a/1")),
            {"READ one a/1", "READ two a/1", "WRITE one a/1", "WRITE two a/1"},
            id="one item of every cache",
        ),
        pytest.param(
            CACHE(role=messages.CacheWriteOnly, cache_selector=ONE, item_selector=ITEM(key_prefix=b"a/")),
            {"WRITE one a/1"},
            id="items with a prefix, write only",
        ),
        pytest.param(CACHE(role=messages.CachePermitNone, all_caches=ALL), set(), id="no role"),
        pytest.param(CACHE(role=messages.CacheReadOnly), set(), id="no cache"),
        pytest.param(
            TOPIC(role=messages.TopicReadWrite, cache_selector=ONE, topic_selector=ONE_TOPIC(topic_name="a/1")),
            {"SUBSCRIBE one a/1", "PUBLISH one a/1"},
            id="one topic",
        ),
        pytest.param(
            TOPIC(role=messages.TopicReadOnly, cache_selector=ONE, topic_selector=ONE_TOPIC(topic_name_prefix="b/")),
            {"SUBSCRIBE one b/1"},
            id="topics with a prefix, read only",
        ),
        pytest.param(
            TOPIC(role=messages.TopicWriteOnly, cache_selector=ONE, all_topics=ALL),
            {"PUBLISH one a/1", "PUBLISH one b/1", "PUBLISH one -"},
            id="every topic, write only",
        ),
        pytest.param(FUNCTION(role=messages.FunctionInvoke, all_caches=ALL, all_functions=ALL), set(), id="functions"),
    ],
)
def test_permission_allows(given: CACHE | TOPIC | FUNCTION, expected: set[str]) -> None:
    """A permission allows what it says, and nothing else."""
    assert allowed(from_message(permissions(given)), b"a/1", b"b/1", None) == expected


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("owner", set(Action)),
        ("operator", set(Action)),
        ("viewer", {Action.READ, Action.SUBSCRIBE, Action.LIST_CACHES, Action.LIST_KEYS}),
    ],
)
def test_role_allows(keys: Keys, role: str, expected: set[Action]) -> None:
    """Each role of the system allows its actions, everywhere."""
    rights = keys.roles[role].rights()
    assert {action for action in Action if rights.allow(action, "one", b"a/1")} == expected


RULES = [
    Rule("cache", frozenset({"read"})),
    Rule("cache", frozenset({"read", "write"}), "one"),
    Rule("cache", frozenset({"read"}), "one", prefix=b"a/"),
    Rule("cache", frozenset({"read"}), "one", item=b"a/1"),
    Rule("cache", frozenset({"write"}), "two", item=b"b/1"),
    Rule("topic", frozenset({"read"}), "one", prefix=b"b"),
]


@pytest.mark.parametrize("mine", [Rights((rule,)) for rule in RULES] + [SUPER_USER])
def test_rights_cover_what_they_allow(mine: Rights) -> None:
    """Rights cover others exactly if they allow all that the others do."""
    items = (b"a/1", b"a/2", b"b/1", None)
    for theirs in [*(Rights((rule,)) for rule in RULES), SUPER_USER]:
        assert mine.cover(theirs) == (allowed(mine, *items) >= allowed(theirs, *items))


def test_key_without_right_is_refused(keys: Keys) -> None:
    """An action that a valid key does not allow is refused, with the action and the cache in the message."""
    reader, _ = keys.issue("viewer", "reads", None)
    keys.check(reader, Action.READ, "one", b"a/1")
    with pytest.raises(NotPermitted, match="does not allow to write in one: use one that does"):
        keys.check(reader, Action.WRITE, "one", b"a/1")


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        pytest.param(None, "brings no API key", id="none"),
        pytest.param("", "brings no API key", id="empty"),
        pytest.param("not a key", "none of this server's", id="no JWT"),
        pytest.param(Keys(bytes(31) + b"1", Clock()).owner(), "none of this server's", id="another secret"),
    ],
)
def test_wrong_key_is_refused(keys: Keys, key: str | None, reason: str) -> None:
    """A key that the server has not signed is refused."""
    with pytest.raises(NotAuthenticated, match=f"{reason}.*`laurels momento-local` prints the keys"):
        keys.check(key, Action.READ, "one", b"a/1")


def test_call_without_key_passes_an_open_server(clock: Clock) -> None:
    """An open server allows calls without a key, and checks the key of a call with one."""
    keys = Keys(SECRET, clock)
    keys.check("", Action.MANAGE_CACHES)
    with pytest.raises(NotAuthenticated):
        keys.check("not a key", Action.READ)


def test_token_expires(keys: Keys, clock: Clock) -> None:
    """A token is valid until the second at which it expires, even if it was verified before."""
    token = keys.token(EVERYTHING, 60)
    clock.now += 59
    keys.check(token.api_key, Action.READ)
    clock.now += 1
    with pytest.raises(NotAuthenticated, match="has expired"):
        keys.check(token.api_key, Action.READ)


def test_issued_key_expires(keys: Keys, clock: Clock) -> None:
    """A v2 key is valid until its time."""
    key, info = keys.issue("owner", "short", int(clock.now) + 60)
    keys.check(key, Action.READ)
    clock.now = float(info.expires_at_epoch_seconds or 0)
    with pytest.raises(NotAuthenticated, match="has expired"):
        keys.check(key, Action.READ)


def test_revoked_key_is_refused_at_once(keys: Keys) -> None:
    """A revoked key is refused from the next call on; it cannot be revoked again."""
    key, info = keys.issue("owner", "short", None)
    keys.check(key, Action.READ)
    keys.revoke(info.key_id)
    with pytest.raises(NotAuthenticated, match="was revoked"):
        keys.check(key, Action.READ)
    with pytest.raises(NotThere, match="no API key"):
        keys.revoke(info.key_id)


def test_same_secret_makes_the_same_keys(keys: Keys) -> None:
    """Servers with one secret have the same printed keys; other v2 keys are valid on their own server only."""
    again = Keys(SECRET, Clock(), is_open=False)
    assert keys.owner() == again.owner()
    assert keys.v1("here") == again.v1("here")
    assert keys.legacy("here") == again.legacy("here")
    with pytest.raises(NotAuthenticated, match="was revoked"):
        again.check(keys.issue("owner", "short", None)[0], Action.READ)


def test_renewed_key_has_the_rights_and_the_lifetime(keys: Keys, clock: Clock) -> None:
    """A renewed key has the same rights and lives as long again; the old one expires as it would have."""
    old = keys.token(permissions(CACHE(role=messages.CacheReadOnly, cache_selector=ONE)), 60, "publisher")
    clock.now += 30
    new = keys.renew(old.api_key, keys.refresh_token(old.api_key))
    assert new.expires == clock.now + 60
    assert keys.grant(new.api_key)._replace(expires=None) == keys.grant(old.api_key)._replace(expires=None)


def test_refresh_token_is_no_key_and_of_one_key(keys: Keys) -> None:
    """A refresh token is no API key, and renews only the key that it came with."""
    one, other = keys.token(EVERYTHING, None), keys.token(EVERYTHING, None)
    with pytest.raises(NotAuthenticated, match="refresh token and no API key"):
        keys.check(keys.refresh_token(one.api_key), Action.READ)
    with pytest.raises(NotAuthenticated, match="none of this key's"):
        keys.renew(one.api_key, keys.refresh_token(other.api_key))


def test_expired_key_is_not_renewed(keys: Keys, clock: Clock) -> None:
    """An expired key cannot be renewed."""
    token = keys.token(EVERYTHING, 60)
    refresh = keys.refresh_token(token.api_key)
    clock.now += 60
    with pytest.raises(NotAuthenticated, match="has expired"):
        keys.renew(token.api_key, refresh)


def test_memory_of_keys_is_bounded(keys: Keys) -> None:
    """Only a bounded number of verified keys is remembered."""
    for _ in range(keys_module.REMEMBERED + 10):
        keys.check(keys.token(EVERYTHING, None).api_key, Action.READ)
    assert len(keys._grants) <= keys_module.REMEMBERED
