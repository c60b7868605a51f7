"""Import and export of whole boards over HTTP: rows sent in batches, and entries fetched in pages.

One batch is being sent while the next is read and encoded, in a thread. Two are never sent at once: if two rows have
one name, the later must count.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from itertools import count, repeat
from threading import Thread
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

import msgspec
from msgspec import Struct, field

from laurels.cli.errors import RequestFailed, RequestRefused
from laurels.cli.rows import BadRow
from laurels.entries import checked_name
from laurels.errors import BadName
from laurels.limits import BATCH_BYTES, BATCH_ENTRIES, PAGE_ENTRIES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from laurels.cli.client import Client
    from laurels.cli.rows import Row
    from laurels.http.wire import BatchReceipt
    from laurels.stores.contract import Entry

ATTEMPTS = 8
LONGEST_WAIT = 30
OPENING, CLOSING = b'{"entries":[', b"]}"
LONG_ENTRY = 4096
"""A longer encoded entry, in bytes, has its name checked here, so that one row cannot outgrow a batch."""

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


class Batch(Struct, gc=False):
    """The rows of one request, and the bad rows that were read between them."""

    entries: list[bytes] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    size: int = len(OPENING) + len(CLOSING)
    position: int = 0
    """How many bytes of the file had been read when the batch was complete."""

    def has_room(self, size: int) -> bool:
        """Return whether one request may also hold a row of ``size`` bytes."""
        return len(self.lines) + len(self.bad) < BATCH_ENTRIES and self.size + size < BATCH_BYTES

    def add(self, line: int, entry: bytes) -> None:
        """Add an encoded entry."""
        self.size += len(entry) + 1
        self.lines.append(line)
        self.entries.append(entry)

    def last_line(self) -> int:
        """Return the line that its last row begins on, 0 if it has none."""
        return max(self.lines[-1:] + [row.line for row in self.bad[-1:]], default=0)

    def body(self) -> bytes:
        """Return the request's body."""
        return OPENING + b",".join(self.entries) + CLOSING


class Sent(Struct, frozen=True):
    """The result of one batch; ``line`` is its last line."""

    accepted: int
    refused: list[BadRow]
    line: int
    position: int


def make_batches(rows: Iterable[Row | BadRow], position: Callable[[], int]) -> Iterator[Batch]:
    """Collect rows into batches, in their order; ``position`` returns how many bytes of the file have been read."""
    batch = Batch()
    for row in rows:
        entry = _encode_row(row)
        if not batch.has_room(0 if isinstance(entry, BadRow) else len(entry)):
            batch.position = position()
            yield batch
            batch = Batch()
        if isinstance(entry, BadRow):
            batch.bad.append(entry)
        else:
            batch.add(row.line, entry)
    if batch.last_line():
        batch.position = position()
        yield batch


def _encode_row(row: Row | BadRow) -> bytes | BadRow:
    if isinstance(row, BadRow):
        return row
    try:
        entry = _encode(row.entry)
        if len(entry) > LONG_ENTRY:
            checked_name(row.entry.name)
    except UnicodeEncodeError:
        return BadRow(row.line, None, "the name is not valid UTF-8")
    except BadName as error:
        return BadRow(row.line, None, str(error))
    return entry


async def send(client: Client, board: str, full: Iterator[Batch]) -> AsyncIterator[Sent]:
    """Submit batches to a board one after another, and yield the result of each.

    If the service keeps idempotency keys, each batch has its own and counts once, however often it is sent.
    """
    sending: asyncio.Task[Sent] | None = None
    keys: Iterator[str | None] | None = None
    while batch := await _run_in_thread(lambda: next(full, None)):
        if sending is not None:
            yield await sending
        keys = keys or await _make_keys(client, board)
        sending = asyncio.create_task(_send(client, board, batch, next(keys)))
    if sending is not None:
        yield await sending


async def _make_keys(client: Client, board: str) -> Iterator[str | None]:
    """Return the keys of a run's batches. All are None if the service refuses an empty batch because of its key."""
    run = uuid4()
    try:
        await _submit(client, board, Batch(), str(run))
    except RequestRefused as refusal:
        if refusal.retry_after is not None:  # over a limit, which does not say whether the service keeps keys
            raise
        return repeat(None)
    return (f"{run}-{number}" for number in count())


async def _send(client: Client, board: str, batch: Batch, key: str | None) -> Sent:
    accepted, refused = 0, batch.bad
    if batch.lines:
        receipt = await _submit(client, board, batch, key)
        accepted = receipt.accepted
        refused += [BadRow(batch.lines[entry.index], entry.name, entry.problem) for entry in receipt.refused]
    refused.sort(key=lambda row: row.line)
    return Sent(accepted, refused, batch.last_line(), batch.position)


async def _submit(client: Client, board: str, batch: Batch, key: str | None) -> BatchReceipt:
    """Submit a batch; send it again while the service asks for that, ATTEMPTS times at most."""
    body, sent = batch.body(), len(batch.lines)
    for _ in range(ATTEMPTS - 1):
        try:
            return await client.submit_many(board, body, sent, key)
        except RequestFailed as error:
            if error.retry_after is None:
                raise
            wait = min(error.retry_after, LONGEST_WAIT)
        await asyncio.sleep(wait)
    return await client.submit_many(board, body, sent, key)


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


async def fetch_pages(client: Client, board: str) -> AsyncIterator[list[Entry]]:
    """Fetch a board's pages, from its first entry to its last."""
    start = 0
    while True:
        page = await client.page(board, start, start + PAGE_ENTRIES)
        yield page
        if len(page) < PAGE_ENTRIES:
            return
        start += PAGE_ENTRIES
