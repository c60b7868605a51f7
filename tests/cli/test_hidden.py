"""The commands of hidden names, and hidden names in files."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from laurels.cli.rows import make_header
from tests.asking import ask
from tests.cli.conftest import FORMATS, NOT_KEPT, RECEIPT, everything, failing, page, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from laurels.cli.dialects import Format
    from tests.cli.conftest import Answer, Run
    from tests.conftest import Server

FORBIDDEN: Answer = (403, {}, b'{"title":"Forbidden","status":403,"detail":"That takes the right moderate."}')
PAGE: Answer = (
    200,
    {},
    b'{"leaderboard":[{"name":"v","rank":0,"score":1,"metadata":null,"submittedAt":null}],"next":null}',
)
WINDOWS = {"windows": ["daily"], "ties": "earliest"}


def hidden(server: Server, board: str, query: str = "?include=metadata,submittedAt") -> Any:
    """Return the hidden names of a board, and their entries."""
    return ask(server, "GET", f"/-/boards/{board}/hidden{query}").json["hidden"]


@pytest.fixture
def filled(server: Server, board: str) -> str:
    """Return a board with windows, entries, hidden names, and one of these without an entry."""
    ask(server, "PUT", f"/-/boards/{board}", WINDOWS)
    for name, score, more in (("v", 5, {"metadata": {"car": 1}}), ("cheat", 9, {"metadata": "=1,\t"}), ("judy", 5, {})):
        ask(server, "POST", f"/{board}/{name}", {"score": score} | more)
    for name in ("cheat", "%3Dnobody", "%C3%A9", "judy"):
        ask(server, "PUT", f"/-/boards/{board}/hidden/{name}")
    return board


def test_commands(server: Server, laurels: Run, board: str) -> None:
    """A name is hidden, listed and shown again, in words and as JSON."""
    ask(server, "POST", f"/{board}/v", {"score": 2})
    assert laurels("hidden", board).stdout == "no hidden names\n"
    assert laurels("hide", board, "v").stdout == f"v is hidden on {board}\n"
    assert laurels("standing", board, "v").stdout == "score 2, hidden\n"
    assert laurels("standing", board, "v", "--json").stdout == '{"score":2,"rank":null,"hidden":true}\n'
    assert laurels("submit", board, "v", "3").stdout == "score 3, hidden (before: score 2, hidden)\n"
    assert laurels("hide", "--json", board, "--", "-w-").stdout == f'{{"board":"{board}","name":"-w-","hidden":true}}\n'
    assert laurels("hidden", board).stdout.split() == ["name", "score", "-w-", "v", "3"]
    assert laurels("hidden", board, "--json").stdout == '[{"name":"-w-","score":null},{"name":"v","score":3}]\n'
    assert laurels("show", board, "v").stdout == f"v is not hidden on {board}\n"
    assert laurels("show", board, "--json", "v").stdout == f'{{"board":"{board}","name":"v","hidden":false}}\n'
    assert laurels("standing", board, "v").stdout == "score 3, rank 0\n"


def test_many(laurels: Run, board: str, stdin: Callable[[bytes], None]) -> None:
    """All hidden names are listed, however many lists that takes; an import hides them before it submits anything."""
    stdin(b"name\tscore\thidden\n" + b"".join(b"player-%04d\t%d\tTRUE\n" % (number, number) for number in range(1100)))
    assert laurels("import", "-", "--board", board).stderr.startswith("Kept 1,100 of 1,100 rows")
    found = json.loads(laurels("hidden", board, "--json").stdout)
    assert [(each["name"], each["score"]) for each in found] == [(f"player-{n:04}", n) for n in range(1100)]


@pytest.mark.parametrize("guarded", [(), ("--safe-csv",)], ids=["plain", "safe"])
@pytest.mark.parametrize("kind", FORMATS)
def test_copy(
    server: Server, laurels: Run, filled: str, tmp_path: Path, kind: Format, guarded: tuple[str, ...]
) -> None:
    """A copy of a board by a file has the same hidden names, with all that is kept of their entries."""
    file = tmp_path / f"board.{kind}.gz"
    assert laurels("export", filled, file, *guarded).exit_code == 0
    ask(server, "PUT", f"/-/boards/{filled}-copy", WINDOWS)
    found = laurels("import", file, "--board", f"{filled}-copy", "--keep-times", *guarded)
    assert found.stderr.startswith("Kept 5 of 5 rows")
    assert hidden(server, f"{filled}-copy") == hidden(server, filled)
    assert everything(server, f"{filled}-copy") == everything(server, filled)
    daily = "?window=daily&include=metadata"
    assert hidden(server, f"{filled}-copy", daily) == hidden(server, filled, daily)


@pytest.mark.parametrize("kind", FORMATS)
def test_scores_only(server: Server, laurels: Run, filled: str, tmp_path: Path, kind: Format) -> None:
    """Hidden names are hidden also in a copy of names and scores alone, whichever of both was told so."""
    for file, options in ((tmp_path / f"a.{kind}", ("--scores-only",)), (tmp_path / f"b.{kind}", ())):
        laurels("export", filled, file, *options)
        found = laurels("import", file, "--board", f"{filled}-{file.stem}", "--scores-only")
        assert "Kept 5 of 5 rows" in found.stderr
        assert hidden(server, f"{filled}-{file.stem}", "") == hidden(server, filled, "")
        assert page(server, f"{filled}-{file.stem}") == {"v": 5}


def test_period(laurels: Run, filled: str) -> None:
    """The file of a period has the hidden names that have an entry in it."""
    laurels("delete", filled, "judy", "--window", "daily", "--yes")
    lines = laurels("export", filled, "--window", "daily", "--scores-only").stdout.splitlines()
    assert lines == ["name\tscore\thidden", "cheat\t9\ttrue", "v\t5\t"]


def test_nothing_hidden(server: Server, laurels: Run, board: str) -> None:
    """A file of a board without hidden names is what it always was."""
    ask(server, "POST", f"/{board}/v", {"score": 2})
    assert laurels("export", board, "--scores-only").stdout == "name\tscore\nv\t2\n"
    assert laurels("export", board, "--scores-only", "--json").stdout == '{"name":"v","score":2}\n'


@pytest.mark.parametrize(
    ("answer", "says"),
    [(FORBIDDEN, True), ((401, {}, b""), True), (NOT_KEPT, False), ((404, {}, b""), False)],
    ids=["forbidden", "nothing shown", "not kept", "a service before 0.7"],
)
def test_export_by_others(answer: Answer, says: bool) -> None:  # noqa: FBT001 - a case's own word
    """Who may not see hidden names gets a file without them, and is told so; where there are none, nothing is said."""
    definition: Answer = (404, {}, b"")
    with failing(PAGE, answer, definition) as service:
        found = run(service.url, "export", "b")
    assert (found.exit_code, found.stdout) == (0, (make_header("tsv", details=True) + b"v\t1\t\t\n").decode())
    assert ("Hidden names are left out" in found.stderr) is says


def test_export_that_fails() -> None:
    """Any other refusal of the hidden names ends an export: a copy must not lack them in silence."""
    with failing(PAGE, (429, {}, b"")) as service:
        assert run(service.url, "export", "b").exit_code == 1


def test_damaged_metadata() -> None:
    """Metadata of hidden names that is damaged is left out and counted."""
    entry = b'{"name":"w","score":2,"metadata":null,"submittedAt":null,"metadataDamaged":true}'
    with failing(PAGE, (200, {}, b'{"hidden":[%b],"next":null}' % entry), (404, {}, b"")) as service:
        found = run(service.url, "export", "b", "--json")
    assert found.stdout == '{"name":"w","score":2,"hidden":true}\n{"name":"v","score":1}\n'
    assert "The metadata of 1 entries is damaged" in found.stderr


@pytest.mark.parametrize(
    "content",
    [
        b"name,score,hidden\na,1,yes\nb,2,no\nc,3,\nd,,1\n",
        (
            b'{"name":"a","score":1,"hidden":true}\n{"name":"b","score":2,"hidden":false}\n\n{"name":"c","score":3}\n'
            b'{"name":"d","score":null,"hidden":true}\n'
        ),
        "sep=;\r\nHidden;Player;Score\r\nTRUE;a;1\r\nfalse;b;2\r\n;c;3\r\n true ;d; \r\n".encode("utf-16"),
        gzip.compress(b'name|score|hidden\n"a"|"1"|"Yes"\n"b"|"2"|"0"\n"c"|"3"\n"d"||"true"\n'),
    ],
    ids=["csv", "jsonl", "spreadsheet", "bars"],
)
def test_dialects(server: Server, laurels: Run, board: str, stdin: Callable[[bytes], None], content: bytes) -> None:
    """The column, or field, is found in every dialect; a hidden name needs no score."""
    stdin(content)
    assert "Kept 4 of 4 rows" in laurels("import", "-", "--board", board).stderr
    assert page(server, board) == {"b": 2, "c": 3}
    assert hidden(server, board, "") == [{"name": "a", "score": 1}, {"name": "d", "score": None}]


def test_bad_rows(server: Server, laurels: Run, board: str, stdin: Callable[[bytes], None]) -> None:
    """A row that cannot be hidden is refused as a whole, be it for its name: nothing of it is seen."""
    rows = [b"name\tscore\thidden", b"a\t1\tperhaps", b"b\t\t", b"c\x01\t3\ttrue", b"d\x01\t\ttrue", b"e\xff\t\ttrue"]
    stdin(b"\n".join([*rows, b"f" * 9999 + b"\t\ttrue", b"g\t7\ttrue", b"h\t8\t"]))
    found = laurels("import", "-", "--board", board)
    reasons = [line.partition(". ")[0] for line in found.stderr.splitlines()]
    assert reasons[:-1] == [
        "line 2: hidden is 'perhaps': it is true, or empty",
        "line 3: there is no score",
        "line 4: The name has a control character",
        "line 5: The name has a control character",
        "line 6: the name is not valid UTF-8: --encoding says which encoding the file has",
        "line 7: The name has 9999 bytes",
    ]
    assert (page(server, board), hidden(server, board, "")) == ({"h": 8}, [{"name": "g", "score": 7}])


def test_import_where_names_cannot_be_hidden(stdin: Callable[[bytes], None]) -> None:
    """A service that cannot hide names gets nothing of theirs, but all the rest."""
    stdin(b"name\tscore\thidden\na\t1\ttrue\nb\t2\t\nc\t\ttrue\n")
    receipt: Answer = (200, {}, RECEIPT)
    with failing(receipt, NOT_KEPT, NOT_KEPT, receipt) as service:
        found = run(service.url, "import", "-", "--board", "b")
    assert [line.partition(":")[0] for line in found.stderr.splitlines()][:2] == ["line 2", "line 4"]
    assert service.bodies == [b'{"entries":[]}', b"", b"", b'{"entries":[{"name":"b","score":2}]}']


def test_import_without_the_right(stdin: Callable[[bytes], None]) -> None:
    """Who may not hide names cannot import a file that has some: it ends before anything of theirs is submitted."""
    stdin(b"name\tscore\thidden\na\t1\ttrue\n")
    with failing((200, {}, b'{"accepted":0,"refused":[]}'), FORBIDDEN) as service:
        found = run(service.url, "import", "-", "--board", "b")
    assert (found.exit_code, "That takes the right moderate." in found.stderr) == (1, True)
    assert not any(b'"score"' in body for body in service.bodies)
