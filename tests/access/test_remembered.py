"""What was proved is remembered, as far as there is room."""

from __future__ import annotations

from laurels.access.principal import Principal
from laurels.access.remembered import ENTRY_BYTES, Remembered


def player(i: int, expires: float = 10.0) -> Principal:
    """Return a principal."""
    return Principal(kind="player", name=f"player-{i}", expires=expires, boards=())


def test_bounded() -> None:
    """However many are proved, at most two halves are remembered, and those the longest that are asked for."""
    remembered = Remembered(100 * ENTRY_BYTES)
    remembered.add(b"often", player(0))
    for i in range(1, 1000):
        remembered.add(b"%d" % i, player(i))
        known = remembered.find(b"often", 1)
        assert known is not None
        assert known.principal.name == "player-0"
    found = [i for i in range(999, 0, -1) if remembered.find(b"%d" % i, 1)]
    assert 99 <= len(found) <= 200
    assert found == list(range(999, 999 - len(found), -1))


def test_expired() -> None:
    """What has expired is not there, in either half."""
    remembered = Remembered(2 * ENTRY_BYTES)
    for i in range(3):
        remembered.add(b"%d" % i, player(i, expires=5))
    assert [bool(remembered.find(b"%d" % i, 4.9)) for i in (0, 2)] == [True, True]
    assert [remembered.find(b"%d" % i, 5) for i in range(3)] == [None] * 3
