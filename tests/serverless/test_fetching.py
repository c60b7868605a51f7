"""Fetching the keys of an issuer as functions do, from an issuer of one's own on loopback."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from laurels.errors import KeysUnreadable
from laurels.serverless import fetching
from laurels.serverless.fetching import fetch
from tests.access.issuing import LocalIssuer, key_set
from tests.processes import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio


@pytest.fixture
def issuer() -> Iterator[LocalIssuer]:
    """Yield an issuer with one key."""
    with serving(LocalIssuer("ES256")) as issuer:
        yield issuer
        issuer.released.set()


async def test_keys(issuer: LocalIssuer) -> None:
    """The document is returned as it is."""
    assert await fetch(issuer.url()) == key_set("ES256")


@pytest.mark.parametrize(
    ("path", "problem"),
    [("/broken", "it answered 500"), ("/moved", "it answered 302"), ("/huge", "its answer is longer than 256 KiB")],
)
async def test_what_is_no_answer(issuer: LocalIssuer, path: str, problem: str) -> None:
    """Another status, a redirect, and what is too long are refused."""
    with pytest.raises(KeysUnreadable, match=problem):
        await fetch(issuer.url(path))


async def test_nobody_there() -> None:
    """If nobody listens, the reason says so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(KeysUnreadable, match="refused"):
        await fetch(f"http://127.0.0.1:{port}/keys")


async def test_silent_issuer(issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An issuer that does not answer in time is not waited for, and meanwhile the loop goes on."""
    monkeypatch.setattr(fetching, "FETCH_SECONDS", 0.05)
    waiting = asyncio.create_task(fetch(issuer.url("/slow")))
    await asyncio.sleep(0)
    assert not waiting.done()
    with pytest.raises(KeysUnreadable, match=r"no answer within 0\.05 seconds"):
        await waiting
