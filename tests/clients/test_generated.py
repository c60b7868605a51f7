"""Clients that are generated from the OpenAPI document make the README's calls, and all the reads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from laurels.access.keys import digest_key, make_key
from laurels.http.openapi import document
from tests.conftest import running
from tests.http.conftest import SERVED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Server

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
NODE_MODULES = HERE.parent.parent / "node_modules"
SCRIPTS = Path(sys.executable).parent
KEY = make_key()
STRICT = ["--strict", "--noUncheckedIndexedAccess", "--skipLibCheck"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Start a service without boards, where everybody reads and one key does the rest; write its document beside it."""
    (tmp_path / "openapi.json").write_bytes(document(SERVED))
    access = tmp_path / "access.toml"
    key = f'[keys.client]\nsha256 = "{digest_key(KEY)}"\nscopes = ["admin"]\n'
    access.write_text(f'[public]\nscopes = ["read"]\n{key}')
    with running(tmp_path / "data", "--access", str(access)) as server:
        yield server


def run(tmp_path: Path, *command: str | Path, **variables: str) -> str:
    """Run a command in the test's directory, which must succeed; return what it prints."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=tmp_path,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_openapi_python_client(server: Server, tmp_path: Path) -> None:
    """openapi-python-client takes the whole document, and sends every default that it finds there."""
    path = f"{SCRIPTS}:{os.environ['PATH']}"  # it has its code formatted by ruff
    (tmp_path / "config.yaml").write_text("content_type_overrides: {application/x-tar: application/octet-stream}\n")
    generate: list[str | Path] = [
        SCRIPTS / "openapi-python-client",
        "generate",
        "--path",
        "openapi.json",
        "--output-path",
        "generated",
        "--config",
        "config.yaml",  # which binary types are binary it does not know
    ]
    assert "Warning" not in run(tmp_path, *generate, PATH=path)
    run(tmp_path, sys.executable, HERE / "calls.py", server.url, KEY, PYTHONPATH=str(tmp_path / "generated"))


def test_openapi_typescript(server: Server, tmp_path: Path) -> None:
    """openapi-typescript gives types under which these calls compile, strictly, and openapi-fetch makes them."""
    (tmp_path / "node_modules").symlink_to(NODE_MODULES)
    (tmp_path / "calls.ts").write_bytes((HERE / "calls.ts").read_bytes())
    run(tmp_path, NODE_MODULES / ".bin" / "openapi-typescript", "openapi.json", "--output", "schema.d.ts")
    options = ["--module", "node16", "--moduleResolution", "node16", "--target", "es2022", "--types", "node"]
    run(tmp_path, NODE_MODULES / ".bin" / "tsc", *STRICT, *options, "calls.ts")
    run(tmp_path, "node", "calls.js", server.url, KEY)
