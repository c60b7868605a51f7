"""The boards that a deployment declares: read and checked at synthesis, and carried in the functions' asset.

The asset has what was read, as JSON: functions need no reader of TOML, nor the data of time zones.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from infra.settings import BOARDS
from laurels.boards_file import read_boards
from laurels.errors import BadDefinition, NotKept
from laurels.stores.momento import MomentoStore

if TYPE_CHECKING:
    from infra.settings import Settings
    from laurels.definition import Definition


def declared(settings: Settings) -> dict[str, bytes]:
    """Give what declares the boards, by its name in the asset; nothing where no setting names a file.

    Raise BoardsFileUnusable where it is none, BadDefinition for what no board can promise, none in Momento, or none in
    the order that another setting says.
    """
    if settings.boards_file is None:
        return {}
    path = Path(settings.boards_file)
    file = read_boards(path, settings.order)
    _check_kept(file.default, f"{path.name}, [default]")
    for name, definition in file.boards.items():
        _check_kept(definition, f"{path.name}, [boards.{name}]")
    return {BOARDS: msgspec.json.encode(file)}


def _check_kept(definition: Definition, where: str) -> None:
    try:
        MomentoStore.capabilities.check(definition)
    except NotKept as refusal:
        raise BadDefinition("", str(refusal), where) from refusal
