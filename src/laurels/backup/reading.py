"""Reads the parts of a backup in their order, and checks each: what comes out is whole, or BackupDamaged is raised."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from laurels.backup.parts import (
    BASE,
    END,
    SEGMENTS,
    SNAPSHOT,
    check_follows,
    decode_base,
    decode_end,
    decode_segment,
    segment_name,
)
from laurels.backup.tar import read_tar
from laurels.errors import BackupDamaged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from laurels.backup.parts import Base, End, Segment


class Receiver(Protocol):
    """What takes the parts of a backup."""

    def take_snapshot(self, chunk: bytes) -> None:
        """Take the next bytes of the snapshot."""

    def take_base(self, base: Base) -> None:
        """Take what the snapshot is of; all of it was taken before."""

    def take_segment(self, segment: Segment) -> bool:
        """Take a segment; return whether another is wanted."""


class Nobody:
    """Takes nothing, for who only wants to know that a backup is whole."""

    def take_snapshot(self, chunk: bytes) -> None:
        """Let it pass."""

    def take_base(self, base: Base) -> None:
        """Let it pass."""

    def take_segment(self, segment: Segment) -> bool:  # noqa: ARG002
        """Let it pass."""
        return True


class Reading:
    """The parts of one backup as they are read. ``base``, ``newest`` segment and ``end`` are those read so far."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._sha256 = sha256()
        self._bytes = 0
        self._count = 0
        self.base: Base | None = None
        self.newest: Segment | None = None
        self.end: End | None = None

    def read(self, parts: Iterable[tuple[str, Iterator[bytes]]]) -> Iterator[int]:
        """Read the parts, and yield after each piece how many bytes that was; raise BackupDamaged."""
        for name, chunks in parts:
            if name == SNAPSHOT and self.base is None and not self._bytes:
                yield from self._read_snapshot(chunks)
                continue
            encoded = b"".join(chunks)
            yield len(encoded)
            if name == BASE and self.base is None:
                self._read_base(encoded)
            elif name.startswith(SEGMENTS) and self.base is not None:
                if not self._read_segment(name, encoded, self.base):
                    return
            elif name == END and self.base is not None:
                self._read_end(encoded)
            else:
                raise BackupDamaged(name, "no backup has that in this place")

    def _read_snapshot(self, chunks: Iterator[bytes]) -> Iterator[int]:
        for chunk in chunks:
            self._sha256.update(chunk)
            self._bytes += len(chunk)
            self._receiver.take_snapshot(chunk)
            yield len(chunk)

    def _read_base(self, encoded: bytes) -> None:
        base = decode_base(BASE, encoded)
        found = self._sha256.hexdigest() if self._bytes else ""
        if (base.snapshot_bytes, base.snapshot_sha256) != (self._bytes, found):
            raise BackupDamaged(SNAPSHOT, "it is not what was written")
        self._receiver.take_base(base)
        self.base = base

    def _read_segment(self, name: str, encoded: bytes, base: Base) -> bool:
        self._count += 1
        if name != segment_name(self._count):
            raise BackupDamaged(segment_name(self._count), "it is missing")
        segment = decode_segment(name, encoded)
        check_follows(name, segment, self.newest, base.since)
        wants_more = self._receiver.take_segment(segment)
        self.newest = segment
        return wants_more

    def _read_end(self, encoded: bytes) -> None:
        self.end = decode_end(END, encoded)
        last = self.newest.last if self.newest else 0
        if (self.end.segments, self.end.last) != (self._count, last):
            raise BackupDamaged(END, "segments are missing before it")


def check_passing(chunks: Iterable[bytes], reading: Reading | None = None) -> Iterator[bytes]:
    """Yield the chunks of a backup of one file as they are; raise BackupDamaged once they are not, or do not end.

    Who passes a ``reading`` sees there what was in it.
    """
    passed: list[bytes] = []

    def tee() -> Iterator[bytes]:
        for chunk in chunks:
            passed.append(chunk)
            yield chunk

    reading = reading or Reading(Nobody())
    for _ in reading.read(read_tar(tee())):
        yield from passed
        passed.clear()
    yield from passed
    if reading.end is None:
        raise BackupDamaged(END, "it is missing: the backup is not whole")
