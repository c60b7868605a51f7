"""Live boards of functions: what a submit tells, and what is answered to who asks for a board's events."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest
from momento_wire_types import cachepubsub_pb2 as pubsub

from laurels.serverless.live import Topic
from laurels.serverless.metrics import UNTOLD_SUBMITS
from tests.serverless.conftest import PARAMETER, executing
from tests.serverless.recorded import RECORDED
from tests.serverless.telling import count

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.momento import Momento
    from tests.serverless.conftest import Execution, ParameterStore

pytestmark = pytest.mark.slow

SUBMIT, PAGE = RECORDED["rest-submit"].event, RECORDED["rest-page"].event
BOARD, NAME = SUBMIT["pathParameters"]["board"], SUBMIT["pathParameters"]["name"]


def asking(query: dict[str, list[str]] | None = None, **parts: Any) -> dict[str, Any]:
    """Return the event of a request for a board's events."""
    resource = {"resource": "/-/boards/{board}/live", "path": f"/-/boards/{BOARD}/live"}
    queries = {"queryStringParameters": None, "multiValueQueryStringParameters": query}
    return PAGE | resource | queries | {"pathParameters": {"board": BOARD}} | parts


@pytest.fixture(scope="module")
def cache(momento: Momento) -> str:
    """Return the name of a cache for all tests."""
    return momento.new_cache()


@pytest.fixture(scope="module")
def execution(momento: Momento, cache: str, running_ssm: Any, tmp_path_factory: Any) -> Iterator[Execution]:
    """Yield a warm execution environment with live boards, for all tests."""
    store: ParameterStore = running_ssm()
    store.put(momento.connections.api_key, "/live")
    settings = store.environment | {
        "LAURELS_STAGE": "dev",
        "LAURELS_KEY_PARAMETER": "/live",
        "LAURELS_MOMENTO_CACHE": cache,
        "LAURELS_MOMENTO_ENDPOINT": momento.connections.endpoint,
        "LAURELS_MOMENTO_WEB": momento.connections.account_url,
        "LAURELS_LIVE": "true",
        "LAURELS_LIVE_KEY_PARAMETER": "/live",
    }
    with executing(settings, tmp_path_factory.mktemp("live") / "log") as execution:
        yield execution


@pytest.fixture
def account(momento: Momento) -> Iterator[httpx.Client]:
    """Yield the account API; the faults that are set there end with the test."""
    connections = momento.connections
    with httpx.Client(base_url=connections.account_url, headers={"authorization": connections.api_key}) as account:
        yield account
        account.put("/-/faults", json={"faults": []}).raise_for_status()


def newest(momento: Momento, cache: str, topic: str) -> str:
    """Return the newest hint of a topic: who comes without a number gets it."""
    request = pubsub._SubscriptionRequest(cache_name=cache, topic=topic)  # noqa: SLF001
    messages = momento.topics.Subscribe(request, timeout=30)
    text: str = next(message.item.value.text for message in messages if message.HasField("item"))
    messages.cancel()
    return text


def test_a_submit_is_told(execution: Execution, momento: Momento, cache: str) -> None:
    """What counted is told to the topic that is given out for the board, whichever view of it is asked for."""
    answer = execution.invoke("get_leaderboard", asking({"around": ["v"], "limit": ["3"]}))
    topic = msgspec.json.decode(answer["body"], type=dict[str, Topic])["topics"]
    assert execution.invoke("submit_score", SUBMIT)["statusCode"] == 202
    score = msgspec.json.decode(SUBMIT["body"])["score"]
    assert newest(momento, topic.cache, topic.topic) == f'{{"name":"{NAME}","score":{score}}}'
    refused = execution.invoke("submit_score", SUBMIT | {"body": '{"score": "x"}'})
    assert refused["statusCode"] == 422
    assert newest(momento, topic.cache, topic.topic) == f'{{"name":"{NAME}","score":{score}}}'
    assert (topic.endpoint, topic.cache) == (momento.connections.account_url, cache)
    assert 500 < topic.expires_at.timestamp() - time.time() <= 600
    assert topic.expires_at.tzinfo == UTC
    assert topic.token not in execution.text
    assert not untold(execution)


def untold(execution: Execution) -> list[float]:
    """Return how often a submit was not told, as it was sent."""
    counted = count(execution.metrics)
    return counted.get((UNTOLD_SUBMITS.name, (("stage", "dev"),)), [])


@pytest.mark.parametrize("fault", ["Publish:UNAVAILABLE:9", "Publish:delay=30s", "Publish:PERMISSION_DENIED:9"])
def test_a_submit_that_is_not_told_counts(execution: Execution, account: httpx.Client, fault: str) -> None:
    """It is accepted soon all the same, and counted as one that nobody was told of."""
    account.put("/-/faults", json={"faults": [fault]}).raise_for_status()
    before, begun = len(untold(execution)), time.monotonic()
    assert execution.invoke("submit_score", SUBMIT)["statusCode"] == 202
    assert time.monotonic() - begun < 20
    assert untold(execution)[before:] == [1]
    standing = {"httpMethod": "GET", "body": None}
    assert msgspec.json.decode(execution.invoke("get_standing", SUBMIT | standing)["body"])["rank"] == 0


@pytest.mark.parametrize(
    ("query", "status"),
    [({"view": ["endRank=3", "name=v"]}, 200), ({"window": ["daily"]}, 400), ({"endRank": ["x"]}, 400)],
    ids=["views", "window", "rank"],
)
def test_views_are_checked(execution: Execution, query: dict[str, list[str]], status: int) -> None:
    """A client that asks for events is answered; a view that cannot be is the same error as elsewhere."""
    headers = PAGE["headers"] | {"Accept": "text/event-stream"}
    lists = {name: [value] for name, value in headers.items()}
    answer = execution.invoke("get_leaderboard", asking(query, headers=headers, multiValueHeaders=lists))
    assert answer["statusCode"] == status


def test_momento_gives_no_token(execution: Execution, account: httpx.Client) -> None:
    """An outage is a 503, and no key or token is in the log."""
    account.put("/-/faults", json={"faults": ["GenerateDisposableToken:UNAVAILABLE:9"]}).raise_for_status()
    assert execution.invoke("get_leaderboard", asking(pathParameters={"board": "new"}))["statusCode"] == 503


def test_without_live_boards(
    settings: dict[str, str], account: httpx.Client, ssm: ParameterStore, tmp_path: Path, momento: Momento
) -> None:
    """Nothing is published, no right to topics is needed, and there is no subscription."""
    rule = {"type": "cache", "permissions": ["read", "write"], "caches": "*", "items": "*"}
    role = account.post("/roles", json={"role_name": str(tmp_path), "permissions": {"rules": [rule]}}).json()["role_id"]
    key = account.post("/api-keys", json={"role_id": role, "description": "test", "expiry": "never"}).json()["api_key"]
    ssm.put(key, PARAMETER)
    account.put("/-/faults", json={"faults": ["Publish:UNAVAILABLE"]}).raise_for_status()
    with executing(settings, tmp_path / "log") as execution:
        assert execution.invoke("submit_score", SUBMIT)["statusCode"] == 202
        assert UNTOLD_SUBMITS.name not in execution.text
    assert account.get("/-/faults").json()["faults"] == ["Publish:UNAVAILABLE"]
    assert momento.process.poll() is None


def test_nothing_shows_a_token() -> None:
    """A subscription's representation hides its token."""
    assert "secret" not in repr(Topic("http://a", "cache", "live:kart", "secret", datetime.now(UTC)))
