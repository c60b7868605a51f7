"""The boards that a deployment declares: read and checked at synthesis, and carried in the functions' asset.

The asset has what was read, as JSON: functions need no reader of TOML, nor the data of time zones.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from infra.settings import BOARDS
from laurels.boards import check_kept
from laurels.boards_file import read_boards
from laurels.stores.momento.store import MomentoStore

if TYPE_CHECKING:
    from infra.settings import Settings


def declared(settings: Settings) -> dict[str, bytes]:
    """Return what declares the boards, by its name in the asset; nothing where no setting names a file.

    Raise BoardsFileUnusable where it is none, BadDefinition for what no board can promise, none in Momento, or none in
    the order that another setting says.
    """
    if settings.boards_file is None:
        return {}
    path = Path(settings.boards_file)
    file = read_boards(path, settings.order)
    check_kept(file, MomentoStore.capabilities, path.name)
    return {BOARDS: msgspec.json.encode(file)}
