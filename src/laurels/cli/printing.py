"""The one way to the terminal: everything that the command line prints goes through here.

Whatever comes from a service, a file or the command line is shown, not obeyed (:mod:`laurels.visible`), and so is what
the stream cannot encode. ruff forbids the other modules to print (TID251).
"""

from __future__ import annotations

import io
import re
import shutil
import signal
import sys
from typing import IO, TYPE_CHECKING, Any, Self

import click
import msgspec
from msgspec import Struct
from rich.console import Console, ConsoleDimensions, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from laurels.visible import escape, escape_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from _typeshed import ReadableBuffer
    from rich.console import JustifyMethod

SHOWN = 2000
"""How many characters of one line, or of one cell of a table, are shown."""
NARROWEST, UNBOUNDED = 40, 10_000
"""The width of a table on the narrowest terminal, and on none, in columns."""
BLOCKS = " ▏▎▍▌▋▊▉█"

_SPACES = re.compile(r"^ +| +$|(?<= ) +")

_encode = msgspec.json.Encoder().encode


def write(*lines: str, err: bool = False) -> None:
    """Write lines on stdout or stderr. A line feed within one is shown, too: foreign text makes no lines of its own."""
    for line in lines:
        click.echo(_prepare(line, sys.stderr if err else sys.stdout), err=err)


def write_json(found: object, *, indent: int = -1) -> None:
    """Write a JSON document on stdout, in UTF-8: exact, with escapes for what a terminal would obey or nobody sees."""
    document = escape_json(_encode(found).decode())
    click.echo(msgspec.json.format(document, indent=indent).encode())


def confirm(question: str) -> None:
    """Ask whether to do what cannot be undone; end the command if not, or if nobody is there to answer."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise click.UsageError(f"{question} Nobody is there to answer: say --yes.")
    click.confirm(_prepare(question, sys.stderr), abort=True, err=True)


def write_table(
    titles: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: AbstractSet[str] = frozenset(),
    marked: AbstractSet[int] = frozenset(),
) -> None:
    """Write rows in columns; the columns ``numbers`` are aligned to the right, and the rows ``marked`` stand out."""
    make_console().print(_make_table(Rows(titles, [*rows], numbers, dict.fromkeys(marked, "reverse"))))


class Rows(Struct, frozen=True):
    """Rows in columns: which of these are numbers, and the style of a row by its index."""

    titles: Sequence[str]
    cells: Sequence[Sequence[str]]
    numbers: AbstractSet[str]
    styles: Mapping[int, str]


def _make_table(rows: Rows, *, shortened: str | None = None, gap: int = 3) -> Table:
    """Return a table whose cells take as many lines as they must, or one, if there is a column to be ``shortened``."""
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
    for title in rows.titles:
        justify: JustifyMethod = "right" if title in rows.numbers else "left"
        table.add_column(title, justify=justify, overflow="fold", no_wrap=shortened not in {None, title})
    one_line: dict[str, Any] = {"no_wrap": True, "overflow": "ellipsis"} if shortened else {}
    for index, row in enumerate(rows.cells):
        table.add_row(*(Text(_prepare_cell(cell), **one_line) for cell in row), style=rows.styles.get(index))
    return table


def make_console(*, err: bool = False) -> Console:
    """Return rich's console for stdout or stderr, as wide as the terminal, or unbounded if there is none."""
    console = Console(stderr=err, width=UNBOUNDED, height=1)
    if console.is_terminal:
        console.width = max(NARROWEST, min(shutil.get_terminal_size().columns, UNBOUNDED))
    return console


class Picture:
    """A table that has the terminal for itself, and is drawn anew whenever something in it changes.

    At the end the terminal shows again what it did before, and below that the last of it.
    """

    def __init__(self) -> None:
        self._console = make_console()
        self._live = Live(
            console=self._console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._last = Group()

    @property
    def can_be(self) -> bool:
        """Whether stdout is a terminal on which something can be drawn anew."""
        return self._console.is_terminal and not self._console.is_dumb_terminal

    def __enter__(self) -> Self:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # the terminal must be put right
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        self._console.print(self._last)

    def draw(self, head: str, rows: Rows, foot: Sequence[str], middle: int = 0) -> None:
        """Draw rows between other lines: as many as there is room for, if need be those around one."""
        size = shutil.get_terminal_size()
        self._console.size = ConsoleDimensions(size.columns, size.lines)
        room = max(size.lines - len(foot) - 2, 1)
        first = max(0, min(middle - room // 2, len(rows.cells) - room))
        styles = {index - first: style for index, style in rows.styles.items()}
        seen = Rows(rows.titles, rows.cells[first : first + room], rows.numbers, styles)
        table = _make_table(seen, shortened="name", gap=3 if size.columns >= NARROWEST else 1)
        self._last = Group(self._line(head, "bold"), table, *map(self._line, foot))
        self._live.update(self._last, refresh=True)

    def _line(self, text: str, style: str = "") -> Text:
        return Text(_prepare(text, self._console.file), style, no_wrap=True, overflow="ellipsis")


def write_on(console: Console, line: str) -> None:
    """Write a line on a console, above what is live there."""
    console.print(Text(_prepare(line, console.file)), soft_wrap=True)


def draw_bar(share: float, width: int) -> str:
    """Return a bar of a share of the width, from 0 to 1; anything above 0 can be seen."""
    eighths = max(round(share * width * 8), 1) if share > 0 else 0
    bar = "█" * (eighths // 8) + BLOCKS[eighths % 8].strip()
    return bar if _can_write(bar, sys.stdout) else "#" * max(1, round(share * width)) * (share > 0)


def open_stdout() -> IO[bytes]:
    """Return where the bytes of a file go that is written on stdout: exact, unless a person looks on."""
    if sys.stdout is None:
        return io.BytesIO()
    return _Shown() if sys.stdout.isatty() else sys.stdout.buffer  # type: ignore[return-value]


class _Shown(io.RawIOBase):
    """A terminal that is written to as if it were a file: its lines are shown."""

    def write(self, data: ReadableBuffer) -> int:
        write(*bytes(data).decode(errors="surrogateescape").removesuffix("\n").split("\n"))
        return len(bytes(data))


def _prepare(text: str, stream: IO[str] | None) -> str:
    """Return a line as the stream can take it."""
    text = escape(text if len(text) <= SHOWN else text[:SHOWN] + "...")
    if _can_write(text, stream):
        return text
    encoding = _encoding(stream)
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _prepare_cell(text: str) -> str:
    """Return a cell in which also spaces are shown that would be taken for those between columns."""
    return _SPACES.sub(lambda spaces: r"\x20" * len(spaces[0]), _prepare(text, sys.stdout))


def _can_write(text: str, stream: IO[str] | None) -> bool:
    try:
        text.encode(_encoding(stream))
    except UnicodeEncodeError:
        return False
    return True


def _encoding(stream: IO[str] | None) -> str:
    return getattr(stream, "encoding", None) or "utf-8"
