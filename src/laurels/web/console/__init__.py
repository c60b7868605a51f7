"""The console: a page with a style sheet and modules, one for each thing that it shows; nothing builds them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

SHELL = "console.html"
NAMES = tuple(sorted(each.name for each in files(__name__).iterdir() if each.name.endswith((".css", ".js"))))
"""What the page loads, from below its own address."""


@cache
def read(name: str) -> bytes:
    """Return a file as it is."""
    return files(__name__).joinpath(name).read_bytes()
