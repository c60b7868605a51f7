"""The import of a file over HTTP: its rows, sent in batches.

One batch is being sent while the next is read and encoded, in a thread. Two are never sent at once: if two rows have
one name, the later must count. A service that takes no batches gets one request for each row, those of different names
at the same time.

**Keys.** If the service keeps idempotency keys, each request has its own, made of the run and of its first line. So an
import that stopped goes on where it was with the same keys, and what had been kept without an answer counts once.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from uuid import uuid4

import msgspec
from msgspec import Raw, Struct, field

from laurels.cli.rows import BadRow, DetailedEntry
from laurels.client.batches import EMPTY_BYTES, has_room, make_body
from laurels.client.errors import RequestRefused
from laurels.entries import checked_name, cut_name
from laurels.errors import BadName
from laurels.http.wire import encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

    from laurels.answers import BatchReceipt
    from laurels.cli.client import CommandClient
    from laurels.cli.rows import Row

LONG_ENTRY = 4096
"""A longer encoded entry, in bytes, is looked at here, so that one row cannot outgrow a batch."""
AT_ONCE = 16
"""How many rows are sent at the same time to a service that takes no batches."""
OF_A_ROW = frozenset({400, 413, 422})
"""The statuses that refuse one row, and not the whole import."""

T = TypeVar("T")

_read_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_read_name = msgspec.json.Decoder(str).decode


class Start(NamedTuple):
    """Where an import begins: the run that its keys are of, and the first line that is sent."""

    run: str
    line: int = 1

    @classmethod
    def anew(cls) -> Start:
        """Return the beginning of a new run."""
        return cls(str(uuid4()))

    @classmethod
    def parse(cls, text: str) -> Start:
        """Read what ``str`` wrote; raise ValueError."""
        run, _, line = text.rpartition("-")
        if not run or not line.isdecimal():
            raise ValueError(text)
        return cls(run, int(line))

    def __str__(self) -> str:
        """Return it as the command line takes it."""
        return f"{self.run}-{self.line}"


class Batch(Struct, gc=False):
    """The rows of one request, the bad rows that were read between them, and those without a score."""

    entries: list[bytes] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    hidden: list[tuple[int, str]] = field(default_factory=list)
    """The lines and names of rows whose names are hidden before anything is submitted."""
    others: list[int] = field(default_factory=list)
    """The lines of rows that have nothing to submit."""
    size: int = EMPTY_BYTES
    position: int = 0
    """How many bytes of the file had been read when the batch was complete."""
    has_details: bool = False

    def has_room(self, size: int) -> bool:
        """Return whether one request may also hold a row of ``size`` bytes."""
        rows = len(self.lines) + len(self.bad) + len(self.others)
        return has_room(self.size, rows, size)

    def add(self, line: int, entry: bytes) -> None:
        """Add an encoded entry."""
        self.size += len(entry) + 1
        self.lines.append(line)
        self.entries.append(entry)

    def last_line(self) -> int:
        """Return the line that its last row begins on, 0 if it has none."""
        return max(self.lines[-1:] + self.others[-1:] + [row.line for row in self.bad[-1:]], default=0)

    def refuse_hidden(self, refused: Mapping[int, str]) -> None:
        """Take out the rows of these lines, whose names could not be hidden: nothing of them may be seen."""
        kept = [place for place, line in enumerate(self.lines) if line not in refused]
        self.entries, self.lines = [self.entries[place] for place in kept], [self.lines[place] for place in kept]
        self.others = [line for line in self.others if line not in refused]
        self.bad += [BadRow(line, cut_name(name), refused[line]) for line, name in self.hidden if line in refused]
        self.bad.sort(key=lambda row: row.line)

    def body(self) -> bytes:
        """Return the request's body."""
        return make_body(self.entries)


class Sent(Struct, frozen=True):
    """The result of one batch; ``line`` is its last line."""

    accepted: int
    refused: list[BadRow]
    line: int
    position: int


def make_batches(rows: Iterable[Row | BadRow], position: Callable[[], int], first: int = 1) -> Iterator[Batch]:
    """Collect rows into batches, in their order and from the line ``first`` on.

    ``position`` returns how many bytes of the file have been read.
    """
    batch = Batch()
    for row in rows:
        if row.line < first:
            continue
        entry = _encode_row(row)
        if not batch.has_room(0 if isinstance(entry, BadRow) else len(entry)):
            batch.position = position()
            yield batch
            batch = Batch()
        if isinstance(entry, BadRow):
            batch.bad.append(entry)
            continue
        if entry:
            batch.add(row.line, entry)
            batch.has_details = batch.has_details or isinstance(row.entry, DetailedEntry)  # type: ignore[union-attr]
        else:
            batch.others.append(row.line)
        if row.hidden is not None:  # type: ignore[union-attr]
            batch.hidden.append((row.line, row.hidden))  # type: ignore[union-attr]
    if batch.last_line():
        batch.position = position()
        yield batch


def _encode_row(row: Row | BadRow) -> bytes | BadRow:
    if isinstance(row, BadRow):
        return row
    try:
        entry = encode(row.entry or row.hidden)
        if len(entry) > LONG_ENTRY:
            checked_name(name := row.entry.name if row.entry else row.hidden or "")
            return BadRow(row.line, cut_name(name), "submittedAt is too long for a time")
    except UnicodeEncodeError:
        return BadRow(row.line, None, "the name is not valid UTF-8: --encoding says which encoding the file has")
    except BadName as error:
        return BadRow(row.line, None, str(error))
    return entry if row.entry else b""


