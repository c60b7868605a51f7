"""Requests whose issuer must be asked first who they are from."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.access.issuing import FOREIGN, issuing, signed
from tests.access.ways import bearer, served_by_asgi, serving
from tests.asking import ask, connected, read_replies

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.access.issuing import LocalIssuer
    from tests.conftest import Server

FILE = """
[public]
scopes = ["read"]
limits = { requests = "2/d", burst = 2 }

[players]
issuers = [{ issuer = "https://issuer.example/", audience = "game", jwks = "JWKS" }]
"""
BODY = b'{"score":1}'


@pytest.fixture
def local() -> Iterator[LocalIssuer]:
    """Run an issuer that answers when it is let."""
    with issuing("RS256") as service:
        yield service
        service.released.set()


@pytest.fixture(params=[serving, served_by_asgi], ids=["protocol", "asgi"])
def waiting(request: pytest.FixtureRequest, local: LocalIssuer, tmp_path: Path) -> Iterator[Server]:
    """Start a service whose issuer does not answer yet."""
    file = tmp_path / "access.toml"
    file.write_text(FILE.replace("JWKS", local.url("/slow")))
    with request.param(tmp_path / "data", file, {"LAURELS_TRUSTED_PROXY": "127.0.0.1"}) as server:
        yield server


def head(line: str, length: int, *, name: str = "v") -> bytes:
    """Return the head of a request of a player whose issuer must be asked."""
    token = signed(FOREIGN | {"sub": name, "exp": datetime.now(UTC).timestamp() + 60}, "RS256").decode()
    lines = [f"{line} HTTP/1.1", "Host: localhost", f"Content-Length: {length}", "Content-Type: application/json"]
    return "\r\n".join([*lines, f"Authorization: {bearer(token)['authorization']}", "", ""]).encode()


def test_what_is_refused_is_refused_when_it_is_known(waiting: Server, local: LocalIssuer) -> None:
    """Rights come before what is wrong with the request, also if they are known only later."""
    statuses = {
        "/kart/v": 202,
        "/kart/w": 403,
        "/kart/v?x=1": 400,
        "/kart/%ff": 403,
        "/-/keys": 405,
        "/-/a/b/c": 404,
    }
    with ExitStack() as stack:
        connections = [stack.enter_context(connected(waiting)) for _ in statuses]
        for connection, target in zip(connections, statuses, strict=True):
            connection.sendall(head(f"POST {target}", 11) + BODY)
        local.released.set()
        replies = [read_replies(connection, 1)[0] for connection in connections]
    assert [reply.status for reply in replies] == [*statuses.values()]


def test_who_leaves_before_the_body_is_forgotten(waiting: Server, local: LocalIssuer) -> None:
    """Nobody is asked for a request that never comes, and nothing is left of it."""
    for _ in range(3):
        with connected(waiting) as connection:
            connection.sendall(head("POST /kart/v", 11))
    local.released.set()
    assert ask(waiting, "GET", "/kart", headers={"X-Forwarded-For": "192.0.2.7"}).json == {"leaderboard": []}
    assert waiting.stop() in {0, -15}
    waiting.reading.join(30)
    assert not [line for line in waiting.log if "never awaited" in line or "Traceback" in line]


def test_who_leaves_before_it_is_known(waiting: Server, local: LocalIssuer) -> None:
    """A read whose client has left is not answered, and others that wait for the same issuer are."""
    with connected(waiting) as one, connected(waiting) as other:
        one.sendall(head("GET /kart/v", 0))
        other.sendall(head("POST /kart/v", 11) + BODY)
        one.close()
        local.released.set()
        assert read_replies(other, 1)[0].status == 202
