"""The commands about boards, with real files and a real server."""

from __future__ import annotations

import json
import tomllib
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest

from laurels.cli import describe
from laurels.definition import DEFAULT_DEFINITION, Bounds, Definition, Display, Guard, Runs
from tests.asking import ask
from tests.cli.conftest import run
from tests.conftest import running

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Run
    from tests.conftest import Server

DOCS = Path(__file__).parents[2] / "docs"
FILE = """
[boards.mario-kart]
operator = "best"
ties = "earliest"
scores = { min = 0, max = 1_000_000, integer = true }
windows = ["daily"]
time_zone = "Europe/Berlin"
keep = { daily = 30 }

[boards.laps]
order = "ascending"
ttl = "7d"
"""
KART = 'operator = "best"\nties = "earliest"\nwindows = ["daily"]\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a boards file of two boards."""
    path = tmp_path / "boards.toml"
    path.write_text(FILE)
    return path


def test_check_shows_definitions(laurels: Run, file: Path) -> None:
    """For a valid file each board's definition is shown in words, and the default one of the others."""
    lines = laurels("boards", "check", file).stdout.splitlines()
    assert "  operator   best: a score counts where it is better" in lines
    assert "  scores     whole numbers from 0 to 1000000" in lines
    assert [line for line in lines if line and not line.startswith(" ")] == ["mario-kart", "laps", "All other boards"]


def test_check_of_declared_boards_only(laurels: Run, file: Path) -> None:
    """If only declared boards take scores, no default definition is shown."""
    file.write_text("declared_only = true\n" + FILE)
    assert laurels("boards", "check", file).stdout.splitlines()[-1] == "There are no other boards."


def test_check_gives_json(laurels: Run, file: Path) -> None:
    """With --json each definition is whole, and has its current periods."""
    kart, laps = json.loads(laurels("boards", "check", file, "--json").stdout)["boards"]
    assert kart["name"] == "mario-kart"
    assert kart["definition"]["keep"] == {"daily": 30}
    assert laps["periods"] == []
    period = kart["periods"][0]
    assert period["period"] == period["start"][:10]
    assert datetime.fromisoformat(period["start"]) < datetime.fromisoformat(period["stop"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[boards.kart]\nwindows = ["dayly"]\n', ["boards.toml", "kart", "dayly", '"daily"']),
        ('[boards.kart]\noprator = "best"\n', ["boards.toml", "kart", "oprator", "operator"]),
        ("[boards.kart\n", ["boards.toml", "not TOML", "line 1"]),
    ],
    ids=["window", "field", "TOML"],
)
def test_check_says_what_is_wrong(laurels: Run, file: Path, text: str, words: list[str]) -> None:
    """The error for an invalid file has the file, the board and the field, and what would be right."""
    file.write_text(text)
    found = laurels("boards", "check", file)
    assert found.exit_code == 1
    assert [word for word in words if word not in found.stderr] == []


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        (Bounds(), "any numbers"),
        (Bounds(integer=True), "whole numbers"),
        (Bounds(min=-1.5), "numbers from -1.5"),
        (Bounds(max=3, integer=True), "whole numbers to 3"),
    ],
    ids=["any", "whole", "from", "to"],
)
def test_bounds_in_words(bounds: Bounds, words: str) -> None:
    """Bounds are shown in a few words."""
    assert describe.format_bounds(bounds) == words


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        (DEFAULT_DEFINITION, "ordinal: ranks 0,1,2,3"),
        (Definition(ranking="competition"), "competition: ranks 0,1,1,3"),
        (Definition(ranking="dense"), "dense: ranks 0,1,1,2"),
    ],
    ids=["ordinal", "competition", "dense"],
)
def test_ranking_in_words(definition: Definition, words: str) -> None:
    """A ranking is shown by the ranks of four entries, two of which are equal."""
    assert f"  ranking    {words}" in describe.format_definition(definition, 0)


