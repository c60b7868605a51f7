"""gRPC-Web: the official web SDK in a real browser, and what else may come over HTTP."""

from __future__ import annotations

import base64
import socket
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from momento import AuthClient
from momento.auth.access_control.disposable_token_scopes import DisposableTokenScopes as Scopes
from momento.config.auth_configurations import AuthConfigurations
from momento.responses import GenerateDisposableToken
from momento.utilities import ExpiresIn
from momento_wire_types import cacheclient_pb2, cachepubsub_pb2

from tests.momento import momento_running
from tests.momento_local.web_sdk import in_browser, wait_until_heard
from tests.test_browser import CHROMIUM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.async_api import Page

    from tests.momento import Momento

GET, SUBSCRIBE = "/cache_client.Scs/Get", "/cache_client.pubsub.Pubsub/Subscribe"
BINARY, TEXT = "application/grpc-web+proto", "application/grpc-web-text"


def publish(momento: Momento, cache: str, *texts: str) -> None:
    """Publish to the topic "news"."""
    for text in texts:
        value = cachepubsub_pb2._TopicValue(text=text)
        momento.topics.Publish(cachepubsub_pb2._PublishRequest(cache_name=cache, topic="news", value=value))


def token_of(momento: Momento, cache: str) -> str:
    """Return a token that may subscribe to the topic "news" alone."""
    with AuthClient(AuthConfigurations.Laptop.latest(), momento.credentials) as client:
        made = client.generate_disposable_token(Scopes.topic_subscribe_only(cache, "news"), ExpiresIn.minutes(1))
    assert isinstance(made, GenerateDisposableToken.Success)
    return made.auth_token


def frame(message: Any) -> bytes:
    """Return a message as the frame of a request."""
    body: bytes = message.SerializeToString()
    return b"\0" + len(body).to_bytes(4) + body


@pytest.fixture
def web(momento: Momento) -> Iterator[httpx.Client]:
    """Yield a client of the server's HTTP."""
    with httpx.Client(base_url=momento.connections.account_url) as client:
        yield client


@pytest.mark.skipif(CHROMIUM is None, reason="without a browser")
def test_a_browser_subscribes(momento: Momento, cache: str) -> None:
    """A page hears the newest item and what is published, and keeps to its token's topic."""
    url, token = momento.connections.account_url, token_of(momento, cache)
    publish(momento, cache, "old", "newest")

    async def hear(page: Page) -> None:
        assert await page.evaluate("args => hear(...args)", [token, url, cache, "news"]) == "subscribed"
        await wait_until_heard(page, [2, "newest"])
        publish(momento, cache, "später")
        await wait_until_heard(page, [3, "später"])
        await wait_until_heard(page, "heartbeat")
        assert await page.evaluate("args => say(...args)", [cache, "news", "mine"]) == "PERMISSION_ERROR"
        await page.evaluate("subscription.unsubscribe()")
        assert await page.evaluate("args => hear(...args)", [token, url, cache, "other"]) == "PERMISSION_ERROR"
        assert await page.evaluate("args => hear(...args)", [token, url, "ghost", "news"]) == "PERMISSION_ERROR"

    in_browser(hear)


@pytest.mark.parametrize("kind", [BINARY, TEXT])
def test_one_message_in_each_form(web: httpx.Client, cache: str, kind: str) -> None:
    """A call is answered by its message and its status, in bytes or in base64."""
    request = frame(cacheclient_pb2._GetRequest(cache_key=b"k"))
    content = base64.b64encode(request) if kind == TEXT else request
    answer = web.post(GET, content=content, headers={"content-type": kind, "cache": cache, "origin": "http://a.test"})
    assert answer.headers["access-control-allow-origin"] == "*"
    first, last = answer.content, b""
    if kind == TEXT:  # each frame by itself
        first, last = (base64.b64decode(part + b"==") for part in answer.content.split(b"=", 1))
    whole = first + last
    length = int.from_bytes(whole[1:5])
    assert cacheclient_pb2._GetResponse.FromString(whole[5 : 5 + length]).result == cacheclient_pb2.Miss
    assert whole[5 + length :] == b"\x80" + (15).to_bytes(4) + b"grpc-status:0\r\n"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/cache_client.Scs/NoSuch", b"\0\0\0\0\0", "12"),
        ("/no.such/Call", b"\0\0\0\0\0", "12"),
        (GET, b"\0\0\0\0\0", "3"),
        (GET, b"", "3"),
        (GET, b"\0\0\0\0\x09k", "3"),
        (GET, b"\x80\0\0\0\0", "3"),
        (SUBSCRIBE, b"\0\0\0\0\x01\xff", "3"),
    ],
    ids=["no call", "no service", "no key", "no frame", "too short", "trailers", "no message"],
)
def test_what_is_no_call(web: httpx.Client, cache: str, path: str, body: bytes, status: str) -> None:
    """It has the status that it would have over HTTP/2, in the trailers."""
    answer = web.post(path, content=body, headers={"content-type": BINARY, "cache": cache})
    assert answer.status_code == HTTPStatus.OK
    assert answer.content[5:].startswith(f"grpc-status:{status}\r\ngrpc-message:".encode())


def test_text_that_is_none(web: httpx.Client) -> None:
    """What should be base64 and is not is no message."""
    answer = web.post(GET, content=b"***", headers={"content-type": TEXT})
    assert base64.b64decode(answer.content)[5:].startswith(b"grpc-status:3\r\n")


def test_requests_that_are_not_whole(web: httpx.Client, momento: Momento) -> None:
    """A client may leave before its request is whole; the next one is answered."""
    with socket.create_connection((momento.host, web.base_url.port)) as leaving:
        leaving.sendall(f"POST {GET} HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n".encode())
    assert web.post(GET, content=b"", headers={"content-type": BINARY}).status_code == HTTPStatus.OK


def test_other_types_and_questions(web: httpx.Client) -> None:
    """JSON is no gRPC-Web. A browser may ask whether it may send the headers that it names."""
    assert web.post(GET, json={}).status_code == HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    asked = web.options(GET, headers={"origin": "http://a.test", "access-control-request-headers": "authorization"})
    assert asked.status_code == HTTPStatus.NO_CONTENT
    assert asked.headers["access-control-allow-headers"] == "authorization"
    assert web.get(GET).status_code == HTTPStatus.NOT_FOUND  # of the account API


def test_open_calls_end() -> None:
    """A page that leaves makes room for the next one; one that is there when the server ends is told so."""
    with (
        momento_running("--max-calls", "1", "--cache", "boards") as momento,
        httpx.Client(base_url=momento.connections.account_url, headers={"content-type": BINARY}) as web,
    ):
        content = frame(cachepubsub_pb2._SubscriptionRequest(cache_name="boards", topic="news"))
        with web.stream("POST", SUBSCRIBE, content=content) as first:
            chunks = first.iter_bytes()  # who drops this, leaves
            assert next(chunks)[0] == 0
            refused = web.post(SUBSCRIBE, content=content)
            assert refused.content[5:].startswith(b"grpc-status:8\r\n")
        while True:
            with web.stream("POST", SUBSCRIBE, content=content) as second:
                chunks = second.iter_bytes()
                if next(chunks)[0] == 0:
                    momento.process.terminate()
                    assert b"grpc-status:14\r\n" in b"".join(chunks)
                    break
