"""The floors: what may import what. That imports are at the top of a file is checked by ruff (PLC0415)."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {"laurels": ROOT / "src" / "laurels", "infra": ROOT / "infra", "bench": ROOT / "bench"}


def laurels(*floors: str) -> set[str]:
    """Return the full names of floors of the package."""
    return {f"laurels.{floor}" for floor in floors}


def infra(*floors: str) -> set[str]:
    """Return the full names of floors of the deployment."""
    return {f"infra.{floor}" for floor in floors}


def bench(*floors: str) -> set[str]:
    """Return the full names of floors of the benchmark."""
    return {f"bench.{floor}" for floor in floors}


BACKUP = laurels(*(f"backup.{name}" for name in ("limits", "parts", "tar", "reading", "places", "generations")))
BACKUP |= laurels(*(f"backup.{name}" for name in ("verify", "restore", "sources", "archive")))
MAY_IMPORT = {
    "laurels.version": set[str](),
    "laurels.limits": set[str](),
    "laurels.clock": set[str](),
    "laurels.errors": laurels("limits"),
    "laurels.wording": set[str](),
    "laurels.optional": laurels("errors"),
    "laurels.visible": set[str](),
    "laurels.figures": set[str](),
    "laurels.distribution": laurels("figures"),
    "laurels.loop_lag": laurels("figures", "distribution"),
    "laurels.memory_limit": laurels("figures"),
    "laurels.tracing": set[str](),
    "laurels.logs": laurels("tracing", "visible"),
    "laurels.lifetime": set[str](),
    "laurels.reloading": laurels("errors", "logs", "figures"),
    "laurels.workers": laurels("figures"),
    "laurels.systemd": set[str](),
    "laurels.ranking": set[str](),
    "laurels.audit": laurels("errors", "visible", "figures"),
    "laurels.access": laurels("limits", "errors", "wording", "optional", "entries", "tracing"),
    "laurels.wall_clock": set[str](),
    "laurels.windows": laurels("errors", "wall_clock"),
    "laurels.definition": laurels("limits", "errors"),
    "laurels.entries": laurels("limits", "errors", "definition"),
    "laurels.declaring": laurels("limits", "errors", "wording", "windows", "definition"),
    "laurels.boards_file": laurels("errors", "wording", "definition", "entries", "declaring"),
    "laurels.backup.__init__": set[str](),
    "laurels.backup.limits": laurels("limits"),
    "laurels.backup.parts": laurels("limits", "clock", "errors"),
    "laurels.backup.tar": laurels("errors"),
    "laurels.backup.reading": laurels("errors", "backup.parts", "backup.tar"),
    "laurels.stores.__init__": set[str](),
    "laurels.stores.contract": laurels("limits", "errors", "definition", "figures"),
    "laurels.stores.sums": laurels("errors", "definition"),
    "laurels.stores.summary": laurels("stores.contract"),
    "laurels.stores.neighbours": set[str](),
    "laurels.stores.runs": laurels("clock", "errors", "definition"),
    "laurels.stores.guard": laurels("limits", "clock", "errors", "definition"),
    "laurels.stores.redis": laurels(
        "limits",
        "clock",
        "errors",
        "definition",
        "stores.contract",
        "stores.sums",
        "stores.summary",
        "stores.neighbours",
    )
    | laurels("stores.runs", "stores.guard", "figures", "distribution")
    | laurels("tracing"),
    "laurels.stores.embedded": laurels("limits", "clock", "errors", "ranking", "definition", "stores.contract")
    | laurels("stores.sums", "stores.summary", "stores.neighbours", "stores.runs", "stores.guard")
    | laurels("version", "backup.limits", "backup.parts", "backup.tar", "figures", "distribution")
    | laurels("tracing"),
    "laurels.backup.verify": laurels("errors", "definition", "stores.embedded"),
    "laurels.backup.restore": laurels("errors", "backup.parts", "backup.reading", "backup.verify", "stores.embedded"),
    "laurels.stores.momento": laurels("errors", "definition", "stores.contract", "figures") | laurels("tracing"),
    "laurels.backup.places": laurels("limits", "errors", "optional"),
    "laurels.backup.generations": laurels("clock", "errors", "backup.parts", "backup.places"),
    "laurels.backup.sources": laurels("clock", "errors", "backup.tar", "backup.places", "backup.generations"),
    "laurels.backup.archive": laurels("clock", "errors", "backup.parts", "backup.places", "backup.generations")
    | laurels("stores.embedded"),
    "laurels.backup.s3": laurels("limits", "errors", "backup.places"),
    "laurels.submissions": laurels("limits", "errors", "definition", "entries", "stores.contract"),
    "laurels.turnstile": set[str](),
    "laurels.restoring": laurels("clock", "errors", "definition", "stores.contract", "submissions"),
    "laurels.boards": laurels("limits", "errors", "windows", "definition", "entries", "stores.contract", "submissions")
    | laurels("clock", "turnstile", "restoring", "figures"),
    "laurels.web": set[str](),
    "laurels.live": laurels("limits", "errors", "stores.contract", "turnstile", "boards"),
    "laurels.http": laurels(
        "web", "version", "limits", "errors", "wording", "access", "definition", "entries", "declaring"
    )
    | laurels("stores.contract", "boards", "audit", "live", "visible", "figures", "tracing"),
    "laurels.adapters.limits": laurels("limits"),
    "laurels.adapters": laurels("limits", "errors", "figures", "access", "entries", "http", "live", "adapters.limits")
    | laurels("tracing"),
    "laurels.momento_local": laurels("errors", "ranking"),
    "laurels.serverless": laurels("errors", "definition", "boards", "stores.contract", "stores.momento", "stores.redis")
    | laurels("limits", "access", "optional", "live", "http", "adapters", "tracing"),
    "laurels.settings": laurels("limits", "errors", "logs", "http", "adapters.limits", "backup.limits")
    | laurels("stores.contract", "stores.embedded", "stores.redis"),
    "laurels.assembly": laurels("clock", "limits", "errors", "access", "optional", "logs", "reloading", "definition")
    | laurels("workers", "systemd", "boards_file", "boards", "audit", "live", "figures", "loop_lag", "memory_limit")
    | laurels("version", "lifetime", "tracing", "settings")
    | laurels("stores.contract", "stores.embedded", "stores.redis", "http", "adapters.limits", "adapters")
    | BACKUP,
    "laurels.crowd": laurels("clock", "errors", "stores.contract", "boards"),
    "laurels.asgi": laurels("stores.contract", "stores.embedded", "stores.redis", "adapters.limits", "adapters")
    | laurels("settings", "assembly"),
    "laurels.pytest": laurels("blocking", "client"),
    "laurels.embedded": laurels("clock", "errors", "definition", "boards_file", "boards", "live", "stores.embedded")
    | laurels("http", "blocking", "client"),
    "laurels.answers": laurels("limits", "access", "definition", "stores.contract", "http"),
    "laurels.blocking": set[str](),
    "laurels.client": laurels("version", "limits", "errors", "optional", "definition", "entries", "declaring")
    | laurels("stores.contract", "http", "tracing", "answers", "blocking"),
    "laurels.cli": BACKUP
    | laurels(
        "audit",
        "clock",
        "version",
        "visible",
        "limits",
        "errors",
        "wording",
        "access",
        "optional",
        "windows",
        "definition",
        "entries",
        "declaring",
    )
    | laurels("boards_file", "stores.contract", "stores.embedded", "stores.redis", "boards", "http", "adapters.limits")
    | laurels("momento_local", "settings", "assembly", "crowd", "logs", "tracing", "answers", "client")
    | laurels("backup.places", "backup.reading"),
    "laurels.__init__": laurels("version", "errors", "ranking", "client", "embedded"),
    "laurels.__main__": laurels("cli"),
    "infra.__init__": set[str](),
    "infra.errors": laurels("errors"),
    "infra.runtimes": infra("errors"),
    "infra.settings": infra("errors", "runtimes") | laurels("access"),
    "infra.access": infra("errors", "settings") | laurels("access"),
    "infra.assets": infra("errors", "runtimes", "settings"),
    "infra.boards": infra("settings") | laurels("boards", "boards_file", "stores.momento", "stores.redis"),
    "infra.answers": laurels("limits", "entries", "http"),
    "infra.functions": infra("access", "runtimes", "assets", "boards", "settings"),
    "infra.github": infra("errors", "functions"),
    "infra.account": infra("errors", "functions", "github"),
    "infra.cache": infra("functions", "settings"),
    "infra.guard": infra("functions", "settings"),
    "infra.gateway": infra("answers", "functions", "guard", "settings") | laurels("http"),
    "infra.network": infra("functions", "settings"),
    "infra.valkey": infra("functions", "network", "settings"),
    "infra.monitoring": infra("functions", "settings") | laurels("serverless"),
    "infra.rotation": infra("functions", "settings"),
    "infra.smoke": set[str](),
    "infra.stack": infra("functions", "cache", "gateway", "guard", "monitoring", "rotation", "settings", "valkey"),
    "infra.app": infra("settings", "stack") | laurels("errors"),
    # Without aws_cdk: no construct of the stack is among these.
    "infra.local": infra("access", "answers", "assets", "boards", "errors", "runtimes", "settings")
    | laurels("errors", "access", "http", "adapters", "momento_local"),
    "bench.__init__": set[str](),
    "bench.errors": set[str](),
    "bench.figures": set[str](),
    "bench.invocations": set[str](),
    "bench.crowds": laurels("limits"),
    "bench.attacks": bench("crowds") | laurels("limits"),
    "bench.machine": set[str](),
    "bench.members": set[str](),
    "bench.ranking": laurels("ranking"),
    "bench.in_process": set[str](),
    "bench.table": bench("figures"),
    "bench.requests": bench("errors", "members"),
    "bench.openloop": bench("errors", "requests"),
    "bench.audience": bench("machine"),
    "bench.touching": bench("errors", "members", "requests"),
    "bench.servers": bench("errors", "machine"),
    "bench.load": bench("errors", "machine", "servers"),
    "bench.directories": bench("errors", "requests") | laurels("stores.contract", "stores.embedded"),
    "bench.guesses": laurels("access", "errors", "http"),
    "bench.hiding": bench("members") | laurels("definition", "stores.embedded"),
    "bench.showing": bench("members") | laurels("boards", "definition", "http", "stores.contract", "stores.embedded"),
    "bench.scale": set[str](),
    "bench.peers": bench("machine", "members"),
    "bench.rows": bench("attacks", "errors", "figures", "machine", "members", "requests", "servers", "load", "openloop")
    | bench("audience", "directories", "in_process", "peers", "ranking")
    | infra("assets", "runtimes")
    | laurels("access", "momento_local", "stores.embedded"),
    "bench.__main__": bench("errors", "figures", "machine", "rows", "table"),
}

MODULES = {
    f"{package}.{'.'.join(path.relative_to(directory).with_suffix('').parts)}": path
    for package, directory in PACKAGES.items()
    for path in directory.rglob("*.py*")
    if "cpython" not in path.name and path.suffix in {".py", ".pyx"}
}


def floor(module: str) -> str:
    """Return the floor of a module: the longest name in the table that it begins with."""
    return max((name for name in MAY_IMPORT if f"{module}.".startswith(f"{name}.")), key=len)


def imports(module: str) -> set[str]:
    """Return the modules of ours that a module imports, anywhere in it, for its types too."""
    text = MODULES[module].read_text()
    if MODULES[module].suffix == ".pyx":  # Cython is no Python that ast could parse: only its import lines are
        begins = tuple(f"{word} {package}" for word in ("from", "import") for package in PACKAGES)
        lines = (line.strip().replace(" cimport ", " import ") for line in text.splitlines())
        text = "\n".join(line for line in lines if line.startswith(begins))
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    names -= PACKAGES.keys()  # `from laurels import boards` needs nothing of laurels/__init__.py
    return (names | {f"{name}.__init__" for name in names}) & MODULES.keys()


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    """A module imports from the floors that its own may import, and from its own."""
    imported = {floor(name) for name in imports(module)}
    assert imported <= MAY_IMPORT[floor(module)] | {floor(module)}


def test_no_circles() -> None:
    """No module imports itself, by however many others."""
    list(TopologicalSorter({module: imports(module) - {module} for module in MODULES}).static_order())
