"""What is printed is shown, not obeyed."""

from __future__ import annotations

import os
import pty
import sys
from typing import TYPE_CHECKING

from laurels.cli.printing import SHOWN, open_stdout
from tests.asking import ask
from tests.cli.conftest import RECEIPT, failing, run, start
from tests.cli.test_process import read_terminal

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.conftest import Server


def test_wide_names_are_aligned(server: Server, board: str) -> None:
    """A character that takes two columns is counted as two."""
    for name, score in {"%E6%97%A5%E6%9C%AC": 2, "abcd": 1}.items():
        ask(server, "POST", f"/{board}/{name}", {"score": score})
    assert run(server.url, "top", board).stdout == (
        "rank   name   score\n"
        "   0   日本       2\n"
        "   1   abcd       1\n"
    )  # fmt: skip


def test_names_that_look_like_columns(server: Server, board: str) -> None:
    """Spaces that would be taken for those between columns are shown, so that no name is a column more."""
    ask(server, "POST", f"/{board}/%20v%20%20%209%20", {"score": 1})
    ask(server, "POST", f"/{board}/%20", {"score": 0})
    lines = run(server.url, "top", board).stdout.splitlines()[1:]
    assert [line.split("   ", 2)[2].split() for line in lines] == [[r"\x20v", r"\x20\x209\x20", "1"], [r"\x20", "0"]]


def test_error_without_end() -> None:
    """An error that is longer than a screen is cut short."""
    with failing((500, {}, b'{"title":"T","status":500,"detail":"%s"}' % (b"D" * 10**6))) as service:
        assert len(run(service.url, "top", "b").stderr) < SHOWN + 100


def test_export_to_a_terminal() -> None:
    """A file that is written to a terminal is shown there; in a pipe or a file it is exact."""
    page = b'{"leaderboard":[{"name":"\\u202ev\\u009b","score":1,"rank":0}],"hidden":[],"next":null}'
    with failing((200, {}, page)) as service:
        ours, theirs = pty.openpty()
        with start(service.url, "export", "b", "--scores-only", stdout=theirs) as process:
            os.close(theirs)
            shown = read_terminal(ours)
        assert process.returncode == 0
        assert "\\u202ev\\x9b\t1" in shown.replace("\\t", "\t")
        exact = run(service.url, "export", "b", "--scores-only").stdout
    assert exact == "name\tscore\n\u202ev\u009b\t1\n"


def test_export_to_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may have no stdout at all."""
    monkeypatch.setattr(sys, "stdout", None)
    assert open_stdout().write(b"v") == 1


def test_progress_has_no_markup(tmp_path: Path) -> None:
    """The name of a board is no markup in the progress of an import, and obeyed no more than elsewhere."""
    (tmp_path / "in.tsv").write_text("v\t1\n")
    ours, theirs = pty.openpty()
    with (
        failing((200, {}, RECEIPT)) as service,
        start(service.url, "import", tmp_path / "in.tsv", "--board", "[red]x\u202e", stderr=theirs) as process,
    ):
        os.close(theirs)
        shown = read_terminal(ours)
    assert process.returncode == 0
    assert "[red]x" in shown
    assert "\u202e" not in shown


def test_table_on_a_terminal(server: Server, board: str) -> None:
    """On a terminal a table is as wide as that, and the row that was asked for stands out."""
    ask(server, "POST", f"/{board}/v", {"score": 1})
    ours, theirs = pty.openpty()
    with start(server.url, "around", board, "v", stdout=theirs) as process:
        os.close(theirs)
        shown = read_terminal(ours)
    assert process.returncode == 0
    assert "\x1b[7m" in shown
