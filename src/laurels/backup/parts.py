"""What a backup is made of, be it one file or an archive that grows.

    boards.db            the snapshot of the data directory as it was, if there was one
    base.json            what the snapshot is of (:class:`Base`); written when ``boards.db`` is complete
    segments/00000001    the journal from there on, in segments (:class:`Segment`), each following the one before
    end.json             in a backup that is one file: how many segments there are (:class:`End`)

A segment carries rows of the journal as they are, with their CRCs, which are chained: whoever reads them sees whether
one is missing, was changed, or is of another history. The journal begins with the batch that the snapshot ends with.
"""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from laurels.clock import SECOND
from laurels.errors import BackupDamaged
from laurels.limits import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

SNAPSHOT, BASE, SEGMENTS, END = "boards.db", "base.json", "segments/", "end.json"
LAYOUT = 1
"""The number of this layout; a later one is refused."""
SEGMENT_BYTES = 4 * MIB
"""How many bytes of batches a segment has at most, unless one batch alone has more."""
SEGMENT_MAGIC = b"laurels segment 1\n"

BatchRow = tuple[int, int, bytes]
"""LSN, CRC, records: a row of ``batch``."""
MetadataRow = tuple[int, int, int, bytes]
"""Sequence, LSN, CRC, body: a row of ``note``."""
AnswersRow = tuple[int, int, int, bytes, bytes]
"""Tick, agreed time, CRC, pairs, bodies: a row of ``once``."""


class Base(Struct, frozen=True):
    """What a backup begins with. Times are in microseconds since the epoch."""

    layout: int
    version: str
    """The version of Laurels that wrote it."""
    format: int
    """Of the data directory."""
    origin: bytes
    """The id of the data directory."""
    first: bytes
    """The definition that undeclared boards had at first."""
    begun: int
    """When the copy was begun."""
    since: int
    """The LSN up to which the snapshot holds the journal, 0 if there is no snapshot."""
    time: int
    """When the newest write in the snapshot was made: nothing before that can be restored."""
    snapshot_bytes: int
    snapshot_sha256: str
    """Empty if there is no snapshot."""
    follows: str = ""
    """The generation of an archive before it that is of the same history; empty if there is none."""


class Segment(Struct, frozen=True):
    """Rows of the journal that follow one another."""

    after: int
    """The LSN before the first batch."""
    crc_before: int
    """The CRC of that batch, 0 if it is not known."""
    time: int
    """When the newest write in it was made, or before it if it has none."""
    answered: int
    """The tick up to which all first answers are here or in segments before."""
    batches: list[BatchRow]
    metadata: list[MetadataRow]
    answers: list[AnswersRow]
    run_key: bytes = b""
    """The key of runs, if there is one yet."""

    @property
    def last(self) -> int:
        """The LSN of the last batch."""
        return self.batches[-1][0] if self.batches else self.after

    @property
    def crc(self) -> int:
        """The CRC of the last batch."""
        return self.batches[-1][1] if self.batches else self.crc_before


class End(Struct, frozen=True):
    """What a complete backup of one file ends with."""

    segments: int
    last: int
    """The LSN of its last batch."""
    time: int
    """When the newest write in it was made."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Segment).decode
_read_base = msgspec.json.Decoder(Base).decode
_read_end = msgspec.json.Decoder(End).decode
_write = msgspec.json.Encoder().encode
_CRC = b',"crc":'


def encode_json(what: Base | End) -> bytes:
    """Return the bytes of a part that is JSON; its last field is the CRC32 of what is before that."""
    head = _write(what)[:-1]
    return head + _CRC + b"%d}" % zlib.crc32(head)


def _check_json(name: str, encoded: bytes) -> None:
    head, _, crc = encoded.rpartition(_CRC)
    if crc != b"%d}" % zlib.crc32(head):
        raise BackupDamaged(name, "it is not what was written")


def segment_name(number: int) -> str:
    """Return the name of a segment, by its number from 1 on."""
    return f"{SEGMENTS}{number:08}"


def encode_segment(segment: Segment) -> bytes:
    """Return the bytes of a segment."""
    packed = zlib.compress(_encode(segment), 1)
    return SEGMENT_MAGIC + zlib.crc32(packed).to_bytes(4, "big") + packed


def decode_segment(name: str, encoded: bytes) -> Segment:
    """Return a segment of its bytes; raise BackupDamaged if they are not what was written."""
    start = len(SEGMENT_MAGIC) + 4
    packed = encoded[start:]
    if encoded[: len(SEGMENT_MAGIC)] != SEGMENT_MAGIC:
        raise BackupDamaged(name, "it does not begin as a segment does, or a later version of Laurels wrote it")
    if zlib.crc32(packed).to_bytes(4, "big") != encoded[len(SEGMENT_MAGIC) : start]:
        raise BackupDamaged(name, "it is not what was written")
    return _decode(zlib.decompress(packed))


def decode_base(name: str, encoded: bytes) -> Base:
    """Return what a backup says of itself; raise BackupDamaged if it cannot be read here."""
    _check_json(name, encoded)
    try:
        base = _read_base(encoded)
    except msgspec.DecodeError as error:
        raise BackupDamaged(name, f"it does not say what it is of ({error})") from error
    if base.layout > LAYOUT:
        raise BackupDamaged(name, f"Laurels {base.version} wrote it, in a layout that this version does not know")
    return base


def decode_end(name: str, encoded: bytes) -> End:
    """Return how a backup ends; raise BackupDamaged if that cannot be read."""
    _check_json(name, encoded)
    try:
        return _read_end(encoded)
    except msgspec.DecodeError as error:
        raise BackupDamaged(name, f"how it ends cannot be read ({error})") from error


def check_follows(name: str, segment: Segment, before: Segment | None, since: int) -> None:
    """Raise BackupDamaged if a segment does not follow the one before it, or the snapshot."""
    after, crc = (before.last, before.crc) if before is not None else (max(0, since - 1), None)
    if segment.after != after or (crc is not None and segment.crc_before != crc):
        raise BackupDamaged(name, f"it does not follow what is before it, which ends with batch {after}")
    expected: Sequence[int] = range(after + 1, after + 1 + len(segment.batches))
    if [lsn for lsn, _, _ in segment.batches] != list(expected):
        raise BackupDamaged(name, "batches are missing in it")


def format_time(time: int) -> str:
    """Return a time as people and ``--until`` read it, in UTC, to the second below."""
    return datetime.fromtimestamp(time // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
