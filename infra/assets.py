"""A function's asset: what its handler imports and nothing else, made without Docker.

From the handler on, every import statement is followed, in functions and under ``try`` too, through our sources and
through the wheels; only imports for type checkers are left out. The asset has the files that are reached, and no
others. Imports that no statement shows are in a table.

With each source goes its compiled file, which is used unchecked: Lambda's disk is read-only, and without compiled files
a cold start takes three times as long. The target's interpreter compiles it, as a compiled file is of one version.
Sources are for the tracebacks in the log. Further files of a deployment, such as its boards file, are added as they
are.

An asset is named by a hash of all that goes into it, so one that is there already is not made again.
"""

from __future__ import annotations

import argparse
import ast
import fcntl
import fnmatch
import hashlib
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

from infra.errors import NotCarried
from infra.runtimes import HERE, LOCK, MACHINES, ROOT, RUNTIMES, find_target, find_wheels, newest_runtime

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from infra.runtimes import Target
    from infra.settings import StoreName

ASSETS = ROOT / "build" / "assets"
SOURCES = ROOT / "src"
HANDLERS = "laurels.serverless.handlers"
TASK_ROOT = "/var/task"
KEPT = 5

UNSEEN = {
    "google.protobuf.internal.api_implementation": ("google._upb._message",),
    "google._upb._message": ("google.protobuf.message", "google.protobuf.internal.well_known_types"),
    "msgspec._core": ("msgspec._utils",),
    "cryptography.hazmat.bindings._rust": ("_cffi_backend",),
    "laurels.serverless.access": ("laurels.access.tokens", "laurels.serverless.fetching"),
}
"""Imports that no statement shows: those of compiled modules, and those by a name that is made at run time."""

OF_ISSUERS = frozenset({"cryptography", "_cffi_backend"})
"""What verifies the signatures of foreign issuers of tokens. pyjwt, which the SDK of Momento imports, imports it if it
is there: 16 MB, and a tenth of a cold start, which a deployment without such issuers does not pay."""

OF_STORE = {"momento": "laurels.serverless.momento", "valkey": "laurels.serverless.valkey"}
"""What opens the store of the routes' functions; an asset has that of its own store alone."""

DATA = {
    "grpc._cython.cygrpc": "grpc/_cython/_credentials/roots.pem",
    "laurels.stores.redis": "laurels/stores/redis/*.lua",
    "laurels.web.files": "laurels/web/*.[cj]s*",
    "laurels.serverless.valkey": "tzdata/*",
}
"""Files that a module reads, or that something does which it alone needs: only boards in Valkey have time zones."""
NO_FILES: Mapping[str, bytes] = {}
BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")
"""The fields of a statement that hold further ones."""


def build(
    target: Target,
    directory: Path,
    handler: str = HANDLERS,
    extra_files: Mapping[str, bytes] = NO_FILES,
    *,
    with_issuers: bool = False,
    store: StoreName = "momento",
) -> Path:
    """Build the asset of the functions in the module ``handler``, if it is not there; return its directory.

    It is a directory in ``directory``; ``extra_files`` are by their names in the asset. ``with_issuers`` lets it verify
    tokens of foreign issuers; those that answer the routes can open one ``store``. Raises AssetError.
    """
    wheels = find_wheels(target)
    ours = _our_files()
    left_out = frozenset() if with_issuers else OF_ISSUERS
    roots = {handler, *([OF_STORE[store]] if handler == HANDLERS else [])}
    reached = _find_imported(roots, ours)
    carried = {path: ours[path] for path in sorted(reached)}
    for module in roots - {_module(path) for path in carried} | _compiled_modules(carried):
        raise NotCarried(module)
    # Without a dot: CDK takes what follows one for the extension of a file.
    functions = handler.rpartition(".")[2] + ("-valkey" if OF_STORE["valkey"] in roots else "")
    kind = f"{functions}-{target.name.replace('.', '')}"
    place = directory / f"{kind}-{_fingerprint(target, wheels, {**carried, **extra_files}, left_out)}"
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock, tempfile.TemporaryDirectory(dir=directory) as scratch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            files = carried | _unpack(wheels)
            whole = {path: files[path] for path in _find_imported(roots, files, left_out)}
            _write(Path(scratch) / "asset", {**whole, **extra_files})
            _compile(Path(scratch) / "asset", target.interpreter)
            (Path(scratch) / "asset").rename(place)
            _remove_old(directory.glob(f"{kind}-*"))
    return place


