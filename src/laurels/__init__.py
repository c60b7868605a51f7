"""Laurels: a leaderboard service."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from laurels.version import __version__

if TYPE_CHECKING:
    from laurels.client import AsyncClient, Client
    from laurels.embedded import AsyncEmbeddedBoards, EmbeddedBoards, open  # noqa: A004 - as sqlite3 and others
    from laurels.errors import LaurelsError
    from laurels.ranking import Index

__all__ = [
    "AsyncClient",
    "AsyncEmbeddedBoards",
    "Client",
    "EmbeddedBoards",
    "Index",
    "LaurelsError",
    "__version__",
    "open",
]

_MODULES = {
    "AsyncClient": "laurels.client",
    "AsyncEmbeddedBoards": "laurels.embedded",
    "Client": "laurels.client",
    "EmbeddedBoards": "laurels.embedded",
    "Index": "laurels.ranking",
    "LaurelsError": "laurels.errors",
    "open": "laurels.embedded",
}
"""The module of each name that is loaded when it is first asked for: a program pays for what it uses."""


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        found = getattr(import_module(module), name)
    except ModuleNotFoundError:  # which is to say what installs it, or that nothing does here
        found = import_module("laurels.optional").load(f"{module}:{name}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
