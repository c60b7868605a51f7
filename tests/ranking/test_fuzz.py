"""The fuzzer itself runs, on the installed kernel and on one that is named."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import laurels.ranking.index
from laurels.ranking import Index
from tests.ranking.fuzz import kernel

ROOT = Path(__file__).parents[2]


def fuzz(*arguments: str) -> str:
    """Run the fuzzer on one seed with thousands of operations; return what it prints."""
    command = [sys.executable, "-m", "tests.ranking.fuzz", "--seconds", "0", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=300).stdout


@pytest.mark.parametrize("seed", ["7", "13"], ids=["batches", "sums"])
def test_installed_kernel(seed: str) -> None:
    """If no kernel is named, the installed one is run."""
    assert kernel(None) is Index
    assert "passed" in fuzz("--seed", seed)


def test_named_kernel(tmp_path: Path) -> None:
    """A named kernel is found in the folder it was built into."""
    folder = tmp_path / "laurels" / "ranking"
    folder.mkdir(parents=True)
    shutil.copy(laurels.ranking.index.__file__, folder)
    assert "passed" in fuzz("--seed", "5", "--kernel", str(tmp_path))
