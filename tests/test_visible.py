"""Foreign text is made visible."""

from __future__ import annotations

import json

import pytest

from laurels.visible import escape, escape_json


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain \\ [red] :smile:", "plain \\ [red] :smile:"),
        ("\x1b[31mred\x07\x00\x7f\x9b", r"\x1b[31mred\x07\x00\x7f\x9b"),
        ("a\tb\nc\rd\x85", r"a\tb\nc\rd\x85"),
        ("\u2028\u2029\u00a0\u3000", r"\u2028\u2029\xa0\u3000"),
        ("\u202ea\u2066\u200e\u200f\u061c", r"\u202ea\u2066\u200e\u200f\u061c"),
        ("a\u200bb\u2060\ufeff\u00ad", r"a\u200bb\u2060\ufeff\xad"),
        ("\u3164\u115f\u2800\u034f\u180e", r"\u3164\u115f\u2800\u034f\u180e"),
        ("a\U000e0041\U000e0100\U0001d173", r"a\U000e0041\U000e0100\U0001d173"),
        ("\ue000\U0010ffff\udc80", r"\ue000\U0010ffff\udc80"),
        ("J\u00fcrgen \u65e5\u672c\u8a9e \u05d0\u05d1 \u0e17\u0e35\u0e48", None),
        ("Vie\u0323\u0302t", None),
        ("a" + "\u0301" * 6, "a" + "\u0301" * 4 + r"\u0301\u0301"),
        ("\u0301a", r"\u0301a"),
        (
            "\U0001f468\u200d\U0001f469 \u2764\ufe0f\u200d\U0001f525 1\ufe0f\u20e3 \U0001f44d\U0001f3fd",
            None,
        ),
        (
            "a\u200d\U0001f469 \U0001f469\u200d a\ufe0f 1\ufe0f \u2800\ufe0f",
            r"a\u200d👩 👩\u200d a\ufe0f 1\ufe0f \u2800\ufe0f",
        ),
        ("\ufe0f\u200d", r"\ufe0f\u200d"),
    ],
    ids=ascii,
)
def test_escape(text: str, shown: str | None) -> None:
    """Controls and what nobody sees are shown; what people write, with its accents and pictures, stays."""
    assert escape(text) == (text if shown is None else shown)


@pytest.mark.parametrize(
    "text", ["\x7f\x9b\u202e\U000e0041 \U0001f469\u200d\U0001f469", "a" + "\u0301" * 9, '"\\\n'], ids=ascii
)
def test_escape_json(text: str) -> None:
    """A document says the same, and what its strings hold is printable."""
    document = escape_json(json.dumps([text], ensure_ascii=False))
    assert json.loads(document) == [text]
    assert document.replace("\u200d", "").isprintable()
