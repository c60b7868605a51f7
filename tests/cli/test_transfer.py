"""Import and export of whole boards."""

from __future__ import annotations

import gzip
import json
import os
import resource
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from laurels.cli.rows import HEADERS, BadRow, Format, Row, encode_rows
from laurels.cli.transfer import ATTEMPTS, make_batches
from laurels.stores.contract import Entry
from tests.asking import ask
from tests.cli.conftest import RECEIPT, failing, run, start
from tests.conftest import running

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.cli.conftest import Answer, Run
    from tests.conftest import Server

BUSY: Answer = (503, {"retry-after": "0"}, b"")
KEPT: Answer = (200, {}, RECEIPT)
LIMITED: Answer = (429, {"retry-after": "0"}, b"")
NO_KEYS: Answer = (422, {}, b"")
FORMATS: list[Format] = ["tsv", "csv", "jsonl"]
SCORES = {f"player {rank}, \u00e9": 5000 - rank for rank in range(2345)}


def page(server: Server, board: str, start: int = 0) -> dict[str, float]:
    """Return up to 1,000 entries of a board, read over HTTP."""
    reply = ask(server, "GET", f"/{board}?startRank={start}&endRank={start + 1000}")
    return {entry["name"]: entry["score"] for entry in reply.json["leaderboard"]}


def content(scores: Mapping[str, float], kind: Format) -> bytes:
    """Return a file with a header."""
    return HEADERS[kind] + encode_rows([Entry(name, score) for name, score in scores.items()], kind)


@pytest.mark.parametrize("kind", FORMATS)
def test_import_keeps_every_row(server: Server, laurels: Run, board: str, tmp_path: Path, kind: Format) -> None:
    """Every row of a file gets to the board, and a line says how many they were."""
    (tmp_path / f"board.{kind}.gz").write_bytes(gzip.compress(content(SCORES, kind)))
    found = laurels("import", tmp_path / f"board.{kind}.gz", "--board", board)
    assert page(server, board) | page(server, board, 1000) | page(server, board, 2000) == SCORES
    assert found.stderr.startswith(f"Kept 2,345 of 2,345 rows on {board}, in ")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("ending", ["", ".gz"], ids=["text", "gzip"])
def test_export_is_what_was_imported(laurels: Run, board: str, tmp_path: Path, kind: Format, ending: str) -> None:
    """The file of an export equals the one of the import, best first."""
    (tmp_path / "in").write_bytes(content(SCORES, kind))
    laurels("import", tmp_path / "in", "--format", kind, "--board", board)
    found = laurels("export", board, tmp_path / f"out.{kind}{ending}")
    out = (tmp_path / f"out.{kind}{ending}").read_bytes()
    assert (gzip.decompress(out) if ending else out) == content(SCORES, kind)
    assert found.stderr.startswith(f"2,345 entries written to {tmp_path}/out.{kind}{ending}, in ")


def test_export_to_stdout(server: Server, laurels: Run, board: str) -> None:
    """Without a file only the entries are on stdout: as TSV, or as JSON Lines with --json."""
    ask(server, "POST", f"/{board}/v", {"score": 1})
    assert laurels("export", board).output == "name\tscore\nv\t1\n"
    assert laurels("export", board, "--json").output == '{"name":"v","score":1}\n'


def test_export_of_full_pages(laurels: Run, board: str, tmp_path: Path) -> None:
    """A board of exactly full pages is exported once."""
    (tmp_path / "in.csv").write_bytes(content({str(score): score for score in range(1000)}, "csv"))
    laurels("import", tmp_path / "in.csv", "--board", board)
    assert laurels("export", board).stdout.count("\n") == 1001


def test_import_of_stdin(server: Server, laurels: Run, board: str, stdin: Callable[[bytes], None]) -> None:
    """A dash reads stdin, by default as TSV, gzipped or not."""
    stdin(gzip.compress(b"v\t2077\n"))
    assert laurels("import", "-", "--board", board).exit_code == 0
    assert page(server, board) == {"v": 2077}


def test_later_row_counts(server: Server, laurels: Run, board: str, stdin: Callable[[bytes], None]) -> None:
    """If rows have one name the last counts, even over several batches."""
    stdin(b"".join(b"v\t%d\n" % score for score in range(3500)))
    laurels("import", "-", "--board", board)
    assert page(server, board) == {"v": 3499}


