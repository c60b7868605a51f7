"""A backup of one file, read from a store that runs."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

from laurels.backup.parts import BASE, END, SNAPSHOT, End, encode_json, encode_segment, segment_name
from laurels.backup.tar import END_OF_ARCHIVE, tar_member
from laurels.clock import SECOND
from laurels.stores.embedded.copying import JournalReader, SnapshotCopy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterator

    from laurels.stores.embedded.copying import Source


PIECE_BYTES = 256 * 2**10
"""How much goes to the loop at once."""


def stream_backup(source: Source) -> Generator[bytes]:
    """Yield a backup of the directory as of one moment, after the snapshot was read and before the end.

    What is in the journal is kept there until it was read, unless the journal grows by too much meanwhile: then
    BackupAbandoned is raised. Raises DataDamaged too.
    """
    with source.holding() as hold, closing(SnapshotCopy(source, hold)) as copy:
        seconds = copy.base.begun // SECOND
        if copy.size:
            yield from tar_member(SNAPSHOT, copy.size, copy.chunks(), seconds)
        yield from _whole(BASE, encode_json(copy.base), seconds)
        last, time, count = 0, copy.base.time, 0
        with closing(JournalReader.from_snapshot(source, copy)) as reader:
            for count, segment in enumerate(reader.segments(), 1):
                yield from _whole(segment_name(count), encode_segment(segment), seconds)
                last, time = segment.last, segment.time
                hold.move(last)
        yield from _whole(END, encode_json(End(count, last, time)), seconds)
        yield END_OF_ARCHIVE


def _whole(name: str, content: bytes, seconds: int) -> Iterator[bytes]:
    return tar_member(name, len(content), (content,), seconds)


async def read_ahead(stream: Generator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield what a blocking stream has, read in a thread of its own; if the caller leaves early, it is closed there."""
    loop = asyncio.get_running_loop()
    thread = ThreadPoolExecutor(1, "laurels-backup")
    try:
        while piece := await loop.run_in_executor(thread, _take, stream):
            yield piece
    finally:
        thread.submit(stream.close)  # behind what it may still read
        thread.shutdown(wait=False)


def _take(stream: Iterator[bytes]) -> bytes:
    taken = bytearray()
    for chunk in stream:
        taken += chunk
        if len(taken) >= PIECE_BYTES:
            break
    return bytes(taken)
