"""The import of files."""

from __future__ import annotations

import gzip
import json
import resource
from typing import TYPE_CHECKING

import pytest

from laurels.cli.client import ATTEMPTS
from laurels.cli.rows import BadRow, Row
from laurels.cli.transfer import make_batches
from laurels.errors import BadName
from laurels.stores.contract import Entry
from tests.asking import ask
from tests.cli.conftest import FORMATS, NOT_KEPT, RECEIPT, SCORES, content, everything, failing, page, run, start
from tests.conftest import running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from laurels.cli.dialects import Format
    from tests.cli.conftest import Answer, Run
    from tests.conftest import Server

BUSY: Answer = (503, {"retry-after": "0"}, b"")
KEPT: Answer = (200, {}, RECEIPT)
LIMITED: Answer = (429, {"retry-after": "0"}, b"")
NO_KEYS: Answer = (422, {}, b"")


@pytest.mark.parametrize("kind", FORMATS)
def test_import_keeps_every_row(server: Server, laurels: Run, board: str, tmp_path: Path, kind: Format) -> None:
    """Every row of a file gets to the board, and a line says how many they were."""
    (tmp_path / f"board.{kind}.gz").write_bytes(gzip.compress(content(SCORES, kind)))
    found = laurels("import", tmp_path / f"board.{kind}.gz", "--board", board)
    assert page(server, board) | page(server, board, 1000) | page(server, board, 2000) == SCORES
    assert found.stderr.startswith(f"Kept 2,345 of 2,345 rows on {board}, in ")


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
        "line 5: the name is not valid UTF-8: --encoding says which encoding the file has",
        "line 7: The name has 9999 bytes",
    ]
    assert reasons[-1].partition(",")[0] == f"Kept 2 of 7 rows on {board}"
    assert found.exit_code == 1


def test_many_bad_rows(laurels: Run, board: str, stdin: Callable[[bytes], None]) -> None:
    """Twenty refused rows are listed, the others counted; --json lists them all."""
    stdin(b"v\t1\n" + b"v\n" * 1021)
    lines = laurels("import", "-", "--board", board).stderr.splitlines()
    assert len(lines) == 22
    assert lines[20] == "... and 1,001 more rows refused (--json lists them all)"
    stdin(b"v\t1\n" + b"v\n" * 1021)
    found = json.loads(laurels("import", "-", "--board", board, "--json").stdout)
    assert found["accepted"] == 1
    assert len(found["refused"]) == 1021
    assert found["problem"] is None
    assert found["refused"][1020] == {"line": 1022, "name": None, "problem": "there is no score"}


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
    assert [key is None for key in service.keys] == [False, True, True, True]


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
        "Stopped after line 1000: the service has confirmed 1,000 rows, 0 were refused. To go on, run the same command "
    )


