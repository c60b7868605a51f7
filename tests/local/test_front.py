"""The gateway's front where a function does not do what it should."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from infra.local.front import NO_KEYS, PAYLOAD_BYTES, Front, Identity
from infra.local.runtime import Setup
from infra.local.stack import LAMBDA_RUNTIME, Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

HANDLERS = """
def get_leaderboard(event, context):
    return {"body": "without a status"}
def get_standing(event, context):
    raise ValueError("a fault")
calls = 0
def submit_score(event, context):
    global calls
    calls += 1
    headers = {"X-Two": ["1", "2"], "X-Calls": [str(calls)], "WWW-Authenticate": ["Bearer"]}
    headers["X-Key"] = [str(event["requestContext"]["identity"]["apiKeyId"])]
    return {"statusCode": 202, "body": "aGVsbG8=", "isBase64Encoded": True, "multiValueHeaders": headers}
"""


@asynccontextmanager
async def front(directory: Path, api_keys: Mapping[str, str] = NO_KEYS) -> AsyncIterator[httpx.AsyncClient]:
    """Run the front over the handlers above."""
    (directory / "handlers.py").write_text(HANDLERS)
    with ExitStack() as sockets:
        server = Server(sockets)
        functions = {
            name: server.add(
                Setup(
                    name=name,
                    handler=f"handlers.{name}",
                    path=(directory, LAMBDA_RUNTIME),
                    environment={},
                    log=directory / name,
                )
            )
            for name in ("get_leaderboard", "get_standing", "submit_score")
        }
        port = server.listen("127.0.0.1", 0)
        server.add_front(port, Front(functions, "test", api_keys))
        serving = asyncio.create_task(server.run_until_stopped())
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            yield client
        for function in functions.values():
            function.kill()
        server.should_exit = True
        await serving


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/b", "/b/v"], ids=["no answer", "raises"])
async def test_function_that_fails(tmp_path: Path, path: str) -> None:
    """A function that raises, or gives back what is no answer, is a problem with the gateway's own status."""
    async with front(tmp_path) as client:
        reply = await client.get(path)
    assert (reply.status_code, reply.headers["content-type"]) == (502, "application/problem+json")
    assert reply.json()["title"] == "Service failed"


@pytest.mark.anyio
async def test_answer_in_full(tmp_path: Path) -> None:
    """A body in base64 and headers of several values come out as they were meant."""
    async with front(tmp_path) as client:
        reply = await client.post("/b/v", json={"score": 1})
    assert (reply.status_code, reply.content, reply.headers.get_list("x-two")) == (202, b"hello", ["1", "2"])


@pytest.mark.anyio
async def test_challenge_is_renamed(tmp_path: Path) -> None:
    """WWW-Authenticate of a function comes out under the gateway's name for it."""
    async with front(tmp_path) as client:
        reply = await client.post("/b/v", json={"score": 1})
    assert reply.headers["x-amzn-remapped-www-authenticate"] == "Bearer"
    assert "www-authenticate" not in reply.headers


KEYS = {"game": "the key of the game", "site": "another"}


@pytest.mark.anyio
@pytest.mark.parametrize("sent", [None, "", "the key of the gam", "The key of the game"], ids=repr)
async def test_without_an_api_key(tmp_path: Path, sent: str | None) -> None:
    """If there are API keys, a request without one of them is a 401 of the gateway's own, and reaches no function."""
    async with front(tmp_path, KEYS) as client:
        reply = await client.post("/b/v", json={"score": 1}, headers={"x-api-key": sent} if sent is not None else {})
        good = await client.post("/b/v", json={"score": 1}, headers={"X-Api-Key": KEYS["game"]})
    assert (reply.status_code, reply.headers["content-type"]) == (401, "application/problem+json")
    assert reply.headers["www-authenticate"] == 'ApiKey realm="laurels"'
    assert (good.headers["x-calls"], good.headers["x-key"]) == ("1", "game")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("OPTIONS", "/b/v", 204), ("PUT", "/b/v", 405), ("GET", "/", 404), ("GET", "/-/boards/b/live", 404)],
)
async def test_what_needs_no_api_key(tmp_path: Path, method: str, path: str, status: int) -> None:
    """A preflight needs no API key, nor what there is not."""
    async with front(tmp_path, KEYS) as client:
        reply = await client.request(method, path)
    assert reply.status_code == status


@pytest.mark.anyio
async def test_body_beyond_the_gateway(tmp_path: Path) -> None:
    """A body larger than API Gateway takes is a 413 of its own."""
    async with front(tmp_path) as client:
        reply = await client.post("/b/v", content=bytes(PAYLOAD_BYTES + 1))
    assert (reply.status_code, reply.json()["status"]) == (413, 413)


@pytest.mark.anyio
async def test_client_that_leaves(tmp_path: Path) -> None:
    """A request whose client leaves before it is whole reaches no function."""
    async with front(tmp_path) as client:
        _, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        writer.write(
            b"POST /b/v HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n\r\nhalf"
        )
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        first, second = [await client.post("/b/v", json={"score": 1}) for _ in range(2)]
    assert [reply.headers["x-calls"] for reply in (first, second)] == ["1", "2"]


def test_api_key_is_in_no_repr() -> None:
    """The repr of who sent a request has no key."""
    assert "secret" not in repr(Identity("127.0.0.1", None, "secret", "game"))
