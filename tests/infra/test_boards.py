"""A stage's boards file is checked when the stage is synthesized, and goes with its functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from infra.boards import declared
from infra.settings import read
from laurels.boards_file import read_boards
from laurels.definition import BoardsFile
from laurels.errors import BadDefinition, BoardsFileUnusable
from tests.infra.conftest import BOARDS
from tests.infra.test_settings import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.infra.conftest import Synthesized

pytestmark = pytest.mark.slow

REFUSED = {
    '[boards.kart]\norder = "up"': r"boards\.toml, \[boards\.kart\]: .*order",
    '[boards.kart]\noperator = "best"': r"boards\.toml, \[boards\.kart\]: This store cannot .* operator 'best'",
    '[boards.kart]\nwindows = ["daily"]': r"\[boards\.kart\]: This store cannot keep windows",
    '[default]\nties = "earliest"': r"boards\.toml, \[default\]: This store cannot order ties by 'earliest'",
}


def test_goes_with_the_functions(synthesized: Callable[[str], Synthesized]) -> None:
    """The functions of the routes carry what the file declares, and are told where; the order stands there."""
    stage = synthesized("boards")
    made = stage.one("Lambda::Function", FunctionName="laurels-boards-get-standing")
    told = made["Environment"]["Variables"]
    asset = stage.file.parent / f"asset.{made['Code']['S3Key'].removesuffix('.zip')}"
    carried = msgspec.json.decode((asset / told["LAURELS_BOARDS"]).read_bytes(), type=BoardsFile)
    assert (carried, "LAURELS_ORDER" in told) == (read_boards(BOARDS), False)


def test_no_file() -> None:
    """Without the setting nothing goes along."""
    assert declared(read({})[0]) == {}


@pytest.mark.parametrize(("text", "problem"), REFUSED.items(), ids=lambda text: text.partition("\n")[2])
def test_refused(tmp_path: Path, text: str, problem: str) -> None:
    """What no board can promise, or none in Momento, is refused by file, board and field."""
    file = tmp_path / "boards.toml"
    file.write_text(text)
    with pytest.raises(BadDefinition, match=problem):
        declared(read({"boardsFile": str(file)})[0])


@pytest.mark.parametrize("text", ["", '[default]\norder = "ascending"'], ids=["the setting", "both alike"])
def test_order(tmp_path: Path, text: str) -> None:
    """The setting is the order of what the file says nothing of."""
    file = tmp_path / "boards.toml"
    file.write_text(text)
    carried = declared(read({"boardsFile": str(file), "order": "ascending"})[0])
    assert msgspec.json.decode(carried["boards.json"], type=BoardsFile).default.order == "ascending"


def test_two_orders(tmp_path: Path) -> None:
    """Where the file says another order than the setting, neither is taken."""
    file = tmp_path / "boards.toml"
    file.write_text('[default]\norder = "descending"')
    with pytest.raises(BadDefinition, match="leave one out"):
        declared(read({"boardsFile": str(file), "order": "ascending"})[0])


def test_no_such_file() -> None:
    """A file that is not there is named."""
    with pytest.raises(BoardsFileUnusable, match=r"nowhere/boards\.toml cannot be used: No such file"):
        declared(read({"boardsFile": "/nowhere/boards.toml"})[0])


def test_app_ends_with_the_reason(tmp_path: Path) -> None:
    """The app ends with the refusal as its only words."""
    ended = run({"boardsFile": str(tmp_path / "boards.toml")}, tmp_path)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "boards.toml cannot be used" in ended.stderr
