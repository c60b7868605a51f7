"""The README is followed from its first line to its last, in an empty directory, with bash, curl and make.

A block in ``sh`` holds lines to type, one in ``console`` lines with their answers; in ``toml`` stands what a file of
examples/ has. The block without a language needs an account, that in ``text`` a server of Redis: they are not typed.
"""

from __future__ import annotations

import re
import shlex
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import pytest
from click.testing import CliRunner

from laurels.boards_file import read_boards
from laurels.cli import main
from tests.asking import ask
from tests.conftest import started
from tests.newcomer import ROOT, WHEELHOUSE, environment, origin, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Server
    from tests.redis_servers import Node

__all__ = ["origin"]

README = (ROOT / "README.md").read_text()
SERVES = ("make demo", "make run", ".venv/bin/laurels serve", "make run-serverless")
WHEELS = " ".join(str(place) for place in (WHEELHOUSE, *sorted((ROOT / "build" / "wheels").glob("*"))))


class Step(NamedTuple):
    """A line of the README that is to be typed, and what it answers; None if the README does not say."""

    line: str
    answer: str | None


def fences(page: str = README) -> list[tuple[str, str]]:
    """Return the blocks of a page, each with its language."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def blocks(language: str, page: str = README) -> list[str]:
    """Return the blocks of a page in one language."""
    return [block for one, block in fences(page) if one == language]


def steps() -> Iterator[Step]:
    """Yield the lines to type, in order, without their comments."""
    for language, block in fences():
        if language == "sh":
            yield from (Step(line.partition("  #")[0].rstrip(), None) for line in block.splitlines())
        elif language == "console":
            typed = (step.partition("\n") for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:])
            yield from (Step(line, answer.strip()) for line, _, answer in typed)


def steady(text: str) -> str:
    """Return a text without the durations in it, which are others each time."""
    return re.sub(r"in [\d.]+ s \([\d,]+ rows/s\)", "in no time", text.strip())


class Reader:
    """Somebody with two terminals: one in which a service runs, and one to type in."""

    def __init__(self, origin: Path, directory: Path) -> None:
        self.origin = origin
        self.directory = directory
        self.services = ExitStack()
        self.before: list[str] = []
        ports = {"LAURELS_PORT": "0", "ARGS": "--port 0", "CURL_HOME": str(directory)}
        self.environment = environment(**ports, PIP_FIND_LINKS=WHEELS)

    def type(self, step: Step) -> str | None:
        """Type a line, and return what it answered; None if it is one whose answer the README does not show."""
        if step.line.startswith(SERVES):
            self.serve(step.line)
        elif step.line.startswith(("cd ", ". ")):
            self.before.append(step.line)  # holds for all lines that follow
        elif not step.line.startswith("sudo apt install"):  # which only an administrator can
            answer = self.shell(step.line.replace("ADDRESS", str(self.origin)))
            return None if step.answer is None else answer
        return step.answer

    def shell(self, line: str) -> str:
        """Run a line in bash, and return what a terminal would show."""
        script = "\n".join(["exec 2>&1", *self.before, line])
        return run(["bash", "-c", script], self.directory, self.environment).stdout

    def serve(self, line: str) -> None:
        """End the service that runs, and start another; what is sent to port 8000 goes to its port."""
        self.services.close()
        command = ["bash", "-c", "\n".join([*self.before, line])]
        server: Server = self.services.enter_context(started(command, self.environment, self.directory))
        (self.directory / ".curlrc").write_text(f"silent\nconnect-to = 127.0.0.1:8000:127.0.0.1:{server.port}\n")
        self.environment["LAURELS_SERVER"] = server.url


@pytest.fixture
def reader(origin: Path, tmp_path: Path) -> Iterator[Reader]:
    """Return a reader in an empty directory."""
    reader = Reader(origin, tmp_path)
    with reader.services:
        yield reader


@pytest.mark.slow
def test_followed_to_the_end(reader: Reader) -> None:
    """Every line can be typed where it stands, and answers what stands there; so do the first ones, run serverless."""
    followed = [(step.line, steady(step.answer or ""), steady(reader.type(step) or "")) for step in steps()]
    assert [(line, found) for line, _, found in followed] == [(line, shown) for line, shown, _ in followed]
    assert followed[-1][0] == SERVES[-1]
    again = [step for step in steps() if step.line.startswith("curl") and "mario-kart" in step.line]
    assert [reader.type(step) for step in again] == [step.answer for step in again]


def test_lines_that_need_an_account() -> None:
    """Of the lines for AWS, each that is ours is one that make or the command line knows."""
    (block,) = blocks("")
    lines = [shlex.split(re.sub(r"^[A-Z_]+=\S+ ", "", line)) for line in block.splitlines()]
    ours = [words for program, *words in lines if program == ".venv/bin/laurels"]
    assert ours
    assert [CliRunner().invoke(main, [*words, "--help"]).exit_code for words in ours] == [0] * len(ours)
    made = [words for words in lines if words[0] == "make"]
    assert made
    assert all("node_modules/.bin/cdk" in run([*words, "--dry-run"], ROOT, environment()).stdout for words in made)


def test_move_to_redis(redis_server: Node, tmp_path: Path) -> None:
    """The two lines that lead beyond one machine do so: what a client asked for before, it is answered the same."""
    moving, serving = (
        shlex.split(line.replace("redis://HOST/0", redis_server.url)) for line in "".join(blocks("text")).splitlines()
    )
    laurels, variables = [sys.executable, "-m", *moving[:1]], environment(LAURELS_PORT="0")
    with started([*laurels, "serve"], variables, tmp_path) as before:
        ask(before, "POST", "/kart", {"entries": [{"name": name, "score": 7} for name in "abc"]})
        shown = [ask(before, "GET", path).body for path in ("/kart", "/kart/b", "/-/boards")]
    run([*laurels, *moving[1:]], tmp_path, variables)
    with started([*laurels, *serving[1:]], variables, tmp_path) as after:
        assert [ask(after, "GET", path).body for path in ("/kart", "/kart/b", "/-/boards")] == shown


def test_files_are_the_examples() -> None:
    """The boards file that is shown is the one that is served."""
    assert blocks("toml") == [(ROOT / "examples" / "boards.toml").read_text()]


@pytest.mark.parametrize("page", ["README.md", "docs/boards.md"])
def test_boards_files_are_valid(page: str, tmp_path: Path) -> None:
    """Each boards file that a page shows is one that the service accepts."""
    files = blocks("toml", (ROOT / page).read_text())
    for file in files:
        (tmp_path / "boards.toml").write_text(file)
        assert read_boards(tmp_path / "boards.toml").boards
    assert files


def test_system_packages() -> None:
    """The packages that the README installs are those that a fresh machine of ours gets, and no more than it needs."""
    (line,) = re.findall(r"^sudo apt install (.+)$", README, re.MULTILINE)
    assert set(line.split()) <= set((ROOT / ".ci" / "run").read_text().split())
