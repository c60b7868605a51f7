"""Laurels: a leaderboard service."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from laurels.version import __version__

if TYPE_CHECKING:
    from laurels.client import AsyncClient, Client
    from laurels.errors import LaurelsError

__all__ = ["AsyncClient", "Client", "LaurelsError", "__version__"]

_MODULES = {"AsyncClient": "laurels.client", "Client": "laurels.client", "LaurelsError": "laurels.errors"}
"""The module of each name that is loaded when it is first asked for: a program pays for what it uses."""


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(module), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