def test_bad_rows_are_reported_in_order(laurels: Run, board: str, stdin: Callable[[bytes], None]) -> None:
    """Rows that cannot be read or are refused are reported by line, the rest is kept, and the exit status is 1."""
    stdin(b"a\t1\nb\nc\x01\t2\nd\t9007199254740993\n\xff\t3\ne\t4\n" + b"f" * 9999 + b"\t5\n")
    found = laurels("import", "-", "--board", board)
    reasons = [line.partition(". ")[0] for line in found.stderr.splitlines()]
    assert reasons[:-1] == [
        "line 2: there is no score",
        "line 3: The name has a control character",
        "line 4: The score 9007199254740993 would be rounded to 9007199254740992",
        "line 5: the name is not valid UTF-8",
        "line 7: The name has 9999 bytes",
    ]
    assert reasons[-1].partition(",")[0] == f"Kept 2 of 7 rows on {board}"
    assert found.exit_code == 1


def test_many_bad_rows(laurels: Run, board: str, stdin: Callable[[bytes], None]) -> None:
    """Twenty refused rows are listed, the others counted; --json lists them all."""
    stdin(b"v\n" * 1021)
    lines = laurels("import", "-", "--board", board).stderr.splitlines()
    assert len(lines) == 22
    assert lines[20] == "... and 1,001 more rows refused (--json lists them all)"
    stdin(b"v\n" * 1021)
    found = json.loads(laurels("import", "-", "--board", board, "--json").stdout)
    assert found["accepted"] == 0
    assert len(found["refused"]) == 1021
    assert found["problem"] is None
    assert found["refused"][1020] == {"line": 1021, "name": None, "problem": "there is no score"}


@pytest.mark.parametrize(
    ("rows", "sizes"),
    [
        (["v"] * 2001, [1000, 1000, 1]),
        (["\x01" * 250] * 1000, [688, 312]),
        ([], []),
    ],
    ids=["by-count", "by-bytes", "empty"],
)
def test_batches_fit(rows: list[str], sizes: list[int]) -> None:
    """A batch has at most 1,000 rows, and its body at most 1 MiB."""
    made = list(make_batches((Row(line, Entry(name, 1)) for line, name in enumerate(rows, 1)), lambda: 0))
    assert [len(batch.lines) for batch in made] == sizes
    assert all(len(batch.body()) <= 2**20 for batch in made)


def test_batch_has_its_last_line() -> None:
    """The last line of a batch may be a bad row's."""
    made = list(make_batches([Row(1, Entry("v", 1)), BadRow(2, None, "")], lambda: 7))
    assert [(batch.last_line(), batch.position) for batch in made] == [(2, 7)]


def test_busy_service_is_sent_the_batch_again(stdin: Callable[[bytes], None]) -> None:
    """While the service says to retry, the same bytes are sent again."""
    stdin(b"v\t1\n")
    with failing(KEPT, BUSY, BUSY, KEPT) as service:
        assert run(service.url, "import", "-", "--board", "b").exit_code == 0
    assert service.bodies == [b'{"entries":[]}', *[b'{"entries":[{"name":"v","score":1}]}'] * 3]
    assert len(set(service.keys)) == 2


def test_lost_answer_adds_nothing_twice(server: Server, board: str, stdin: Callable[[bytes], None]) -> None:
    """On a board that adds scores a batch whose answer was lost counts once, and so does the next one."""

    def pass_on() -> None:
        ask(server, "POST", f"/{board}", service.bodies[-1], {"idempotency-key": service.keys[-1] or ""})

    ask(server, "PUT", f"/-/boards/{board}", {"operator": "increment"})
    stdin(b"v\t1\n" * 1500)
    with failing(KEPT, BUSY, KEPT, on_request=pass_on) as service:
        run(service.url, "import", "-", "--board", board)
    assert len(service.bodies) == 4
    assert page(server, board) == {"v": 1500}


def test_service_without_keys(stdin: Callable[[bytes], None]) -> None:
    """A service that keeps no keys refuses the empty batch with one, and then gets batches without."""
    stdin(b"v\t1\n" * 1500)
    with failing(NO_KEYS, KEPT) as service:
        assert run(service.url, "import", "-", "--board", "b").exit_code == 0
    assert [key is None for key in service.keys] == [False, True, True]


