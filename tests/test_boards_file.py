"""The boards file: what it declares, and what is said of errors in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from laurels.boards_file import read_boards
from laurels.definition import NO_FILE, BoardsFile, Bounds, Definition
from laurels.errors import BadDefinition, BoardsFileUnusable, LaurelsError

if TYPE_CHECKING:
    from pathlib import Path

KART = """
declared_only = true
default.ttl = "7d"

[boards.mario-kart]
operator = "best"
scores = { min = 0, max = 1_000_000, integer = true }
windows = ["daily", "0 6 * * 1"]
time_zone = "Europe/Berlin"
keep = { daily = 30, "0 6 * * 1" = 12 }

[boards."ein Brett"]
order = "ascending"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the path of a boards file, which is not there yet."""
    return tmp_path / "boards.toml"


def test_boards_are_declared(file: Path) -> None:
    """A file declares boards by their names, and the default definition of all others."""
    file.write_text(KART)
    kart = Definition(
        operator="best",
        scores=Bounds(0, 1_000_000, integer=True),
        windows=("daily", "0 6 * * 1"),
        time_zone="Europe/Berlin",
        keep={"daily": 30, "0 6 * * 1": 12},
    )
    boards = {"mario-kart": kart, "ein Brett": Definition(order="ascending")}
    assert read_boards(file) == BoardsFile(Definition(ttl="7d"), boards, declared_only=True)


def test_empty_file(file: Path) -> None:
    """An empty file declares nothing."""
    file.touch()
    assert read_boards(file) == NO_FILE


BAD = {
    "a field": ('[boards.a]\norder = "desc"', 'boards.toml, [boards.a]: order is "desc": it must be'),
    "a field of the default": ("[default]\nttl = 7", "boards.toml, [default]: ttl is 7"),
    "a board that is no table": ("[boards]\na = 3", "boards.toml, [boards.a]: A definition is 3"),
    "a name with spaces": ('[boards."a b"]\nx = 1', 'boards.toml, [boards."a b"]: A definition has no field "x"'),
    "a name with a dot": ("[boards.mario.kart]", 'A name with a dot stands in quotes: [boards."mario.kart"].'),
    "a name that is none": ('[boards."\\u0000"]', "control character"),
    "the reserved name": ('[boards."-"]', "'-' is reserved"),
    "a board at the top": (
        "[kart]",
        "boards.toml: [kart] is no table of a boards file: the table of a board is [boards.k",
    ),
    "a table of another name": ("[board.kart]", 'no field "board"; perhaps you mean "boards"'),
    "another field at the top": ("ttl = 3", "It has default, boards, declared_only."),
    "no tables of boards": ("boards = []", "such as [boards.mario-kart]"),
    "declared only, perhaps": ('declared_only = "yes"', "declared_only must be true or false"),
    "a date": ("[boards.a]\nttl = 1979-05-27", 'ttl is "1979-05-27"'),
}


@pytest.mark.parametrize(("text", "says"), BAD.values(), ids=BAD)
def test_bad_file(file: Path, text: str, says: str) -> None:
    """The message names file, board and field, and what would be right."""
    file.write_text(text)
    with pytest.raises(BadDefinition) as raised:
        read_boards(file)
    assert says in str(raised.value)


UNUSABLE = {
    "no TOML": (b"[boards\nx", r"not TOML: .*line 1"),
    "one board twice": (b"[boards.a]\n[boards.a]", "not TOML: "),
    "no UTF-8": (b"\xff", "not UTF-8"),
}


@pytest.mark.parametrize(("content", "says"), UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_file(file: Path, content: bytes, says: str) -> None:
    """A file that is not TOML is refused with the line of the error."""
    file.write_bytes(content)
    with pytest.raises(BoardsFileUnusable, match=says):
        read_boards(file)


def test_no_file(file: Path) -> None:
    """The error for a missing file names its path."""
    with pytest.raises(BoardsFileUnusable, match=str(file)):
        read_boards(file)


@pytest.mark.parametrize(
    ("text", "order"),
    [("", "ascending"), ('[default]\norder = "ascending"', "ascending"), ('[default]\nttl = "7d"', "descending")],
    ids=["no default", "the same", "the default's default"],
)
def test_order_besides_the_file(file: Path, text: str, order: str) -> None:
    """An order that is given besides the file becomes that of the default definition, or agrees with it."""
    file.write_text(text)
    assert read_boards(file, order).default.order == order  # type: ignore[arg-type]


def test_order_against_the_file(file: Path) -> None:
    """An order that contradicts the file is refused."""
    file.write_text("[default]")
    with pytest.raises(LaurelsError, match="order is 'descending', and the setting order 'ascending': leave one out"):
        read_boards(file, "ascending")
