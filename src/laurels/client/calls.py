"""What all calls share: the connection, paths, and the parameters that many take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from laurels.declaring import normalize_definition
from laurels.entries import checked_name
from laurels.errors import BadDefinition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from laurels.client.connection import Connection
    from laurels.definition import Definition

Field = Literal["place", "metadata", "submitted_at"]
"""A field of an entry that is there only if it is asked for."""
_NAMES = {"submitted_at": "submittedAt"}


class Calls:
    """Calls to one service."""

    _connection: Connection

    def _check_definition(self, definition: Definition) -> Definition:
        try:
            return normalize_definition(definition)
        except BadDefinition as error:
            self._connection.refuse(str(error).rstrip("."))


def path_of(board: str, name: str | None = None) -> str:
    """Return the path of a board, or of a name on it; raise BadName."""
    path = "/" + quote(checked_name(board, "board"), safe="")
    return path if name is None else f"{path}/{quote(checked_name(name), safe='')}"


def own_path(board: str, *parts: str) -> str:
    """Return the path of what the service itself has for a board."""
    return "/".join(["/-/boards" + path_of(board), *(quote(checked_name(part), safe="") for part in parts)])


def list_fields(fields: Iterable[str]) -> str | None:
    """Return fields to include as the service has them, None for none."""
    return ",".join(_NAMES.get(field, field) for field in fields) or None