def test_windows_in_words() -> None:
    """A window is shown with its current period and when that ends, in the board's time zone."""
    definition = Definition(windows=("daily", "0 17 * * FRI"), time_zone="Europe/Berlin", keep={"daily": 30})
    now = datetime.fromisoformat("2026-10-25T12:00:00+01:00").timestamp()  # a day of 25 hours
    assert list(describe.format_definition(definition, now))[5:] == [
        "  daily      2026-10-25 until 2026-10-26 00:00 +0100 (Europe/Berlin), 30 past ones kept",
        "  window     0 17 * * FRI, 2026-10-23T15:00Z until 2026-10-30 17:00 +0100 (Europe/Berlin), all past ones kept",
        "  ttl        none of its own",
    ]


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        (DEFAULT_DEFINITION, ""),
        (Definition(operator="best", windows=("daily",)), 'operator best, windows ["daily"]'),
        (Definition(scores=Bounds(min=0)), "scores numbers from 0"),
        (Definition(guard=Guard(max_step=5, per_player="2/m")), "guard steps of at most 5, of one player 2/m"),
        (Definition(guard=Guard(runs=Runs())), "guard runs taken, of 0 to 3600 seconds"),
        (Definition(partitions=16), "partitions 16"),
    ],
    ids=["default", "more", "bounds", "guard", "runs", "partitions"],
)
def test_definition_in_short(definition: Definition, words: str) -> None:
    """In a list only the fields are shown that differ from the default definition."""
    assert describe.format_short(definition) == words


DISPLAYS = {
    "a unit": (Display(unit="kg"), "scores as numbers of kg"),
    "a duration": (Display(format="duration", unit="ms", decimals=1), "scores as durations of ms, 1 decimal"),
    "decimals": (Display(decimals=2), "scores as numbers, 2 decimals"),
    "metadata": (
        Display(country="land", avatar="face", avatar_hosts=("a.example.com", "*.example.org"), fields=("team", "car")),
        "scores as numbers, country from land, avatar from face at a.example.com, *.example.org, team, car",
    ),
}


@pytest.mark.parametrize(("display", "words"), DISPLAYS.values(), ids=DISPLAYS)
def test_page_in_words(display: Display, words: str) -> None:
    """What a board's page is headed and shows stands behind the rest, and in short too."""
    definition = Definition(title="Laps", display=display)
    lines = ["  title      Laps", f"  display    {words}"]
    assert list(describe.format_definition(definition, 0))[-2:] == lines
    assert describe.format_short(definition) == f"title Laps, display {words}"


def test_guard_in_words() -> None:
    """A board's guard is shown behind the rest."""
    definition = Definition(guard=Guard(hold_above=9, runs=Runs(required=True)))
    line = "  guard      held above 9, runs required, of 0 to 3600 seconds"
    assert list(describe.format_definition(definition, 0))[-1] == line


def test_partitions_in_words() -> None:
    """How many partitions a board has is shown if it is more than one."""
    assert "  partitions 4, over which the names are spread" in describe.format_definition(Definition(partitions=4), 0)


def schema(laurels: Run) -> dict[str, Any]:
    """Return the schema that the command writes."""
    found: dict[str, Any] = json.loads(laurels("boards", "schema").stdout)
    return found


def test_schema_is_published(laurels: Run) -> None:
    """The schema in docs/ is the one that the command writes."""
    assert (DOCS / "boards.schema.json").read_text() == laurels("boards", "schema").stdout


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        (FILE, True),
        ("declared_only = true", True),
        ('[default]\nwindows = ["0 17 * * FRI"]', True),
        ('[boards.kart]\nwindows = ["hourly"]', False),
        ("[boards.kart]\nkeep = { daily = 0 }", False),
        ('[boards.kart]\nttl = "a week"', False),
        ('[boards.kart]\noprator = "best"', False),
        ("[board.kart]", False),
    ],
)
def test_schema_accepts_valid_files(laurels: Run, text: str, *, is_valid: bool) -> None:
    """An editor accepts by the schema the files that the service accepts."""
    validator = jsonschema_rs.Draft7Validator(schema(laurels))
    assert validator.is_valid(tomllib.loads(text)) is is_valid


@pytest.mark.parametrize(
    "text",
    [KART, json.dumps(tomllib.loads(KART)), f'[boards."{{board}}"]\n{KART}'],
    ids=["TOML", "JSON", "boards file"],
)
def test_define_and_show(laurels: Run, board: str, tmp_path: Path, text: str) -> None:
    """A definition comes from a file of its own, or from a table of a boards file, and show prints it."""
    (tmp_path / "definition").write_text(text.replace("{board}", board))
    assert laurels("boards", "define", board, tmp_path / "definition").stdout.startswith(f"{board}\n  order")
    shown = json.loads(laurels("boards", "show", board, "--json").stdout)
    assert shown["operator"] == "best"
    assert shown["ties"] == "earliest"
    assert shown["windows"] == ["daily"]
    operator = laurels("boards", "show", board).stdout.splitlines()[2]
    assert operator == "  operator   best: a score counts where it is better"