class Sender:
    """Submits batches to a board one after another.

    ``has_keys`` says whether the service keeps idempotency keys, None while that is not known.
    """

    def __init__(self, client: CommandClient, board: str, run: str) -> None:
        self._client = client
        self._board = board
        self._run = run
        self.has_keys: bool | None = None

    async def send(self, full: Iterator[Batch]) -> AsyncIterator[Sent]:
        """Submit batches, and yield the result of each, or of each few rows if they are sent one by one."""
        sending: asyncio.Task[Sent] | None = None
        takes_batches: bool | None = None
        while batch := await _run_in_thread(lambda: next(full, None)):
            if sending is not None:
                yield await sending
                sending = None
            if takes_batches is None:
                takes_batches = await self._ask_what_is_taken()
            await self._hide(batch)
            if takes_batches:
                sending = asyncio.create_task(self._send(batch))
            else:
                async for sent in self._send_singly(batch):
                    yield sent
        if sending is not None:
            yield await sending

    async def _ask_what_is_taken(self) -> bool:
        """Return whether the service takes batches for the board: it is sent empty ones."""
        for key in (self._run, None):
            try:
                await self._submit(Batch(), key)
            except RequestRefused as refusal:
                if refusal.retry_after is not None:  # over a limit, which says nothing about batches and keys
                    raise
            else:
                self.has_keys = key is not None
                return True
        return False

    def _key(self, line: int) -> str | None:
        return None if self.has_keys is False else str(Start(self._run, line))

    async def _send(self, batch: Batch) -> Sent:
        accepted, refused = len(batch.others), batch.bad
        if batch.lines:
            try:
                receipt = await self._submit(batch, self._key(batch.lines[0]))
            except RequestRefused as refusal:
                if batch.has_details and not self.has_keys:
                    raise RequestRefused(f"{refusal} --scores-only imports names and scores alone.") from refusal
                raise
            accepted += receipt.accepted
            refused += [BadRow(batch.lines[entry.index], entry.name, entry.problem) for entry in receipt.refused]
        refused.sort(key=lambda row: row.line)
        return Sent(accepted, refused, batch.last_line(), batch.position)

    async def _hide(self, batch: Batch) -> None:
        """Hide the names that are to be hidden, before anything is submitted for them."""
        refused = dict[int, str]()
        for start in range(0, len(batch.hidden), AT_ONCE):
            some = batch.hidden[start : start + AT_ONCE]
            problems = await _gather(self._hide_name(name) for _, name in some)
            refused |= {line: problem for (line, _), problem in zip(some, problems, strict=True) if problem}
        if refused:
            batch.refuse_hidden(refused)

    async def _hide_name(self, name: str) -> str | None:
        """Hide a name; return why it cannot be."""
        try:
            await self._client.hide(self._board, name)
        except BadName as error:
            return str(error)
        except RequestRefused as refusal:
            if refusal.status not in OF_A_ROW:
                raise
            return str(refusal)
        return None

    async def _submit(self, batch: Batch, key: str | None) -> BatchReceipt:
        return await self._client.submit_batch(self._board, batch.body(), len(batch.lines), key)

    # Row by row

    async def _send_singly(self, batch: Batch) -> AsyncIterator[Sent]:
        """Submit the rows of a batch one by one, up to AT_ONCE of different names at a time."""
        rows = [(line, *_split_name(entry)) for line, entry in zip(batch.lines, batch.entries, strict=True)]
        for wave in _make_waves(rows, 1 if self.has_keys is None else AT_ONCE):
            results = await _gather(self._send_row(*row) for row in wave)
            refused = [result for result in results if result is not None]
            yield Sent(len(wave) - len(refused), refused, wave[-1][0], batch.position)
        if batch.bad or batch.others:
            yield Sent(len(batch.others), batch.bad, batch.last_line(), batch.position)

    async def _send_row(self, line: int, name: str, body: bytes) -> BadRow | None:
        try:
            await self._submit_row(line, name, body)
        except BadName as error:
            return BadRow(line, cut_name(name), str(error))
        except RequestRefused as refusal:
            if refusal.status not in OF_A_ROW:
                raise
            return BadRow(line, name, str(refusal))
        return None

    async def _submit_row(self, line: int, name: str, body: bytes) -> None:
        """Submit a row; find out with the first one that is taken whether the service keeps keys."""
        if key := self._key(line):
            try:
                await self._client.submit_body(self._board, name, body, key)
            except RequestRefused as refusal:
                if self.has_keys or refusal.status not in OF_A_ROW:
                    raise
            else:
                self.has_keys = True
                return
        await self._client.submit_body(self._board, name, body, None)
        self.has_keys = False


def _split_name(entry: bytes) -> tuple[str, bytes]:
    """Return the name of an encoded entry, and the body of a submit for it."""
    fields = _read_fields(entry)
    return _read_name(fields.pop("name")), encode(fields)


def _make_waves(rows: Sequence[tuple[int, str, bytes]], size: int) -> Iterator[list[tuple[int, str, bytes]]]:
    """Yield rows in their order, a few at a time, so that no name is twice among these."""
    wave: list[tuple[int, str, bytes]] = []
    for row in rows:
        if len(wave) == size or any(row[1] == name for _, name, _ in wave):
            yield wave
            wave = []
        wave.append(row)
    if wave:
        yield wave


async def _gather(awaitables: Iterable[Awaitable[T]]) -> list[T]:
    """Wait for all, and raise what any has raised."""
    results = await asyncio.gather(*awaitables, return_exceptions=True)
    if failure := next((result for result in results if isinstance(result, BaseException)), None):
        raise failure
    return results  # type: ignore[return-value]


async def _run_in_thread(function: Callable[[], T]) -> T:
    """Run a function in a daemon thread, for which the end of the process does not wait: it may be reading a terminal.

    ``asyncio.to_thread`` would be waited for, and Ctrl-C would not end an import from a terminal.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - not caught, but handed to the awaiting coroutine
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(future)
