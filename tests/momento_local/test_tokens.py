"""Disposable tokens and v1 keys of the local Momento server, with the official Python SDK and with stubs."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from momento import AuthClient, CacheClient, Configurations, CredentialProvider, TopicClient, TopicConfigurations
from momento.auth.access_control.disposable_token_scope import DisposableTokenProps
from momento.auth.access_control.disposable_token_scopes import DisposableTokenScopes as Scopes
from momento.config.auth_configurations import AuthConfigurations
from momento.errors import MomentoErrorCode as Code
from momento.responses import GenerateDisposableToken
from momento.utilities import ExpiresIn
from momento_wire_types import auth_pb2, auth_pb2_grpc, cacheclient_pb2, cachepubsub_pb2, token_pb2, token_pb2_grpc
from momento_wire_types import permissionmessages_pb2 as messages

from laurels.momento_local.keys import EVERYTHING
from laurels.momento_local.tokens import LONGEST_DISPOSABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from momento.auth.access_control.disposable_token_scope import DisposableTokenScope

    from tests.momento import Momento

MINUTE = timedelta(minutes=1)
READER = messages.Permissions(
    explicit=messages.ExplicitPermissions(
        permissions=[
            messages.PermissionsType(
                cache_permissions=messages.PermissionsType.CachePermissions(
                    role=messages.CacheReadOnly, all_caches=messages.PermissionsType.All()
                )
            )
        ]
    )
)


def at(momento: Momento, credentials: CredentialProvider) -> CredentialProvider:
    """Return credentials with the server's address without TLS."""
    host = momento.host
    return replace(credentials, cache_endpoint=host, control_endpoint=host, token_endpoint=host, port=momento.port)


def token_of(momento: Momento, scope: DisposableTokenScope, token_id: str | None = None) -> CredentialProvider:
    """Return the credentials of a new token."""
    with AuthClient(AuthConfigurations.Laptop.latest(), momento.credentials) as client:
        made = client.generate_disposable_token(scope, ExpiresIn.minutes(1), DisposableTokenProps(token_id))
    assert isinstance(made, GenerateDisposableToken.Success)
    return at(momento, CredentialProvider.from_disposable_token(made.auth_token))


@pytest.fixture(scope="module")
def stubs(momento: Momento) -> Iterator[tuple[Any, Any]]:
    """Yield the stubs of the services for keys and for tokens."""
    with grpc.insecure_channel(f"{momento.host}:{momento.port}") as channel:
        yield auth_pb2_grpc.AuthStub(channel), token_pb2_grpc.TokenStub(channel)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (Scopes.cache_read_write, [None, None, None]),
        (Scopes.cache_read_only, [None, Code.PERMISSION_ERROR, Code.PERMISSION_ERROR]),
        (lambda cache: Scopes.cache_key_read_write(cache, "mine"), [None, None, Code.PERMISSION_ERROR]),
        (
            lambda cache: Scopes.cache_key_prefix_write_only(cache, "mi"),
            [Code.PERMISSION_ERROR, None, Code.PERMISSION_ERROR],
        ),
        (lambda _: Scopes.cache_read_write("another"), [Code.PERMISSION_ERROR] * 3),
        (lambda cache: Scopes.topic_publish_only(cache, "scores"), [Code.PERMISSION_ERROR] * 3),
    ],
    ids=["all of the cache", "read only", "one set", "sets with a prefix", "another cache", "a topic"],
)
def test_token_allows_what_its_scope_says(
    momento: Momento, scope: Callable[[str], DisposableTokenScope], expected: list[Code | None]
) -> None:
    """A token may read a set, write it, and write another, as its scope says."""
    cache = momento.new_cache()
    with CacheClient(Configurations.Laptop.latest(), token_of(momento, scope(cache)), MINUTE) as client:
        answers = [
            client.sorted_set_get_score(cache, "mine", "v"),
            client.sorted_set_put_element(cache, "mine", "v", 1.0),
            client.sorted_set_increment_score(cache, "other", "v", 1.0),
        ]
        assert [getattr(answer, "error_code", None) for answer in answers] == expected
        assert getattr(client.list_caches(), "error_code", None) == Code.PERMISSION_ERROR


