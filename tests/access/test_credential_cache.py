"""The cache of credentials: what was proved is remembered, as far as there is room."""

from __future__ import annotations

from laurels.access.credential_cache import ENTRY_BYTES, CredentialCache
from laurels.access.principal import Principal


def player(i: int, expires: float = 10.0) -> Principal:
    """Return a principal."""
    return Principal(kind="player", name=f"player-{i}", expires=expires, boards=())


def test_bounded() -> None:
    """However many are proved, at most two halves are remembered, and those the longest that are asked for."""
    cache = CredentialCache(100 * ENTRY_BYTES)
    cache.add(b"often", player(0))
    for i in range(1, 1000):
        cache.add(b"%d" % i, player(i))
        known = cache.find(b"often", 1)
        assert known is not None
        assert known.principal.name == "player-0"
    found = [i for i in range(999, 0, -1) if cache.find(b"%d" % i, 1)]
    assert 99 <= len(found) <= 200
    assert found == list(range(999, 999 - len(found), -1))


def test_expired() -> None:
    """What has expired is not there, in either half."""
    cache = CredentialCache(2 * ENTRY_BYTES)
    for i in range(3):
        cache.add(b"%d" % i, player(i, expires=5))
    assert [bool(cache.find(b"%d" % i, 4.9)) for i in (0, 2)] == [True, True]
    assert [cache.find(b"%d" % i, 5) for i in range(3)] == [None] * 3
