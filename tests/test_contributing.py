"""What those who change Laurels are told, and what their editors and their git are given, is so."""

from __future__ import annotations

import re
import shlex
from configparser import ConfigParser
from itertools import chain
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.newcomer import ROOT, environment, origin, run

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["origin"]

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
LINES = re.findall(r"^make .+?(?=  +#|$)", CONTRIBUTING, re.MULTILINE)


@pytest.mark.parametrize("line", LINES)
def test_lines_to_type(line: str) -> None:
    """Each line is a command that make knows, with tests and markers that there are."""
    words = shlex.split(line)
    assert ".venv/bin/" in run([*words, "--dry-run"], ROOT, environment()).stdout
    selected = shlex.split(" ".join(word.removeprefix("ARGS=") for word in words if word.startswith("ARGS=")))
    assert all((ROOT / word).exists() for word in selected if word.startswith("tests/"))


def test_hook_checks_what_is_checked() -> None:
    """What git runs before a commit is what a change has to pass."""
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"  # which runs nothing but what is here
    assert [hook["entry"] for hook in repository["hooks"]] == ["make check"]
    assert "make check" in LINES


def test_files_are_as_editors_are_told(origin: Path) -> None:
    """Each text file is UTF-8, ends its lines as ``.editorconfig`` says, and begins them with what it says."""
    listed = run(["git", "--git-dir", str(origin), "ls-tree", "-r", "-z", "--name-only", "HEAD"], ROOT, environment())
    names = [name for name in listed.stdout.split("\0") if name and not name.startswith("tests/data/")]
    texts = {name: text for name in names if b"\0" not in (text := (ROOT / name).read_bytes())}
    assert [name for name, text in texts.items() if not is_as_told(name, text.decode())] == []


@pytest.mark.parametrize("text", ["a", "a \n", "a\r\n", "\ta\n"])
def test_file_that_is_not(text: str) -> None:
    """A last line without an end, blanks before an end, an end of two characters and a tab are found."""
    assert not is_as_told("some.py", text)


def is_as_told(name: str, text: str) -> bool:
    """Return whether a file keeps to ``.editorconfig``, but for how deep its lines are indented."""
    rules = ConfigParser()
    rules.read_string("[top]\n" + (ROOT / ".editorconfig").read_text())
    own = [rules[each] for each in (name, f"*.{name.rpartition('.')[2]}") if each in rules]
    told = dict(chain.from_iterable(section.items() for section in (rules["*"], *own)))
    assert (told["charset"], told["end_of_line"], told["trim_trailing_whitespace"]) == ("utf-8", "lf", "true")
    lines = text.split("\n")
    return (
        "\r" not in text
        and lines[-1] == ""
        and not any(
            line != line.rstrip() or (line.startswith("\t") and told["indent_style"] == "space") for line in lines
        )
    )