@pytest.mark.parametrize(
    ("source", "outcome"),
    [(b"mine", nullcontext()), (b"other", pytest.raises(grpc.RpcError, match="PERMISSION_DENIED"))],
    ids=["its own set", "another set"],
)
def test_union_reads_no_more_than_its_token_may(
    momento: Momento, source: bytes, outcome: AbstractContextManager[object]
) -> None:
    """With a token for one set no other set can be read by a union."""
    cache = momento.new_cache()
    key = token_of(momento, Scopes.cache_key_read_write(cache, "mine")).auth_token
    request = cacheclient_pb2._SortedSetUnionStoreRequest(set_name=b"mine", ttl_milliseconds=1000)
    request.sources.add(set_name=source, weight=1)
    with outcome:
        momento.items.SortedSetUnionStore(request, metadata=(("cache", cache), ("authorization", key)))


def test_publisher_is_named_by_its_token(momento: Momento) -> None:
    """An item has the id of the token that published it; a token for publishing may not subscribe."""
    cache = momento.new_cache()
    credentials = token_of(momento, Scopes.topic_publish_only(cache, "scores"), "silverhand")
    items = momento.topics.Subscribe(cachepubsub_pb2._SubscriptionRequest(cache_name=cache, topic="scores"))
    assert next(items).HasField("heartbeat")
    with TopicClient(TopicConfigurations.Default.latest(), credentials) as client:
        client.publish(cache, "scores", "2077")
        assert getattr(client.subscribe(cache, "scores"), "error_code", None) == Code.PERMISSION_ERROR
    assert next(items).item.publisher_id == "silverhand"
    items.cancel()


def test_token_has_its_expiry_and_endpoint(momento: Momento) -> None:
    """The answer for a token has the time at which it expires, and the server's endpoint."""
    with AuthClient(AuthConfigurations.Laptop.latest(), momento.credentials) as client:
        made = client.generate_disposable_token(Scopes.cache_read_only("any"), ExpiresIn.minutes(30))
    assert isinstance(made, GenerateDisposableToken.Success)
    assert abs(made.expires_at.epoch() - time.time() - 1800) < 60
    assert made.endpoint == f"{momento.host}:{momento.port}"


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        ({"permissions": READER}, grpc.StatusCode.INVALID_ARGUMENT, "1 second at least"),
        ({"permissions": READER, "seconds": LONGEST_DISPOSABLE + 1}, grpc.StatusCode.INVALID_ARGUMENT, "3600 seconds"),
        ({"seconds": 60}, grpc.StatusCode.INVALID_ARGUMENT, "which permissions: give one of `super_user`, `explicit`"),
        ({"permissions": READER, "seconds": 60, "key": "wrong"}, grpc.StatusCode.UNAUTHENTICATED, "none of this"),
    ],
    ids=["no end", "too long", "no permissions", "wrong key"],
)
def test_bad_request_for_a_token_is_refused(
    stubs: tuple[Any, Any], request_: dict[str, Any], status: grpc.StatusCode, message: str
) -> None:
    """A bad request for a token is refused, with what would be right."""
    expires = token_pb2._GenerateDisposableTokenRequest.Expires(valid_for_seconds=request_.get("seconds", 0))
    request = token_pb2._GenerateDisposableTokenRequest(
        expires=expires, auth_token=request_.get("key", ""), permissions=request_.get("permissions")
    )
    with pytest.raises(grpc.RpcError) as refused:
        stubs[1].GenerateDisposableToken(request)
    assert refused.value.code() == status
    assert message in refused.value.details()


