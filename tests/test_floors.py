"""The floors: what may import what."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "laurels"

MAY_IMPORT = {
    "version": set[str](),
    "limits": set[str](),
    "errors": {"limits"},
    "optional": {"errors"},
    "logs": set[str](),
    "ranking": set[str](),
    "windows": {"errors"},
    "definition": set[str](),
    "entries": {"limits", "errors", "definition"},
    "declaring": {"errors", "windows", "definition"},
    "boards_file": {"errors", "definition", "entries", "declaring"},
    "stores.contract": {"errors", "definition"},
    "stores": {"errors", "ranking", "definition", "stores.contract"},
    "submissions": {"limits", "errors", "definition", "entries", "stores.contract"},
    "boards": {"limits", "errors", "windows", "definition", "entries", "stores.contract", "submissions"},
    "http": {"version", "limits", "errors", "definition", "entries", "declaring", "stores.contract", "boards"},
    "adapters": {"limits", "errors", "http"},
    "momento_local": {"version", "errors", "ranking"},
    "serverless": {
        "version",
        "errors",
        "optional",
        "definition",
        "boards_file",
        "stores.contract",
        "stores",
        "boards",
        "http",
        "adapters",
    },
    "assembly": {
        "errors",
        "optional",
        "logs",
        "definition",
        "boards_file",
        "stores.contract",
        "stores",
        "boards",
        "http",
        "adapters",
    },
    "cli": {
        "version",
        "limits",
        "errors",
        "optional",
        "windows",
        "definition",
        "entries",
        "declaring",
        "boards_file",
        "stores.contract",
        "stores",
        "boards",
        "http",
        "momento_local",
        "assembly",
    },
    "__init__": {"version"},
    "__main__": {"cli"},
}

MODULES = {
    str(path.relative_to(SOURCE).with_suffix("")).replace("/", "."): path
    for path in SOURCE.rglob("*.py*")
    if "cpython" not in path.name and path.suffix in {".py", ".pyx"}
}


def floor(module: str) -> str:
    """Give the floor that a module stands on: the longest name in the table that it begins with."""
    return max((name for name in MAY_IMPORT if f"{module}.".startswith(f"{name}.")), key=len)


def imports(module: str) -> set[str]:
    """Give the modules of ours that a module imports, for types too, wherever in it."""
    text = MODULES[module].read_text()
    if MODULES[module].suffix == ".pyx":
        text = "\n".join(
            line.replace(" cimport ", " import ")
            for line in text.splitlines()
            if line.startswith(("from laurels", "import laurels"))
        )
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("laurels"):
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    found = {name.removeprefix("laurels.") for name in names}
    return {name for name in found if name in MODULES} | {
        f"{name}.__init__" for name in found if f"{name}.__init__" in MODULES
    }


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    """A module imports from the floors that its own may stand on, and from its own."""
    reached = {floor(name) for name in imports(module)}
    assert reached <= MAY_IMPORT[floor(module)] | {floor(module)}


def test_no_circles() -> None:
    """No module imports itself, however far round."""
    list(TopologicalSorter({module: imports(module) - {module} for module in MODULES}).static_order())


@pytest.mark.parametrize("module", MODULES)
def test_imports_stand_at_the_top(module: str) -> None:
    """No function imports anything."""
    if MODULES[module].suffix == ".py":
        functions = [
            node
            for node in ast.walk(ast.parse(MODULES[module].read_text()))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        assert not [
            node
            for function in functions
            for node in ast.walk(function)
            if isinstance(node, ast.Import | ast.ImportFrom)
        ]
