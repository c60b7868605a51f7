"""What others may rely on is written down, and is what there is."""

from __future__ import annotations

import importlib
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import laurels

DOCS = Path(__file__).parent.parent / "docs"
REMEDY = "If the change is one that users may notice, say so in CHANGELOG.md; then run `make docs`."


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    """Return what the script defines that writes both pages."""
    return runpy.run_path(str(DOCS / "public_names.py"))


@pytest.mark.parametrize("file", ["PAGE", "NAMES"])
def test_is_current(script: dict[str, Any], file: str) -> None:
    """Both pages are as they are generated: a name or a signature that changes fails this until it is written down."""
    path, write = script[file], script[{"PAGE": "page", "NAMES": "names"}[file]]
    assert path.read_text(encoding="utf-8").splitlines() == write().splitlines(), REMEDY


def test_each_has_a_docstring(script: dict[str, Any]) -> None:
    """Each public class and each call of it says what it does."""
    page = script["page"]().split("\n#")
    silent = [part.splitlines()[0] for part in page if part.rstrip().endswith("```") and part.count("```") == 2]
    assert silent == []


def test_names_are_there() -> None:
    """What the package lists it has, in order, and no other name."""
    assert sorted(laurels.__all__) == laurels.__all__
    assert [name for name in laurels.__all__ if not hasattr(laurels, name)] == []
    assert set(laurels.__all__) <= set(dir(laurels))
    with pytest.raises(AttributeError, match="has no attribute 'opne'"):
        laurels.opne  # noqa: B018 - which is to be misspelt


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [("laurels", {"version"}), ("laurels.Index()", {"version", "ranking"})],
    ids=["package", "index"],
)
def test_is_light(expression: str, allowed: set[str]) -> None:
    """Who imports the package, or uses the index alone, loads nothing else."""
    loaded = "{each.split('.')[1] for each in sys.modules if each[:8] == 'laurels.'}"
    code = f"import sys, laurels; {expression}; print(*{loaded})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == allowed


def test_elsewhere() -> None:
    """Where there is no such store, as on Windows, what opens it says so."""
    code = "import sys; sys.modules['fcntl'] = None; import laurels; laurels.open"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "laurels.errors.NotOnWindows: " in done.stderr


def test_errors_are_ours() -> None:
    """Every error of the client is a LaurelsError, and is named once."""
    client = importlib.import_module("laurels.client")
    errors = [each for each in vars(client).values() if isinstance(each, type) and issubclass(each, Exception)]
    assert errors
    assert all(issubclass(each, laurels.LaurelsError) for each in errors)