def test_define_from_stdin(laurels: Run, board: str, stdin: Callable[[bytes], None]) -> None:
    """A definition may come through a pipe."""
    stdin(b'{"order": "ascending"}')
    assert json.loads(laurels("boards", "define", board, "-", "--json").stdout)["order"] == "ascending"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("order: descending", "neither JSON nor TOML"),
        ("[boards.laps]", "has no [boards.kart]: it has laps"),
        (b"\xff", "neither JSON nor TOML"),
    ],
    ids=["YAML", "other board", "bytes"],
)
def test_define_from_no_definition(laurels: Run, tmp_path: Path, text: str | bytes, problem: str) -> None:
    """A file without a definition of the board is refused before the service is called."""
    (tmp_path / "file").write_bytes(text if isinstance(text, bytes) else text.encode())
    found = laurels("boards", "define", "kart", tmp_path / "file")
    assert found.exit_code == 2
    assert problem in found.stderr


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('windows = ["hourly"]', '"hourly" is no window'),
        ('{"windows": ["hourly"]}', '"hourly" is no window'),
        ("scores = { min = nan }", "a number that a double holds"),
        ("scores = { max = inf }", "a number that a double holds"),
        ("boards = 5", 'no field "boards"'),
        ("[boards]\nkart = 5", "A definition is 5"),
    ],
    ids=["TOML", "JSON", "not a number", "infinite", "no table of boards", "no table"],
)
def test_define_says_what_is_wrong(laurels: Run, tmp_path: Path, text: str, problem: str) -> None:
    """A definition that no board can have is refused with the reason."""
    (tmp_path / "file").write_text(text)
    found = laurels("boards", "define", "kart", tmp_path / "file")
    assert found.exit_code == 1
    assert problem in found.stderr


def test_drop_keeps_the_entries(server: Server, laurels: Run, board: str, tmp_path: Path) -> None:
    """After drop a board has the default definition, and still its entries."""
    (tmp_path / "file").write_text('ranking = "dense"')
    laurels("boards", "define", board, tmp_path / "file")
    ask(server, "POST", f"/{board}/v", {"score": 1})
    assert laurels("boards", "drop", board).stdout == f"{board} has the default definition.\n"
    assert json.loads(laurels("boards", "show", board, "--json").stdout)["ranking"] == "ordinal"
    assert laurels("standing", board, "v").stdout == "score 1, rank 0\n"


def test_show_of_no_board(laurels: Run, board: str) -> None:
    """A board that is neither declared nor has entries is an error."""
    found = laurels("boards", "show", board)
    assert found.exit_code == 1
    assert "There is no board" in found.stderr


def test_list_goes_on_to_the_end(server: Server, laurels: Run, board: str) -> None:
    """All boards are listed with their definitions, though there are more than one answer holds."""
    for place in range(101):
        assert ask(server, "PUT", f"/-/boards/{board}-{place:03}", {"operator": "best"}).status == 201
    listed = [one["name"] for one in json.loads(laurels("boards", "list", "--json").stdout)["boards"]]
    assert [name for name in listed if name.startswith(board)] == [f"{board}-{place:03}" for place in range(101)]
    row = next(line for line in laurels("boards", "list").stdout.splitlines() if line.startswith(f"{board}-100"))
    assert row.split() == [f"{board}-100", "0", "yes", "operator", "best"]


def test_periods_and_reads_of_one(server: Server, laurels: Run, board: str) -> None:
    """A period is listed, and can be read by its name or as the current one."""
    ask(server, "PUT", f"/-/boards/{board}", {"windows": ["daily"], "ranking": "dense"})
    ask(server, "POST", f"/{board}", {"entries": [{"name": name, "score": 5} for name in "ab"]})
    (period,) = json.loads(laurels("boards", "periods", board, "--json").stdout)["periods"]
    assert laurels("boards", "periods", board).stdout.splitlines()[1].split()[:2] == ["daily", period["period"]]
    assert laurels("standing", board, "a", "--window", "daily").stdout == "score 5, rank 0\n"
    top = laurels("top", board, "--window", "daily", "--period", period["period"]).stdout
    assert [line.split() for line in top.splitlines()[1:]] == [["0", "b", "5"], ["0", "a", "5"]]


def test_no_periods(laurels: Run, board: str) -> None:
    """A board without windows has no periods."""
    assert laurels("boards", "periods", board).stdout == "no periods with entries\n"


def test_no_boards(tmp_path: Path) -> None:
    """A service without boards lists none."""
    with running(tmp_path) as server:
        assert run(server.url, "boards", "list").stdout == "no boards\n"
