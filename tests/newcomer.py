"""What somebody has who gets Laurels for the first time: a repository to clone, and an environment without any of it.

What ``pip`` and ``make`` install comes from build/wheelhouse, so that tests need no network; ``make test`` fills it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parent.parent
WHEELHOUSE = ROOT / "build" / "wheelhouse"
OURS = ("LAURELS_", "MOMENTO_", "PIP_", "UV_", "PYTHON", "VIRTUAL_ENV", "MAKE", "MFLAGS", "GIT_", "COVERAGE_", "CFLAGS")
"""How variables begin that a newcomer's shell would not have, or that would lead elsewhere."""


def environment(**further: str) -> dict[str, str]:
    """Return a newcomer's variables, with further ones.

    Compilers do not optimize, which takes a fifth of the time, and make takes the Python of this run.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    kept["PATH"] = os.pathsep.join(place for place in os.get_exec_path() if ROOT not in Path(place).parents)
    pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(WHEELHOUSE), "PIP_CONFIG_FILE": os.devnull, "PIP_NO_COMPILE": "1"}
    return kept | pip | {"CFLAGS": "-O0", "PYTHON": str(Path(sys.executable).resolve())} | further


def run(
    command: list[str], directory: Path, variables: Mapping[str, str], status: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end in a directory, and return what it wrote; its exit status must be the given one."""
    done = subprocess.run(
        command, cwd=directory, env=variables, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository whose one commit has the files of this checkout as they are now, less the ignored ones."""
    origin = tmp_path_factory.mktemp("origin") / "laurels.git"
    git = ["git", "-c", "user.name=Laurels", "-c", "user.email=laurels@localhost", "-c", "commit.gpgsign=false"]
    run([*git, "init", "--quiet", "--bare", str(origin)], ROOT, environment())
    git += ["--git-dir", str(origin), "--work-tree", str(ROOT)]
    run([*git, "add", "--all"], ROOT, environment())
    run([*git, "commit", "--quiet", "--message", "The files of this checkout"], ROOT, environment())
    return origin


@pytest.fixture
def clone(origin: Path, tmp_path: Path) -> Path:
    """Return a fresh clone, in a directory with a space in its name."""
    run(["git", "clone", "--quiet", str(origin), "my games/laurels"], tmp_path, environment())
    return tmp_path / "my games" / "laurels"
