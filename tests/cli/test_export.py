"""The export of whole boards."""

from __future__ import annotations

import gzip
import os
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.asking import ask
from tests.cli.conftest import FORMATS, NOT_KEPT, SCORES, content, everything, failing, page, passing, run
from tests.conftest import running

if TYPE_CHECKING:
    from pathlib import Path

    from laurels.cli.dialects import Format
    from tests.cli.conftest import Answer, Run
    from tests.conftest import Server


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("ending", ["", ".gz"], ids=["text", "gzip"])
def test_export_is_what_was_imported(laurels: Run, board: str, tmp_path: Path, kind: Format, ending: str) -> None:
    """The file of an export equals the one of the import, best first."""
    (tmp_path / "in").write_bytes(content(SCORES, kind))
    laurels("import", tmp_path / "in", "--format", kind, "--board", board)
    found = laurels("export", board, tmp_path / f"out.{kind}{ending}", "--scores-only")
    out = (tmp_path / f"out.{kind}{ending}").read_bytes()
    assert (gzip.decompress(out) if ending else out) == content(SCORES, kind)
    assert found.stderr.startswith(f"2,345 entries written to {tmp_path}/out.{kind}{ending}, in ")


def test_export_to_stdout(server: Server, laurels: Run, board: str) -> None:
    """Without a file only the entries are on stdout: as TSV, or as JSON Lines with --json."""
    ask(server, "POST", f"/{board}/v", {"score": 1})
    assert laurels("export", board, "--scores-only").output == "name\tscore\nv\t1\n"
    assert laurels("export", board, "--json", "--scores-only").output == '{"name":"v","score":1}\n'


def test_export_of_full_pages(laurels: Run, board: str, tmp_path: Path) -> None:
    """A board of exactly full pages is exported once."""
    (tmp_path / "in.csv").write_bytes(content({str(score): score for score in range(1000)}, "csv"))
    laurels("import", tmp_path / "in.csv", "--board", board)
    assert laurels("export", board).stdout.count("\n") == 1001


def test_export_into_a_pipe(laurels: Run, board: str, tmp_path: Path) -> None:
    """A pipe is written to directly, and is not replaced."""
    os.mkfifo(tmp_path / "out.csv")
    read: list[str] = []
    reader = Thread(target=lambda: read.append((tmp_path / "out.csv").read_text()))
    reader.start()
    laurels("export", board, tmp_path / "out.csv")
    reader.join()
    assert read == ["name,score,submittedAt,metadata\n"]
    assert (tmp_path / "out.csv").is_fifo()


def test_pipe_that_breaks(laurels: Run, board: str, tmp_path: Path) -> None:
    """An export ends without a message when the reader of its file leaves."""
    (tmp_path / "in.tsv").write_bytes(content({"v" * 250 + str(score): score for score in range(1000)}, "tsv"))
    laurels("import", tmp_path / "in.tsv", "--board", board)
    os.mkfifo(tmp_path / "out.tsv")
    reader = Thread(target=lambda: (tmp_path / "out.tsv").open().close())
    reader.start()
    assert laurels("export", board, tmp_path / "out.tsv").output == ""
    reader.join()


def test_export_holds_what_stays(tmp_path: Path) -> None:
    """An entry that stays as it is comes once, whatever is removed and submitted while the pages are read."""
    scores = {f"player-{rank}": 5000 - rank for rank in range(2345)}
    (tmp_path / "in.csv").write_bytes(content(scores, "csv"))
    with running(tmp_path / "data") as server:
        run(server.url, "import", tmp_path / "in.csv", "--board", "b")
        removed = iter(range(3))

        def change() -> None:
            if (rank := next(removed, None)) is not None:
                ask(server, "DELETE", f"/b/player-{rank}")
                ask(server, "POST", f"/b/new-{rank}", {"score": 9000})

        with passing(server, change) as url:
            assert run(url, "export", "b", tmp_path / "out.csv", "--scores-only").exit_code == 0
    names = [line.partition(",")[0] for line in (tmp_path / "out.csv").read_text().splitlines()[1:]]
    stayed = [name for name in scores if name not in {"player-0", "player-1", "player-2"}]
    assert [name for name in names if name in stayed] == stayed


