"""The tests of the suite that repeat what chance chooses, with more repetitions and other chances each round."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.soak.run import Figures, Run

ROOT = Path(__file__).parent.parent.parent
LENGTH = "10"
"""How many times as long they are as in the suite."""


def with_length() -> list[str]:
    """Return the files of tests whose length can be chosen."""
    files = (ROOT / "tests").rglob("test_*.py")
    return sorted(str(file.relative_to(ROOT)) for file in files if "from tests.length import" in file.read_text())


def run_suite(run: Run) -> Figures:
    """Run one file after the other, each in its long form, until there is no time left or all have run."""
    files = with_length()
    run.random.shuffle(files)
    done = 0
    while done < len(files) and run.goes_on(files=f"{done} of {len(files)}"):  # pragma: no cover - minutes each
        _run_file(files[done], run.random.randrange(2**32))
        done += 1
    return {"files": done, "of": len(files), "times as long": LENGTH}


def _run_file(file: str, seed: int) -> None:  # pragma: no cover - each takes minutes
    """Run the long form of a file."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--hypothesis-seed={seed}", file]
    environment = os.environ | {"LAURELS_LENGTH": LENGTH}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-3000:]
