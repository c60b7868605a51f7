"""Whole boards over the wire: rows sent in batches, and entries fetched in pages.

One batch is on its way while the next is read and encoded, in a thread. There are never two on their way at once: of
two rows with one name the later must count.
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

from laurels.cli.rows import BadRow
from laurels.entries import checked_name
from laurels.errors import BadName, RequestFailed, RequestRefused
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
"""Bytes of an encoded entry beyond which its name is measured, so that one row cannot outgrow a batch."""

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode


class Batch(Struct, gc=False):
    """Rows that are sent in one request, and those read among them that cannot be sent."""

    entries: list[bytes] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    size: int = len(OPENING) + len(CLOSING)
    position: int = 0
    """How many bytes of the file had been read when it was done."""

    def has_room(self, size: int) -> bool:
        """Tell whether a row of ``size`` bytes more keeps it within what one request may hold."""
        return len(self.lines) + len(self.bad) < BATCH_ENTRIES and self.size + size < BATCH_BYTES

    def add(self, line: int, entry: bytes) -> None:
        """Take in an encoded entry."""
        self.size += len(entry) + 1
        self.lines.append(line)
        self.entries.append(entry)

    def last_line(self) -> int:
        """Give the line that its last row began on, 0 where it has none."""
        return max(self.lines[-1:] + [row.line for row in self.bad[-1:]], default=0)

    def body(self) -> bytes:
        """Give the request's body."""
        return OPENING + b",".join(self.entries) + CLOSING


class Sent(Struct, frozen=True):
    """What became of one batch."""

    accepted: int
    refused: list[BadRow]
    line: int
    position: int


def batches(rows: Iterable[Row | BadRow], position: Callable[[], int]) -> Iterator[Batch]:
    """Put rows together to batches, in their order; ``position`` tells how many bytes of the file have been read."""
    batch = Batch()
    for row in rows:
        entry = _encoded(row)
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


def _encoded(row: Row | BadRow) -> bytes | BadRow:
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
    """Submit batches to a board one after another, and give what became of each.

    Each has a key of its own where the service keeps keys, and counts once there, however often it is sent.
    """
    sending: asyncio.Task[Sent] | None = None
    keys: Iterator[str | None] | None = None
    while batch := await _aside(lambda: next(full, None)):
        if sending is not None:
            yield await sending
        keys = keys or await _keys(client, board)
        sending = asyncio.create_task(_send(client, board, batch, next(keys)))
    if sending is not None:
        yield await sending


async def _keys(client: Client, board: str) -> Iterator[str | None]:
    """Give the keys of a run's batches, all None where a batch of nothing is refused for having one."""
    run = uuid4()
    try:
        await _submit(client, board, OPENING + CLOSING, str(run))
    except RequestRefused as refusal:
        if refusal.retry_after is not None:
            raise
        return repeat(None)
    return (f"{run}-{number}" for number in count())


async def _send(client: Client, board: str, batch: Batch, key: str | None) -> Sent:
    accepted, refused = 0, batch.bad
    if batch.lines:
        receipt = await _submit(client, board, batch.body(), key)
        accepted = receipt.accepted
        refused += [BadRow(batch.lines[entry.index], entry.name, entry.problem) for entry in receipt.refused]
    refused.sort(key=lambda row: row.line)
    return Sent(accepted, refused, batch.last_line(), batch.position)


async def _submit(client: Client, board: str, body: bytes, key: str | None) -> BatchReceipt:
    """Submit a batch, again and again as long as the service asks for that, a bounded number of times."""
    for _ in range(ATTEMPTS - 1):
        try:
            return await client.submit_many(board, body, key)
        except RequestFailed as error:
            if error.retry_after is None:
                raise
            wait = min(error.retry_after, LONGEST_WAIT)
        await asyncio.sleep(wait)
    return await client.submit_many(board, body, key)


async def _aside(act: Callable[[], T]) -> T:
    """Run ``act`` in a thread that the end of the process does not wait for: it may be reading a terminal."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(act())
        except BaseException as error:  # noqa: BLE001 - not caught, handed to the one who awaits
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(future)


async def pages(client: Client, board: str) -> AsyncIterator[list[Entry]]:
    """Fetch a board from its first entry to its last."""
    start = 0
    while True:
        page = await client.page(board, start, start + PAGE_ENTRIES)
        yield page
        if len(page) < PAGE_ENTRIES:
            return
        start += PAGE_ENTRIES
