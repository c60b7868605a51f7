"""The boards that a deployment declares: read and checked at synthesis, and put into the functions' asset.

The asset has them as JSON: so functions need no reader of TOML, nor the data of time zones.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from infra.settings import BOARDS
from laurels.boards import check_kept
from laurels.boards_file import read_boards
from laurels.stores.momento.store import MomentoStore
from laurels.stores.redis.store import RedisStore

if TYPE_CHECKING:
    from infra.settings import Settings

CAPABILITIES = {"momento": MomentoStore.capabilities, "valkey": RedisStore.capabilities}


def read_declarations(settings: Settings) -> dict[str, bytes]:
    """Return the declarations as a file, by its name in the asset; no file if no setting names one.

    Raises BoardsFileUnusable, and BadDefinition for a definition that no board can have, or none in the stage's store,
    or that contradicts the setting of the order.
    """
    if settings.boards_file is None:
        return {}
    path = Path(settings.boards_file)
    file = read_boards(path, settings.order)
    check_kept(file, CAPABILITIES[settings.store], path.name)
    return {BOARDS: msgspec.json.encode(file)}
