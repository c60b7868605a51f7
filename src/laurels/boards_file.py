"""The boards file: what a deployment declares, in TOML."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any

from laurels.declaring import read_definition
from laurels.definition import DEFAULT_DEFINITION, BoardsFile, Definition
from laurels.entries import checked_board
from laurels.errors import BadDefinition, BadName, BoardsFileUnusable
from laurels.wording import describe_unknown, suggest

if TYPE_CHECKING:
    from pathlib import Path

    from laurels.definition import Order

_BARE = re.compile(r"[\w-]+", re.ASCII)


def read_boards(path: Path, order: Order | None = None) -> BoardsFile:
    """Read a boards file; raise BoardsFileUnusable if it cannot be read, BadDefinition if a definition in it is wrong.

    ``order`` is that of the default definition, if the file has none. The messages name file, board and field.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BoardsFileUnusable(path, error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise BoardsFileUnusable(path, "it is not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise BoardsFileUnusable(path, f"it is not TOML: {error}") from error
    return _read_table(table, path.name, order)


def _read_table(table: dict[str, Any], file: str, order: Order | None) -> BoardsFile:
    for field, value in table.items():
        if field not in BoardsFile.__struct_fields__:
            raise BadDefinition("", _describe_unknown(field, value), file)
    boards, declared_only = table.get("boards", {}), table.get("declared_only", False)
    if not isinstance(boards, dict):
        raise BadDefinition("", "boards must hold a table for each board, such as [boards.mario-kart].", file)
    if not isinstance(declared_only, bool):
        raise BadDefinition("", "declared_only must be true or false.", file)
    where = f"{file}, [default]"
    default = (
        _read_definition(table["default"], where)
        if "default" in table
        else Definition(order=order or DEFAULT_DEFINITION.order)
    )
    if order not in {None, default.order}:
        raise BadDefinition(
            "/order", f"order is {default.order!r}, and the setting order {order!r}: leave one out.", where
        )
    named = {name: _read_definition(of, _place_of(name, file)) for name, of in boards.items()}
    return BoardsFile(default, named, declared_only)


def _describe_unknown(field: str, value: object) -> str:
    fields = BoardsFile.__struct_fields__
    if isinstance(value, dict) and not suggest(field, fields):
        return f"[{_key(field)}] is no table of a boards file: the table of a board is [boards.{_key(field)}]."
    return f"{describe_unknown('A boards file', field, fields)}."


def _place_of(name: str, file: str) -> str:
    where = f"{file}, [boards.{_key(name)}]"
    try:
        checked_board(name)
    except BadName as error:
        raise BadDefinition("", str(error), where) from None
    return where


def _read_definition(table: object, where: str) -> Definition:
    try:
        return read_definition(table)
    except BadDefinition as error:
        inner = table.get(error.pointer.removeprefix("/")) if isinstance(table, dict) else None
        is_dotted = isinstance(inner, dict) and "has no field" in error.problem
        advice = ' A name with a dot stands in quotes: [boards."mario.kart"].' if is_dotted else ""
        raise BadDefinition(error.pointer, error.problem + advice, where) from None


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)
