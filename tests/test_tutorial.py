"""The tutorial is followed from its first line to its last, and answers what stands there.

The repository is cloned, but not built again: the README's test does that with the same commands.
"""

from __future__ import annotations

import doctest
import os
import re
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.conftest import Server, started
from tests.newcomer import ROOT, environment, origin, run
from tests.test_readme import fences

__all__ = ["origin"]

PAGE = (ROOT / "docs" / "tutorial.md").read_text()
SERVICE = "http://127.0.0.1:8000"


class Reader:
    """Somebody who types what stands there, in one terminal that serves and one that has a Python."""

    def __init__(self, origin: Path, directory: Path) -> None:
        self.origin, self.directory = origin, directory
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = environment(PATH=path, LAURELS_PORT="0", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
        self.environment["PYTEST_ADDOPTS"] = "-p laurels.pytest"  # alone: what else is installed here is not theirs
        self.services = ExitStack()
        self.names: dict[str, object] = {}
        self.url = ""

    def shell(self, line: str) -> str:
        """Type a line."""
        done = ["bash", "-c", f"{line}\nstatus=$?; export -p > ../exported; exit $status"]
        answer = run(done, self.directory, self.environment).stdout
        exported = re.findall(r'declare -x (LAURELS_\w+)="(.*)"', (self.directory.parent / "exported").read_text())
        self.environment |= dict(exported)
        return answer

    def type(self, line: str) -> None:
        """Type a line of the first terminal."""
        if line.startswith("git clone"):
            self.shell(line.replace("ADDRESS", str(self.origin)))
        elif line.startswith("cd "):
            self.directory /= line.removeprefix("cd ")
        elif line == "make install":
            assert "pip" in run(["make", "-n", "install"], self.directory, environment()).stdout
        elif line.startswith("laurels serve"):
            command = ["bash", "-c", f"exec {line}"]
            server: Server = self.services.enter_context(started(command, self.environment, self.directory))
            self.url = server.url
        elif line != ". .venv/bin/activate":
            self.shell(line)

    def python(self, block: str, place: str) -> list[str]:
        """Type a block into the interpreter; return what it answers otherwise than it should."""
        test = doctest.DocTestParser().get_doctest(block.replace(SERVICE, self.url), self.names, place, None, None)
        wrong: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        runner.run(test, out=wrong.append, clear_globs=False)
        self.names = test.globs
        return wrong


def steady(text: str) -> str:
    """Return a text without the durations in it."""
    return re.sub(r"in [\d.]+s", "in no time", text.strip())


def test_followed_to_the_end(origin: Path, tmp_path: Path) -> None:
    """Every line can be typed where it stands, and answers what stands there."""
    reader, before = Reader(origin, tmp_path / "home"), Path.cwd()
    reader.directory.mkdir()
    typed = 0
    with reader.services:
        try:
            for number, (language, block) in enumerate(fences(PAGE)):
                typed += 1
                if language == "sh":
                    for line in block.splitlines():
                        reader.type(line.partition("  #")[0].rstrip())
                elif language == "console":
                    command, _, answer = block.removeprefix("$ ").partition("\n")
                    assert steady(reader.shell(command)) == steady(answer)
                elif block.startswith(">>>"):
                    os.chdir(reader.directory)
                    assert reader.python(block, f"block {number}") == []
                else:
                    name = re.findall(r"`(\w+\.py)`", PAGE[: PAGE.index(block)])[-1]
                    (reader.directory / name).write_text(block)
            for name in ("server", "player"):
                reader.names[name].close()  # type: ignore[attr-defined]
        finally:
            os.chdir(before)
    assert typed == len(fences(PAGE)) >= 12
