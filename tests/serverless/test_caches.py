"""The function behind the custom resource that makes and deletes a stack's cache."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from momento_wire_types import controlclient_pb2

from laurels.errors import KeyRefused, StoreUnavailable
from laurels.momento_local.keys import Keys
from laurels.serverless.caches import handler
from laurels.serverless.errors import BadSetting

if TYPE_CHECKING:
    from tests.momento import Momento
    from tests.serverless.conftest import ParameterStore

ADMIN = "/leaderboard-api/dev/momento-super-user-key"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, momento: Momento, ssm: ParameterStore) -> None:
    """Set the function's environment, and store its key."""
    ssm.put(momento.connections.api_key, ADMIN)
    monkeypatch.setenv("LAURELS_ADMIN_KEY_PARAMETER", ADMIN)
    monkeypatch.setenv("LAURELS_MOMENTO_ENDPOINT", momento.connections.endpoint)


def event(request: str, cache: str, physical: str | None = None) -> dict[str, Any]:
    """Return an event as the CDK's provider framework passes it on."""
    more = {} if physical is None else {"PhysicalResourceId": physical}
    return {
        "RequestType": request,
        "ResourceProperties": {"ServiceToken": "arn:aws:lambda:eu-central-1:1:function:f", "CacheName": cache},
        "StackId": "arn:aws:cloudformation:eu-central-1:1:stack/laurels-dev/1",
        "LogicalResourceId": "Cache",
        "RequestId": "1",
    } | more


def names(momento: Momento) -> set[str]:
    """Return the names of the caches."""
    listed = momento.caches.ListCaches(controlclient_pb2._ListCachesRequest())  # noqa: SLF001 - as it is called
    return {cache.cache_name for cache in listed.cache}


def test_life_of_a_cache(momento: Momento) -> None:
    """A cache is made, is left as it is when nothing changes, and is deleted; each event may come twice."""
    for _ in range(2):
        assert handler(event("Create", "laurels-dev"), None) == {"PhysicalResourceId": "laurels-dev"}
    assert handler(event("Update", "laurels-dev", "laurels-dev"), None) == {"PhysicalResourceId": "laurels-dev"}
    assert "laurels-dev" in names(momento)
    for _ in range(2):
        handler(event("Delete", "laurels-dev", "laurels-dev"), None)
    assert "laurels-dev" not in names(momento)


def test_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What was done is logged, though Lambda's Python logs only warnings unless a level is set."""
    handler(event("Create", "laurels-logged"), None)
    handler(event("Delete", "laurels-logged", "laurels-logged"), None)
    assert caplog.messages == ["The cache laurels-logged is made", "The cache laurels-logged is deleted"]


def test_another_name(momento: Momento) -> None:
    """A changed name makes another cache with an id of its own; the old cache stays until it is deleted by its id."""
    handler(event("Create", "laurels-old"), None)
    assert handler(event("Update", "laurels-new", "laurels-old"), None) == {"PhysicalResourceId": "laurels-new"}
    handler(event("Delete", "laurels-new", "laurels-old"), None)
    assert {"laurels-old", "laurels-new"} & names(momento) == {"laurels-new"}


def test_refused_key(ssm: ParameterStore, caplog: pytest.LogCaptureFixture) -> None:
    """A key that Momento does not accept fails the stack with that reason, and is logged nowhere."""
    caplog.set_level(logging.DEBUG, "laurels")
    key = Keys(b"another" * 5, lambda: 0).owner()
    ssm.put(key, ADMIN)
    with pytest.raises(KeyRefused, match="it is wrong, has expired or was revoked") as caught:
        handler(event("Create", "laurels-dev"), None)
    assert key not in caplog.text + repr(caught.value.__cause__)


def test_missing_parameter(ssm: ParameterStore) -> None:
    """A missing parameter fails the stack with its name."""
    ssm.delete(ADMIN)
    with pytest.raises(BadSetting, match=f"The parameter {ADMIN} cannot be read: .*ParameterNotFound"):
        handler(event("Create", "laurels-dev"), None)


def test_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """If Momento cannot be reached the stack fails: the cache does not count as deleted."""
    monkeypatch.setenv("LAURELS_MOMENTO_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(StoreUnavailable, match="Momento cannot be reached"):
        handler(event("Delete", "laurels-dev", "laurels-dev"), None)


def test_unknown_request() -> None:
    """An event of an unknown type is refused."""
    with pytest.raises(ValueError, match="Invalid enum value 'Rename'"):
        handler(event("Rename", "laurels-dev"), None)
