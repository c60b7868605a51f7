"""The boards that a deployment declares: read and checked at synthesis, and carried in the functions' asset.

The asset has what was read, as JSON: functions need no reader of TOML, nor the data of time zones.
"""

from __future__ import annotations

import json
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

    Raise BoardsFileUnusable where there is none, BadDefinition for what no board can promise, or none in Momento.
    """
    if settings.boards_file is None:
        return {}
    path = Path(settings.boards_file)
    file = read_boards(path)
    _check_kept(file.default, f"{path.name}, [default]")
    for name, definition in file.boards.items():
        _check_kept(definition, f"{path.name}, [boards.{json.dumps(name, ensure_ascii=False)}]")
    return {BOARDS: msgspec.json.encode(file)}


def _check_kept(definition: Definition, where: str) -> None:
    try:
        MomentoStore.capabilities.check(definition)
    except NotKept as refusal:
        raise BadDefinition("", str(refusal), where) from refusal