def test_service_over_a_limit(stdin: Callable[[bytes], None]) -> None:
    """A refusal because of a limit does not mean that the service keeps no keys."""
    stdin(b"v\t1\n")
    with failing(*[LIMITED] * ATTEMPTS, KEPT) as service:
        assert run(service.url, "import", "-", "--board", "b").exit_code == 1
    assert service.bodies == [b'{"entries":[]}'] * ATTEMPTS


def test_service_that_stays_busy(stdin: Callable[[bytes], None]) -> None:
    """An import gives up after a number of attempts, with exit status 3."""
    stdin(b"v\t1\n")
    with failing(BUSY) as service:
        assert run(service.url, "import", "-", "--board", "b").exit_code == 3
    assert len(service.bodies) == ATTEMPTS


def test_import_that_stops(stdin: Callable[[bytes], None]) -> None:
    """If the service fails midway, the import stops, says how far it came, and has exit status 3."""
    stdin(b"v\t1\n" * 1500)
    with failing(KEPT, KEPT, (500, {}, b"")) as service:
        found = run(service.url, "import", "-", "--board", "b")
    assert found.exit_code == 3
    assert found.stderr.startswith(
        "Stopped after line 1000: the service has confirmed 1,000 rows, 0 were refused. Running "
    )


def test_import_that_stops_as_json(stdin: Callable[[bytes], None]) -> None:
    """With --json the reason is written with what was kept."""
    stdin(b"v\t1\n")
    with failing((500, {}, b"")) as service:
        found = run(service.url, "import", "-", "--board", "b", "--json")
    problem = f"{service.url} answered 500 Internal Server Error, and not why."
    assert json.loads(found.stdout) == {"accepted": 0, "refused": [], "problem": problem}


@pytest.mark.slow
def test_import_waits_for_a_full_disk(tmp_path: Path) -> None:
    """While the server cannot write to disk the import waits, and then goes on."""
    (tmp_path / "in.tsv").write_bytes(content(SCORES, "tsv"))
    with running(tmp_path / "data") as server:
        unlimited = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        with start(server.url, "import", tmp_path / "in.tsv", "--board", "b") as process:
            while ask(server, "GET", "/-/ready").status != 503:
                assert process.poll() is None
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, unlimited)
            assert process.wait(60) == 0
        assert len(page(server, "b", 2000)) == 345


def test_export_into_a_pipe(laurels: Run, board: str, tmp_path: Path) -> None:
    """A pipe is written to directly, and is not replaced."""
    os.mkfifo(tmp_path / "out.csv")
    read: list[str] = []
    reader = Thread(target=lambda: read.append((tmp_path / "out.csv").read_text()))
    reader.start()
    laurels("export", board, tmp_path / "out.csv")
    reader.join()
    assert read == ["name,score\n"]
    assert (tmp_path / "out.csv").is_fifo()


def test_file_that_cannot_be_read(laurels: Run, board: str) -> None:
    """A file that the system cannot read is one line of error, with exit status 1."""
    found = laurels("import", "/proc/self/mem", "--format", "tsv", "--board", board)
    assert found.exit_code == 1
    assert found.stderr.splitlines()[1] == "Error: [Errno 5] Input/output error."


def test_import_of_nothing(laurels: Run, board: str) -> None:
    """A file without rows is no error."""
    found = laurels("import", "/dev/null", "--format", "csv", "--board", board)
    assert found.exit_code == 0
    assert found.stderr.startswith(f"Kept 0 of 0 rows on {board},")


def test_pipe_that_breaks(laurels: Run, board: str, tmp_path: Path) -> None:
    """An export ends without a message when the reader of its file leaves."""
    (tmp_path / "in.tsv").write_bytes(content({"v" * 250 + str(score): score for score in range(1000)}, "tsv"))
    laurels("import", tmp_path / "in.tsv", "--board", board)
    os.mkfifo(tmp_path / "out.tsv")
    reader = Thread(target=lambda: (tmp_path / "out.tsv").open().close())
    reader.start()
    assert laurels("export", board, tmp_path / "out.tsv").output == ""
    reader.join()
