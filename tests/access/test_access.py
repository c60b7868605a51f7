"""Access that has less than a service gives it: no file of its own, no limits, no players; and its revoking."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from laurels.access.file import AccessFile, Key, Players, Public, RateLimits
from laurels.access.keys import complete_key, digest_key, is_key, make_key
from laurels.access.lazy_tokens import make_tokens
from laurels.errors import BadCredential, NoAccessFile, NoSecret, TooManyRequests
from laurels.http.access import Access
from laurels.http.messages import Request
from laurels.http.operations import STANDING, SUBMIT
from laurels.http.rate_limits import RateLimiter
from tests.access.issuing import SECRET
from tests.access.ways import KeyRing

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio
KEY = make_key()
FILE = AccessFile(keys={"game": Key(digest_key(KEY), ("submit",))})
REQUEST = Request("GET", b"/b/v", b"", {b"authorization": f"Bearer {KEY}".encode()})


def _showing(credential: str) -> Request:
    return Request("GET", b"/b/v", b"", {b"authorization": f"Bearer {credential}".encode()})


async def test_without_a_file_of_its_own() -> None:
    """There is nothing to read again, and no key can be revoked: all stays as it was."""
    access = Access(FILE)
    await access.reload()
    with pytest.raises(NoAccessFile):
        await access.revoke("game")
    assert str(access.authenticate(REQUEST, STANDING)) == "key:game"


def test_without_limits_and_players() -> None:
    """Nobody asks too often, and no token can be signed."""
    access = Access(FILE)
    for request in (REQUEST, Request("GET", b"/b/v", b"", {})):
        access.address_limit(request, STANDING)
        access.limit_anonymous_tokens(request)
    with pytest.raises(NoSecret):
        access.sign("v", ["*"], 60)


def test_over_the_limit_of_an_address() -> None:
    """A key is looked up all the same, as that costs little; a token that is not known yet is not verified."""
    file = AccessFile(Public(limits=RateLimits(requests="1/h")), FILE.keys, Players())
    tokens = make_tokens(file.players, SECRET, "access.toml")
    access = Access(file, tokens=tokens, limits=RateLimiter(file, 100))
    known, unknown = (access.sign(name, ["*"], 60).token for name in ("ada", "bob"))
    assert str(access.authenticate(_showing(known), STANDING)) == "player:ada"
    access.address_limit(Request("GET", b"/b/v", b"", {}), STANDING)
    assert str(access.authenticate(REQUEST, STANDING)) == "key:game"
    assert str(access.authenticate(_showing(known), STANDING)) == "player:ada"
    for bad in (unknown, make_key(), KEY[:-1], "x", "", "\xff"):
        with pytest.raises(TooManyRequests):
            access.authenticate(_showing(bad), STANDING)


def test_one_credential_is_remembered_once() -> None:
    """However it is written; or who has one could have all others forgotten."""
    remembered = set()

    def mark(text: bytes) -> bytes:
        remembered.add(text)
        return text

    access = Access(FILE, mark=mark)
    for scheme in ("Bearer ", "bearer ", "BEARER  ", "Bearer" + " " * 100):
        request = Request("GET", b"/b/v", b"", {b"authorization": f"{scheme}{KEY}".encode()})
        assert str(access.authenticate(request, STANDING)) == "key:game"
    assert len(remembered) == 1


def test_key_that_expires_while_it_is_remembered() -> None:
    """What was found of a key holds until that expires, to the second."""
    now = [1_000.0]
    access = Access(FILE, now=lambda: now[0])
    access.replace(AccessFile(keys={"game": Key(digest_key(KEY), ("read",), expires=_at(1_060))}), None)
    assert str(access.authenticate(REQUEST, STANDING)) == "key:game"
    now[0] = 1_059.9
    assert str(access.authenticate(REQUEST, STANDING)) == "key:game"
    now[0] = 1_060.0
    with pytest.raises(BadCredential, match="expired"):
        access.authenticate(REQUEST, SUBMIT)


async def test_reload_does_not_bring_a_revoked_key_back(tmp_path: Path) -> None:
    """However revoking and reloading fall together, the key is gone, from the file and from memory."""
    ring = KeyRing()
    secret = ring.add("game", ["read"])
    ring.add("admin", ["admin"])
    file = ring.write(tmp_path / "access.toml")
    access = Access(AccessFile(), file)
    await asyncio.gather(*(each() for each in (access.reload, lambda: access.revoke("game"), access.reload) * 3))
    assert [*access.file.keys] == ["admin"]
    with pytest.raises(BadCredential, match="not known here"):
        access.authenticate(Request("GET", b"/", b"", {b"authorization": f"Bearer {secret}".encode()}), STANDING)


def test_key_is_whole_by_its_checksum() -> None:
    """A key is its secret and the checksum of that."""
    assert is_key(KEY)
    assert complete_key(KEY[:-6]) == KEY


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
