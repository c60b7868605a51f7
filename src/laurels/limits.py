"""Every limit of requests, once: what checks a limit or documents it takes it from here.

Limits of definitions are in :mod:`laurels.definition`. Those that a deployment may set are fields of structs, each
annotated with a :class:`Limit`: the option of ``laurels serve``, its variable, its help and its default follow from it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, get_type_hints

from msgspec import Struct, structs

KIB = 1024
MIB = 1024 * KIB

NAME_BYTES = 256
"""Of the name of a board or of a player, in UTF-8."""
KEY_CHARACTERS = 255
"""Of an idempotency key."""
CREDENTIAL_CHARACTERS = 8 * KIB
"""Of a key or a token that a request shows."""
KEY_HOURS = 24
"""How long an idempotency key is remembered."""
METADATA_BYTES = 1 * KIB
"""Of an entry's metadata, as compact JSON."""
TOKEN_SECONDS, DEFAULT_TOKEN_SECONDS = 86_400, 3600
"""How long a token that the service signs is good, at most and by default."""
ANONYMOUS_TOKEN_SECONDS = 365 * 86_400
"""How long that of an anonymous player is good, who has no other way to its name."""
ANONYMOUS_TOKENS = 10
"""How many of those one address may have in an hour."""
TOKEN_BOARDS = 100
"""How many patterns of boards a token may have."""

PAGE_ENTRIES, DEFAULT_PAGE_ENTRIES = 1000, 20
"""How many entries a page spans, or a read between two scores returns, at most and by default."""
SPAN_ENTRIES, DEFAULT_SPAN_ENTRIES = 500, 5
"""How many neighbours a read around a name returns on either side, at most and by default."""
PERCENTILES_ASKED = 100
"""How many percentiles a summary may have."""
SUMMARY_BUCKETS, DEFAULT_SUMMARY_BUCKETS = 100, 10
"""How many buckets the histogram of a summary has, at most and by default."""
LIVE_VIEWS = 16
"""How many views one connection may have."""
NAMES_ASKED = 100
"""How many names one read may ask for."""
BATCH_ENTRIES = 1000
"""How many entries one batch may have."""
BOARDS_LISTED, DEFAULT_BOARDS_LISTED = 1000, 100
"""How many boards one list has, at most and by default."""
PERIODS_LISTED = 1000
HELD_LISTED, DEFAULT_HELD_LISTED = 1000, 100
"""How many periods one list has, at most and by default."""
HIDDEN_LISTED = 1000
"""How many hidden names one list has, at most and by default."""
KEYS_LISTED = 1000
"""How many keys one list has, at most and by default."""
AUDIT_RECORDS, DEFAULT_AUDIT_RECORDS = 1000, 100
"""How many records of the audit log one answer has, at most and by default."""
LARGEST_NUMBER = 10**18 - 1
"""The largest whole number that a parameter of a query may be: 18 digits, which fit into 64 bits."""

REPEATED_CHARACTERS = 100
"""How much of what a client sent a message repeats."""

BODY_BYTES = 64 * KIB
BATCH_BYTES = 1024 * KIB
"""Of the body of a request, and of that of a batch, unless the server is set otherwise."""
TARGET_BYTES = 8 * KIB
HEAD_BYTES = 16 * KIB
"""Of a request's target, and of its headers, unless the server is set otherwise."""


def format_size(size: int) -> str:
    """Return a number of bytes in the largest unit that it is a whole number of: ``64 KiB``."""
    unit = "MiB" if size % MIB == 0 else "KiB" if size % KIB == 0 else "bytes"
    return f"{size // {'MiB': MIB, 'KiB': KIB, 'bytes': 1}[unit]:,} {unit}"


SECONDS = {"s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60}
"""The units of times and rates."""


@lru_cache  # a guard reads its rate at every submit
def read_rate(text: str) -> tuple[int, int]:
    """Return how many in how many seconds a rate such as ``20/s`` says."""
    count, _, unit = text.partition("/")
    return int(count), SECONDS[unit]


UNITS = {
    "": {"": 1},
    "bytes": {"": 1, "kib": KIB, "mib": MIB, "gib": KIB * MIB},
    "seconds": {"": 1, **SECONDS},
}
"""What may stand behind a limit, by what it is a number of."""


class Limit(Struct, frozen=True):
    """The annotation of a field that is a limit: what it means, what it is a number of, and its bounds."""

    about: str
    unit: Literal["", "bytes", "seconds"] = ""
    least: int = 1
    most: int = LARGEST_NUMBER

    def read(self, text: str) -> int:
        """Return what a text says; raise ValueError, which says what would be right."""
        found = re.fullmatch(r"(\d+) ?([a-z]*)", text.lower())
        if found is None or found[2] not in UNITS[self.unit]:
            unit = ", which may end with a unit" if self.unit else ""
            raise ValueError(f"It is a whole number{unit}, such as {self.format(self.least)}.")
        value = int(found[1]) * UNITS[self.unit][found[2]]
        if not self.least <= value <= self.most:
            bound = f"least {self.format(self.least)}" if value < self.least else f"most {self.format(self.most)}"
            raise ValueError(f"It is at {bound}.")
        return value

    def format(self, value: int) -> str:
        """Return a value as it may be given."""
        if self.unit == "bytes":
            return format_size(value).removesuffix(" bytes").replace(" ", "").replace(",", "")
        return f"{value}{self.unit[:1]}"


def limits_of(kind: type[Struct], prefix: str = "") -> dict[str, tuple[str, Limit, int]]:
    """Return the name of the setting of each field, with the field's name, its limit and its default."""
    hints = get_type_hints(kind, include_extras=True)
    fields = structs.fields(kind)
    return {f"{prefix}{each.name}": (each.name, hints[each.name].__metadata__[0], each.default) for each in fields}
