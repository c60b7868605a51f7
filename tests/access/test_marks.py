"""Marks of credentials."""

from __future__ import annotations

import pytest

from laurels.access.marks import Marking

KEY = bytes(range(16))
VECTORS = {
    0: "a3817f04ba25a8e66df67214c7550293",
    1: "da87c1d86b99af44347659119b22fc45",
    8: "3b62a9ba6258f5610f83e264f31497b4",
    15: "5493e99933b0a8117e08ec0f97cfc3d9",
    63: "5150d1772f50834a503e069a973fbd7c",
}
"""Of the authors' own table: the text is the bytes 0, 1, 2 and so on, so many of them."""


@pytest.mark.parametrize(("size", "expected"), VECTORS.items())
def test_vectors(size: int, expected: str) -> None:
    """They are what SipHash's authors say they are."""
    assert Marking(KEY)(bytes(range(size))).hex() == expected


def test_key_is_random() -> None:
    """Two processes make two marks of a text, and one makes one."""
    one, other = Marking(), Marking()
    assert one(b"Bearer x") == one(b"Bearer x") != other(b"Bearer x")


def test_bad_key() -> None:
    """A key has its length."""
    with pytest.raises(ValueError, match="16 bytes"):
        Marking(b"short")