def test_key_is_renewed(momento: Momento, stubs: tuple[Any, Any]) -> None:
    """A key that was renewed twice is valid, and lives as long as the first."""
    request = auth_pb2._GenerateApiTokenRequest(
        auth_token=momento.connections.api_key,
        expires=auth_pb2._GenerateApiTokenRequest.Expires(valid_for_seconds=60),
        permissions=EVERYTHING,
    )
    made = stubs[0].GenerateApiToken(request)
    for _ in range(2):
        request = auth_pb2._RefreshApiTokenRequest(api_key=made.api_key, refresh_token=made.refresh_token)
        made = stubs[0].RefreshApiToken(request)
    assert abs(made.valid_until - time.time() - 60) < 30
    credentials = at(momento, replace(momento.credentials, auth_token=made.api_key))
    with CacheClient(Configurations.Laptop.latest(), credentials, MINUTE) as client:
        assert getattr(client.list_caches(), "error_code", None) is None


def test_key_makes_no_more_than_it_may(stubs: tuple[Any, Any]) -> None:
    """A key that may only read may make neither a key nor a token that may do everything."""
    request = auth_pb2._GenerateApiTokenRequest(never={}, permissions=READER)
    reader = stubs[0].GenerateApiToken(request)
    assert reader.valid_until == 0
    expires = token_pb2._GenerateDisposableTokenRequest.Expires(valid_for_seconds=60)
    for call, request in (
        (stubs[0].GenerateApiToken, auth_pb2._GenerateApiTokenRequest(auth_token=reader.api_key, permissions=READER)),
        (
            stubs[1].GenerateDisposableToken,
            token_pb2._GenerateDisposableTokenRequest(
                auth_token=reader.api_key, expires=expires, permissions=EVERYTHING
            ),
        ),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            call(request)
        assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED


def selected(**fields: Any) -> messages.PermissionsType:
    """Return the permission to read a cache, or what the fields say of it."""
    given = {"role": messages.CacheReadOnly, "cache_selector": {"cache_name": "a"}, **fields}
    return messages.PermissionsType(cache_permissions=messages.PermissionsType.CachePermissions(**given))


def on_topic(**fields: Any) -> messages.PermissionsType:
    """Return the permission to subscribe to a topic, or what the fields say of it."""
    given = {"role": messages.TopicReadOnly, "all_caches": {}, "topic_selector": {"topic_name": "t"}, **fields}
    return messages.PermissionsType(topic_permissions=messages.PermissionsType.TopicPermissions(**given))


@pytest.mark.parametrize(
    ("permissions", "problem"),
    [
        pytest.param([], "no permissions: give at least one", id="none"),
        pytest.param([messages.PermissionsType()], "what a permission is for", id="for nothing"),
        pytest.param([selected(role=0)], "`cache_permissions` has no role", id="no role"),
        pytest.param([selected(role=9)], "no role 9: give CachePermitNone", id="an unknown role"),
        pytest.param([selected(cache_selector=None)], "one of `all_caches`, `cache_selector`", id="no cache"),
        pytest.param([selected(cache_selector={"cache_name": ""})], "`cache_name` is empty", id="an empty cache"),
        pytest.param([selected(cache_selector={})], "one of `cache_name`", id="an empty selector"),
        pytest.param([selected(item_selector={})], "one of `key`, `key_prefix`", id="no key"),
        pytest.param([selected(item_selector={"key": b""})], "`key` is empty", id="an empty key"),
        pytest.param([on_topic(topic_selector=None)], "one of `all_topics`, `topic_selector`", id="no topic"),
        pytest.param([on_topic(topic_selector={"topic_name_prefix": ""})], "prefix` is empty", id="an empty prefix"),
        pytest.param([selected(), selected(role=messages.CacheReadWrite)], "for the same", id="a cache twice"),
        pytest.param([selected(), selected(all_items={})], "for the same", id="all of a cache twice"),
        pytest.param([on_topic(), on_topic(role=messages.TopicReadWrite)], "for the same", id="a topic twice"),
    ],
)
def test_empty_or_conflicting_permissions(
    stubs: tuple[Any, Any], permissions: list[messages.PermissionsType], problem: str
) -> None:
    """A permission says what it is for, and no other is for the same."""
    given = messages.Permissions(explicit={"permissions": permissions})
    expires = token_pb2._GenerateDisposableTokenRequest.Expires(valid_for_seconds=60)
    for call, request in (
        (stubs[0].GenerateApiToken, auth_pb2._GenerateApiTokenRequest(never={}, permissions=given)),
        (
            stubs[1].GenerateDisposableToken,
            token_pb2._GenerateDisposableTokenRequest(expires=expires, permissions=given),
        ),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            call(request)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert problem in refused.value.details()


def test_permissions_for_different_things(stubs: tuple[Any, Any]) -> None:
    """Permissions do not conflict if their cache, their item or their kind differ."""
    item, prefix = {"key": b"mi"}, {"key_prefix": b"mi"}
    permissions = [
        selected(),
        selected(cache_selector=None, all_caches={}),
        selected(item_selector=item),
        selected(item_selector=prefix),
        on_topic(),
        on_topic(topic_selector=None, all_topics={}),
    ]
    given = messages.Permissions(explicit={"permissions": permissions})
    made = stubs[0].GenerateApiToken(auth_pb2._GenerateApiTokenRequest(never={}, permissions=given))
    assert made.valid_until == 0


def test_a_super_user_makes_no_other(momento: Momento, stubs: tuple[Any, Any]) -> None:
    """A v1 or legacy key that may do everything makes no such key, and no such token, but others."""
    request = auth_pb2._GenerateApiTokenRequest(
        never={}, permissions=EVERYTHING, auth_token=momento.connections.api_key
    )
    made = stubs[0].GenerateApiToken(request).api_key
    printed = CredentialProvider.from_disposable_token(momento.connections.v1_api_key).auth_token
    expires = token_pb2._GenerateDisposableTokenRequest.Expires(valid_for_seconds=60)
    for key in (made, printed, momento.connections.legacy_api_key):
        with pytest.raises(grpc.RpcError, match="PERMISSION_DENIED"):
            stubs[0].GenerateApiToken(
                auth_pb2._GenerateApiTokenRequest(never={}, permissions=EVERYTHING, auth_token=key)
            )
        with pytest.raises(grpc.RpcError, match="PERMISSION_DENIED"):
            stubs[1].GenerateDisposableToken(
                token_pb2._GenerateDisposableTokenRequest(expires=expires, permissions=EVERYTHING, auth_token=key)
            )
        assert (
            stubs[0]
            .GenerateApiToken(auth_pb2._GenerateApiTokenRequest(never={}, permissions=READER, auth_token=key))
            .api_key
        )


def test_a_key_says_how_long_it_lives(stubs: tuple[Any, Any]) -> None:
    """A request for a key without an expiry is refused, and is not for ever."""
    with pytest.raises(grpc.RpcError, match="one of `never`, `expires`"):
        stubs[0].GenerateApiToken(auth_pb2._GenerateApiTokenRequest(permissions=READER))


def test_writing_alone_is_not_enough_for_what_reads(momento: Momento) -> None:
    """A token for writing alone sets and puts, and makes no call that depends on what is there or answers it."""
    cache = momento.new_cache()
    with CacheClient(
        Configurations.Laptop.latest(), token_of(momento, Scopes.cache_write_only(cache)), MINUTE
    ) as client:
        assert getattr(client.set(cache, "k", "1"), "error_code", None) is None
        answers = [
            client.increment(cache, "k"),
            client.set_if_not_exists(cache, "other", "v"),
            client.sorted_set_increment_score(cache, "set", "v"),
        ]
    assert [getattr(answer, "error_code", None) for answer in answers] == [Code.PERMISSION_ERROR] * 3


def test_login_is_not_implemented(stubs: tuple[Any, Any]) -> None:
    """The login of the service for keys is UNIMPLEMENTED."""
    with pytest.raises(grpc.RpcError) as refused:
        next(stubs[0].Login(auth_pb2._LoginRequest()))
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