def test_export_without_cursors(tmp_path: Path) -> None:
    """If the store has no cursors the pages are by ranks, and stderr says what that means."""
    full: Answer = (200, {}, b'{"leaderboard":[%s]}' % b",".join([b'{"name":"v","score":1,"rank":0}'] * 1000))
    with failing(NOT_KEPT, full, (200, {}, b'{"leaderboard":[]}')) as service:
        found = run(service.url, "export", "b", tmp_path / "out.tsv")
    assert (tmp_path / "out.tsv").read_text() == "name\tscore\n" + "v\t1\n" * 1000
    assert found.exit_code == 0
    lines = found.stderr.splitlines()
    assert lines[0].endswith("entries may be missing, or there twice.")
    assert lines[1] == "It keeps neither times nor metadata."


def test_export_of_nobody(laurels: Run, board: str, tmp_path: Path) -> None:
    """A board that does not exist is a file of a header; one that cannot be read is none."""
    assert laurels("export", board).output == "name\tscore\tsubmittedAt\tmetadata\n"
    assert laurels("export", board, tmp_path / "out.tsv", "--window", "daily").exit_code == 1
    assert not (tmp_path / "out.tsv").exists()


def test_export_of_damaged_metadata(tmp_path: Path) -> None:
    """Entries whose metadata is damaged are counted, and the exit status is 1."""
    page = b'{"leaderboard":[{"name":"v","score":1,"rank":0,"metadata":null,"metadataDamaged":true}],"next":null}'
    with failing((200, {}, page), NOT_KEPT) as service:
        found = run(service.url, "export", "b", tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == '{"name":"v","score":1}\n'
    assert found.stderr.startswith("The metadata of 1 entries is damaged")
    assert found.exit_code == 1


def test_guarded_export(server: Server, laurels: Run, board: str, tmp_path: Path) -> None:
    """A guarded file has no formula, and gives the names back."""
    ask(server, "POST", f"/{board}/%3D1%2B1", {"score": 1})
    laurels("export", board, tmp_path / "out.csv", "--safe-csv")
    assert (tmp_path / "out.csv").read_text().splitlines()[1].startswith("'=1+1,1,")
    laurels("import", tmp_path / "out.csv", "--board", f"{board}-2", "--safe-csv")
    assert page(server, f"{board}-2") == {"=1+1": 1}


DEFINITIONS = [
    {"ties": "earliest", "operator": "best", "windows": ["daily"]},
    {"ties": "latest", "windows": ["daily", "monthly"]},
    {"ties": "earliest", "operator": "increment"},
]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("definition", DEFINITIONS, ids=["best", "latest", "sums"])
def test_export_is_a_copy(
    server: Server, laurels: Run, board: str, tmp_path: Path, kind: Format, definition: dict[str, Any]
) -> None:
    """Imported with its times under the same definition an export is the same board, with order, metadata, periods."""
    copy = f"{board}-copy"
    for name in (board, copy):
        ask(server, "PUT", f"/-/boards/{name}", definition)
    for name in ("v", "=w", "é, x", "'y"):
        ask(server, "POST", f"/{board}/{quote(name)}", {"score": 7, "metadata": {"of": name}})
    then = [{"name": name, "score": 7, "submittedAt": "2025-11-20T10:00:00.000001Z"} for name in ("c", "a", "b")]
    ask(server, "POST", f"/{board}", {"entries": then})
    windows = definition.get("windows", [])
    for window in [None, *windows]:
        when = ["--window", window] if window else []
        assert laurels("export", board, tmp_path / f"out.{kind}", "--safe-csv", *when).exit_code == 0
        found = laurels("import", tmp_path / f"out.{kind}", "--board", copy, "--safe-csv", "--keep-times")
        assert "Not taken" not in found.stderr
    assert everything(server, copy) == everything(server, board)
    for window in windows:
        assert everything(server, copy, f"&window={window}") == everything(server, board, f"&window={window}")
    assert len(everything(server, board)) == 7