def test_import_that_stops_as_json(stdin: Callable[[bytes], None]) -> None:
    """With --json the reason is written with what was kept."""
    stdin(b"v\t1\n")
    with failing((500, {}, b"")) as service:
        found = run(service.url, "import", "-", "--board", "b", "--json")
    problem = f"{service.url} answered 500 Internal Server Error, and not why."
    result = json.loads(found.stdout)
    assert result.pop("continue") == f"{service.keys[0]}-1"
    assert result == {"accepted": 0, "refused": [], "problem": problem, "not_taken": {}}


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


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--separator", ";;"], "is not one character"),
        (["--encoding", "nothing"], "is no encoding"),
        (["--encoding", "rot13"], "is no encoding"),
        (["--encoding", "idna"], "is no encoding"),
        (["--encoding", "undefined"], "is no encoding"),
        (["--continue", "x"], "is not what an import that stopped said"),
        (["--keep-times", "--submitted-at", "2026-11-20"], "contradict each other"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_wrong_options(laurels: Run, options: list[str], problem: str) -> None:
    """An option that cannot be met is named before anything is read."""
    found = laurels("import", "-", "--board", "b", *options)
    assert problem in found.stderr
    assert found.exit_code == 2


def test_options_of_a_file(server: Server, laurels: Run, board: str, stdin: Callable[[bytes], None]) -> None:
    """Separator, encoding and columns can be said; what is not taken is said at the end."""
    stdin("Wer\tWas\tWann\nZo\u00eb\t42\theute\n".encode("cp1252"))
    options = ["--format", "csv", "--separator", "tab", "--encoding", "windows-1252"]
    found = laurels("import", "-", "--board", board, "--name-column", "wer", "--score-column", "2", *options)
    assert page(server, board) == {"Zo\u00eb": 42}
    assert found.stderr.splitlines()[0] == "Not taken: 'Wann' (1 rows)."


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_file_that_is_not_clear(laurels: Run, board: str, stdin: Callable[[bytes], None], *, as_json: bool) -> None:
    """A file that cannot be read is one line, with exit status 1, and nothing is sent."""
    stdin(b"Spieler;Punkte\nada;5\n")
    found = laurels("import", "-", "--board", board, *["--json"] * as_json)
    assert found.exit_code == 1
    assert found.stderr.count("\n") == 1
    assert "--name-column" in found.stderr
    assert "--name-column" in found.stdout if as_json else not found.stdout


def test_import_goes_on(server: Server, board: str, stdin: Callable[[bytes], None]) -> None:
    """An import that stopped goes on where it says, and what had been kept without an answer counts once."""

    def pass_on() -> None:
        ask(server, "POST", f"/{board}", service.bodies[-1], {"idempotency-key": service.keys[-1] or ""})

    ask(server, "PUT", f"/-/boards/{board}", {"operator": "increment"})
    stdin(b"v\t1\n" * 2500)
    with failing(KEPT, KEPT, (500, {}, b""), on_request=pass_on) as service:
        stopped = run(service.url, "import", "-", "--board", board)
    go_on = stopped.stderr.partition("--continue ")[2].partition(". ")
    assert go_on[2] == "Within 24 hours every row then counts once.\nError: " + stopped.stderr.partition("Error: ")[2]
    stdin(b"v\t1\n" * 2500)
    found = run(server.url, "import", "-", "--board", board, "--continue", go_on[0])
    assert found.stderr.startswith("Kept 1,500 of 1,500 rows")
    assert page(server, board) == {"v": 2500}


class TestRowByRow:
    """A service that takes no batches for the board."""

    def test_with_keys(self, stdin: Callable[[bytes], None]) -> None:
        """Rows are sent one by one, with keys of their own if the service keeps keys."""
        stdin(b'{"name":"v","score":1,"metadata":{}}\n{"name":"w","score":2}\n{"name":"w","score":3}\nx')
        with failing(NOT_KEPT, NOT_KEPT, (202, {}, b"")) as service:
            found = run(service.url, "import", "-", "--board", "b")
        assert service.bodies[2:] == [b'{"score":1,"metadata":{}}', b'{"score":2}', b'{"score":3}']
        assert [(key or "").rpartition("-")[2] for key in service.keys[2:]] == ["1", "2", "3"]
        assert "Kept 3 of 4 rows" in found.stderr

    def test_without_keys(self, stdin: Callable[[bytes], None]) -> None:
        """If a row is refused with a key and taken without, the others have none; a refused row is reported."""
        dots = ".."
        stdin(b"..\t1\nv\t1\nv\t2\nv\t3\n")
        taken: Answer = (202, {}, b"")
        with failing(NOT_KEPT, NOT_KEPT, NOT_KEPT, taken, NOT_KEPT, LIMITED, taken) as service:
            found = run(service.url, "import", "-", "--board", "b")
        assert [key is None for key in service.keys] == [False, True, False, True, True, True, True]
        assert found.stderr.splitlines()[:2] == [
            f"line 1: {BadName('name', f'is {dots!r}, which clients take out of a path')}",
            "line 3: Unprocessable Content: This store cannot.",
        ]
        assert "Kept 2 of 4 rows" in found.stderr

    def test_answer_that_is_lost(self, stdin: Callable[[bytes], None]) -> None:
        """Without keys a row that may have counted is not sent again: the import stops, and says so."""
        stdin(b"v\t1\nw\t1\n")
        with failing(NOT_KEPT, NOT_KEPT, NOT_KEPT, (202, {}, b""), BUSY) as service:
            found = run(service.url, "import", "-", "--board", "b")
        assert len(service.bodies) == 5
        assert found.exit_code == 3
        assert "Stopped after line 1: " in found.stderr
        assert "may have been kept" in found.stderr

    def test_service_that_refuses_all(self, stdin: Callable[[bytes], None]) -> None:
        """An answer that is not about one row ends the import."""
        stdin(b"v\t1\n")
        with failing((404, {}, b"")) as service:
            found = run(service.url, "import", "-", "--board", "b")
        assert len(service.bodies) == 3
        assert found.exit_code == 1


def test_store_without_metadata(stdin: Callable[[bytes], None]) -> None:
    """If a batch with metadata is refused the error says how to import without."""
    stdin(b'{"name":"v","score":1,"metadata":{}}\n')
    with failing(NO_KEYS, KEPT, NOT_KEPT) as service:
        found = run(service.url, "import", "-", "--board", "b")
    assert found.stderr.splitlines()[-1].endswith("--scores-only imports names and scores alone.")
    stdin(b'{"name":"v","score":1,"metadata":{}}\n')
    with failing(KEPT) as service:
        run(service.url, "import", "-", "--board", "b", "--scores-only")
    assert service.bodies[1] == b'{"entries":[{"name":"v","score":1}]}'


def test_batch_that_is_refused(stdin: Callable[[bytes], None]) -> None:
    """A batch that is refused as a whole ends the import."""
    stdin(b"v\t1\n")
    with failing(NO_KEYS, KEPT, NOT_KEPT) as service:
        found = run(service.url, "import", "-", "--board", "b")
    assert found.stderr.splitlines()[-1] == "Error: Unprocessable Content: This store cannot."


def test_import_as_of_then(server: Server, laurels: Run, board: str, stdin: Callable[[bytes], None]) -> None:
    """All rows can count as of one time, in the order of the file, and stay out of the current periods."""
    ask(server, "PUT", f"/-/boards/{board}", {"ties": "earliest", "windows": ["daily"]})
    stdin(b"v\t1\nu\t1\nw\t1\n")
    laurels("import", "-", "--board", board, "--submitted-at", "2025-11-20T10:00:00Z")
    assert [(entry["name"], entry["submittedAt"]) for entry in everything(server, board)] == [
        (name, "2025-11-20T10:00:00.000000Z") for name in "vuw"
    ]
    assert everything(server, board, "&window=daily") == []


def test_times_that_are_not_taken(laurels: Run, board: str, stdin: Callable[[bytes], None]) -> None:
    """Without --keep-times that is said, and how to take them."""
    stdin(b'{"name":"v","score":1,"submittedAt":"2025-11-20T10:00:00Z"}\n')
    found = laurels("import", "-", "--board", board)
    assert found.stderr.splitlines()[0].startswith("Not taken: submittedAt (1 rows). --keep-times counts")
