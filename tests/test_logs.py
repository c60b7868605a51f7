"""The log of a process that serves."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SCRIPT = """
import logging, sys
from laurels.logs import WAITING_LINES, writing_logs
with writing_logs("json"):
    try:
        1 / 0
    except ZeroDivisionError:
        logging.getLogger("laurels").exception("Failed")
    logging.getLogger("laurels").info("%d lines", "no number")
    for number in range(3 * WAITING_LINES if "flood" in sys.argv else 0):
        logging.getLogger("laurels").info("%d %s", number, "x" * 100)
print("ended")
"""


LINES = """
import logging, sys
from laurels.logs import writing_logs
with writing_logs(sys.argv[1]):
    logging.getLogger("laurels").info("%s", chr(10) + chr(27) + "[31m" + chr(0x202e) + chr(0x9b))
    try:
        raise ValueError(chr(27) + "]0;x" + chr(7))
    except ValueError:
        logging.getLogger("laurels").exception("Failed")
"""


@pytest.mark.parametrize("kind", ["text", "json"])
def test_lines_are_shown(kind: str) -> None:
    """What a message or a traceback repeats of others is shown, not obeyed, and makes no lines."""
    done = subprocess.run([sys.executable, "-c", LINES, kind], capture_output=True, check=True, timeout=60)
    lines = done.stderr.decode().splitlines()
    assert all(line.isprintable() for line in lines)
    assert lines[0].endswith(r"INFO \n\x1b[31m\u202e\x9b") or json.loads(lines[0])["message"] == "\n\x1b[31m\u202e\x9b"
    assert r"ValueError: \x1b]0;x\x07" in lines[-1] or json.loads(lines[-1])["traceback"].endswith("\x1b]0;x\x07")


def test_traceback_is_a_field() -> None:
    """A traceback is part of its line's object, and a line that cannot be formatted does not end the log."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60)
    line, bad = done.stderr.splitlines()
    assert "cannot be formatted: '%d lines'" in bad
    assert json.loads(line)["message"] == "Failed"
    assert "ZeroDivisionError" in json.loads(line)["traceback"]


def test_reader_that_stops() -> None:
    """Nobody reads standard error: the process goes on and ends all the same."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, "flood"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ended\n"
        process.kill()