def _remove_old(assets: Iterable[Path]) -> None:
    """Remove all but the KEPT latest assets: an older one may still be in use by a running stack."""
    for old in sorted(assets, key=lambda asset: asset.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(old)


def _our_files() -> dict[str, bytes]:
    patterns = ("laurels/**/*.py", "laurels/**/*.pyx", "laurels/**/*.lua", "laurels/web/*.js", "laurels/web/*.css")
    paths = [path for pattern in patterns for path in SOURCES.glob(pattern)]
    return {str(path.relative_to(SOURCES)): path.read_bytes() for path in paths}


def _compiled_modules(paths: Iterable[str]) -> set[str]:
    return {_module(path) or "" for path in paths if path.endswith(".pyx")}


def _unpack(wheels: list[Path]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for wheel in wheels:
        with ZipFile(wheel) as archive:
            files |= {name: archive.read(name) for name in archive.namelist()}
    return files


def _fingerprint(target: Target, wheels: list[Path], carried: Mapping[str, bytes], left_out: frozenset[str]) -> str:
    # The version of Python, because compiled files are of one; this file, because it decides what an asset has.
    digest = hashlib.sha256(target.version.encode())
    digest.update(Path(__file__).read_bytes())
    for wheel in wheels:
        digest.update(wheel.name.encode() + b"\0")
    digest.update(LOCK.read_bytes())
    digest.update(" ".join(sorted(left_out)).encode())
    for path, text in carried.items():
        digest.update(b"%b\0%d\0%b" % (path.encode(), len(text), text))
    return digest.hexdigest()[:16]


def _write(directory: Path, files: Mapping[str, bytes]) -> None:
    for path, content in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _compile(directory: Path, interpreter: str) -> None:
    names = ("-s", str(directory), "-p", TASK_ROOT, str(directory))
    command = [interpreter, "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", *names]
    subprocess.run(command, check=True)  # noqa: S603 - as this code says


def _module(path: str) -> str | None:
    """Return the name of the module in a file, None if it is no module."""
    stem, _, suffixes = path.rpartition("/")[2].partition(".")
    if suffixes not in {"py", "pyx"} and not suffixes.endswith("so"):
        return None
    parts = [*path.split("/")[:-1], stem]
    return ".".join(parts[:-1] if stem == "__init__" else parts)


def _find_imported(
    roots: Iterable[str], files: Mapping[str, bytes], left_out: frozenset[str] = frozenset()
) -> set[str]:
    """Return the files of the modules ``roots`` and of all that they import, as far as they are in ``files``.

    Packages that are ``left_out`` are passed over.
    """
    places = {module: path for path in files if (module := _module(path)) and module.partition(".")[0] not in left_out}
    seen: set[str] = set()
    reached: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if not name or name in seen:
            continue
        seen.add(name)
        waiting.append(name.rpartition(".")[0])
        waiting.extend(UNSEEN.get(name, ()))
        if path := places.get(name):
            reached.add(path)
            waiting.extend(_imports(name, path, files[path]))
            reached.update(fnmatch.filter(files, DATA[name]) if name in DATA else ())
    return reached


def _imports(module: str, path: str, text: bytes) -> frozenset[str]:
    if not path.endswith(".py"):
        return frozenset()
    return _imports_of(module if path.endswith("/__init__.py") else module.rpartition(".")[0], text)


@cache
def _imports_of(package: str, text: bytes) -> frozenset[str]:
    # Each of a deployment's assets is made from the same sources, and parsing them takes most of the time.
    statements = _Statements(package)
    statements.visit(ast.parse(text))
    return frozenset(statements.names)


class _Statements(ast.NodeVisitor):
    """The names in a module's import statements; relative ones are of ``package``."""

    def __init__(self, package: str) -> None:
        self.names: set[str] = set()
        self._package = package.split(".")

    def generic_visit(self, node: ast.AST) -> None:
        for block in BLOCKS:  # an expression has no imports, and most of a source is expressions
            for statement in getattr(node, block, ()):
                self.visit(statement)

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            node.body = []
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self.names.update(alias.name for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        above = self._package[: len(self._package) - node.level + 1] if node.level else []
        base = ".".join([*above, *([node.module] if node.module else [])])
        self.names.update({base}, (f"{base}.{alias.name}" for alias in node.names))


def main() -> None:
    """Build an asset and print its path."""
    parser = argparse.ArgumentParser(prog="python -m infra.assets", description="Build a function's asset.")
    parser.add_argument("--architecture", choices=[*MACHINES, HERE.name], default="arm64")
    parser.add_argument("--runtime", choices=RUNTIMES, default=newest_runtime(), help="Lambda's Python [%(default)s]")
    parser.add_argument("--handler", default=HANDLERS, help="the module with the functions [%(default)s]")
    parser.add_argument("--to", type=Path, default=ASSETS, help="the directory to build it in [%(default)s]")
    parser.add_argument("--store", choices=OF_STORE, default="momento", help="the store of the routes [%(default)s]")
    parser.add_argument("--with-issuers", action="store_true", help="with what verifies tokens of foreign issuers")
    given = parser.parse_args()
    target = HERE if given.architecture == HERE.name else find_target(given.runtime, given.architecture)
    built = build(target, given.to, given.handler, with_issuers=given.with_issuers, store=given.store)
    sys.stdout.write(f"{built}\n")


if __name__ == "__main__":
    main()
