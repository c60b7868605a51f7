"""What every wheel is tried with on the machine that it was built for: `python -P tests/installed.py`.

The index ranks; the service runs and the commands ask it; or, on Windows, it is refused and the commands are there.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from tempfile import TemporaryDirectory

from click.testing import CliRunner

from laurels.cli import main
from laurels.ranking import Index

HAS_SERVICE = find_spec("fcntl") is not None


def run(*words: str, status: int = 0) -> str:
    """Run a command in this process; return what it wrote, and raise SystemExit unless it ends with the status."""
    done = CliRunner().invoke(main, words, prog_name="laurels")
    if done.exit_code != status:
        raise SystemExit(f"laurels {' '.join(words)} ended with {done.exit_code}: {done.output}") from done.exception
    return done.output


def expect(what: str, found: object, expected: object) -> None:
    """Raise SystemExit for what is not as it should be."""
    if found != expected:
        raise SystemExit(f"{what}: {found!r}, and not {expected!r}")


def try_index() -> None:
    """Put entries into the index, so many that all kinds of its nodes and several chunks are there, and rank them."""
    index = Index()
    for number in range(100_000):
        index.put(f"player {number}", number * 7919 % 100_003)
    expect("entries", len(index), 100_000)
    expect("the first", index.page(0, 1), [("player 52685", 100_002)])
    expect("its standing", index.standing("player 52685"), (100_002, 0))


def try_service() -> None:
    """Run the service, submit to it and ask it."""
    with TemporaryDirectory() as data:
        command = [sys.executable, "-m", "laurels", "serve", "--port", "0", "--data", data]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as service:
            assert service.stderr is not None
            try:
                found = (re.search(r"http://[\d.]+:\d+", line) for line in service.stderr)
                url = next(each[0] for each in found if each)
                run("submit", "mario-kart", "v", "2077", "--server", url)
                expect("the standing", "2077" in run("standing", "mario-kart", "v", "--server", url), expected=True)
            finally:
                service.terminate()
        expect("the service's exit status", service.returncode, 0)


def try_refusal() -> None:
    """Ask for the service, which is not there, and use a command that needs none."""
    expect("the reason", "does not run on Windows" in run("serve", status=1), expected=True)
    run("top", "mario-kart", "--server", "http://127.0.0.1:9", status=3)
    run("boards", "schema")


if __name__ == "__main__":
    try_index()
    if HAS_SERVICE:
        try_service()
    else:
        try_refusal()
