"""A record of the audit log: one line of JSON, with nothing in it that a terminal would obey."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from laurels.visible import escape_json


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"sender": "from"}):
    """What was done, or tried: when, by whom, from where, to what, and what came of it."""

    time: str
    """In UTC, as in RFC 3339."""
    who: str
    """``anybody`` of a service without an access file, ``public``, or ``key:NAME`` or ``player:NAME``."""
    sender: str
    """The address that it came from, as trusted proxies say; empty if the adapter does not know it."""
    operation: str
    """Its name, as in the OpenAPI document (``operationId``)."""
    status: int
    """That of the answer; 499 if the client was cut off before."""
    board: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    key: str | UnsetType = UNSET
    window: str | UnsetType = UNSET
    period: str | UnsetType = UNSET
    before: Raw | UnsetType = UNSET
    """What the operation is about, as it was just before; null if there was none."""
    after: Raw | UnsetType = UNSET
    """The same just after; it is left out if the operation was refused."""
    unrecorded: int | UnsetType = UNSET
    """How many refused attempts before this one have no record, because there were too many."""


class Wanted(Struct, frozen=True):
    """Which records are asked for."""

    board: str | None = None
    name: str | None = None
    who: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def fits(self, record: Record) -> bool:
        """Return whether a record is one of them."""
        asked = ((self.board, record.board), (self.name, record.name), (self.who, record.who))
        is_late = self.until is not None and datetime.fromisoformat(record.time) >= self.until
        return not is_late and not self.is_over(record) and all(value in {None, found} for value, found in asked)

    def is_over(self, record: Record) -> bool:
        """Return whether a record is older than all of them."""
        return self.since is not None and datetime.fromisoformat(record.time) < self.since


def format_time(seconds: float) -> str:
    """Return a time since the epoch as records have it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def format_line(record: Record) -> str:
    """Return a record as a line, without its end."""
    return escape_json(msgspec.json.encode(record).decode())


_decode = msgspec.json.Decoder(Record).decode


def read_line(line: bytes | str) -> Record | None:
    """Return the record of a line; None for what is none, such as a line that a full disk cut off."""
    try:
        record = _decode(line)
        is_instant = datetime.fromisoformat(record.time).tzinfo is not None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return None
    return record if is_instant else None
