"""A stage's boards file is checked when the stage is synthesized, and is in the functions' asset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from aws_cdk import App

from infra.app import add_stage
from infra.boards import read_declarations
from infra.settings import read
from laurels.boards_file import read_boards
from laurels.definition import BoardsFile
from laurels.errors import BadDefinition, BoardsFileUnusable
from tests.infra.conftest import BOARDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.infra.conftest import Synthesized

pytestmark = pytest.mark.slow

REFUSED = {
    '[boards.kart]\norder = "up"': r"boards\.toml, \[boards\.kart\]: .*order",
    '[boards.kart]\noperator = "best"': r"boards\.toml, \[boards\.kart\]: This service cannot .* operator 'best'",
    '[boards.kart]\nwindows = ["daily"]': r"\[boards\.kart\]: This service cannot keep windows",
    '[default]\nties = "earliest"': r"boards\.toml, \[default\]: This service cannot order ties by 'earliest'",
}


def test_is_in_the_asset(synthesized: Callable[[str], Synthesized]) -> None:
    """The routes' asset has the declarations, and the environment their place but no order, which the file has."""
    stage = synthesized("boards")
    made = stage.one("Lambda::Function", FunctionName="laurels-boards-get-standing")
    variables = made["Environment"]["Variables"]
    asset = stage.file.parent / f"asset.{made['Code']['S3Key'].removesuffix('.zip')}"
    carried = msgspec.json.decode((asset / variables["LAURELS_BOARDS"]).read_bytes(), type=BoardsFile)
    assert carried == read_boards(BOARDS)
    assert "LAURELS_ORDER" not in variables


def test_no_file() -> None:
    """Without the setting there is no file."""
    assert read_declarations(read({})[0]) == {}


@pytest.mark.parametrize(("text", "problem"), REFUSED.items(), ids=lambda text: text.partition("\n")[2])
def test_refused(tmp_path: Path, text: str, problem: str) -> None:
    """A definition that no board can have, or none in Momento, is refused with file, board and field."""
    file = tmp_path / "boards.toml"
    file.write_text(text)
    with pytest.raises(BadDefinition, match=problem):
        read_declarations(read({"boardsFile": str(file)})[0])


@pytest.mark.parametrize("text", ["", '[default]\norder = "ascending"'], ids=["the setting", "both the same"])
def test_order(tmp_path: Path, text: str) -> None:
    """The setting is the default order, if the file has none or the same."""
    file = tmp_path / "boards.toml"
    file.write_text(text)
    carried = read_declarations(read({"boardsFile": str(file), "order": "ascending"})[0])
    assert msgspec.json.decode(carried["boards.json"], type=BoardsFile).default.order == "ascending"


def test_two_orders(tmp_path: Path) -> None:
    """If the file and the setting have different orders, both are refused."""
    file = tmp_path / "boards.toml"
    file.write_text('[default]\norder = "descending"')
    with pytest.raises(BadDefinition, match="leave one out"):
        read_declarations(read({"boardsFile": str(file), "order": "ascending"})[0])


def test_no_such_file() -> None:
    """The error for a missing file names it."""
    with pytest.raises(BoardsFileUnusable, match=r"nowhere/boards\.toml cannot be used: No such file"):
        read_declarations(read({"boardsFile": "/nowhere/boards.toml"})[0])


def test_app_is_refused(tmp_path: Path) -> None:
    """The app refuses a file with one line."""
    context = {"boardsFile": str(tmp_path / "boards.toml")}
    with pytest.raises(BoardsFileUnusable, match=r"^[^\n]*boards\.toml cannot be used[^\n]*$"):
        add_stage(App(context=context, outdir=str(tmp_path / "out")))
