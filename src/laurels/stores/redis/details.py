"""Entries as scripts return them, with the details of the submission that counts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from laurels.stores.contract import Entries, Entry, FullStanding, Ranked
from laurels.stores.redis.keys import read_name, read_score
from laurels.stores.redis.submitting import read_standing

if TYPE_CHECKING:
    from collections.abc import Sequence

DIGITS = 15
"""Of a whole score that JSON has as it is."""
_encode = msgspec.json.Encoder().encode
_is_escaped = re.compile(rb'["\\\x00-\x1f]').search


def read_details(details: bytes) -> tuple[int, int, bytes | None]:
    """Return tick, sequence and metadata of an entry."""
    when, _, metadata = details.partition(b" ")
    tick, _, sequence = when.partition(b".")
    return int(tick), int(sequence), metadata or None


def read_entry(entry: list[Any], *, with_metadata: bool) -> Ranked:
    """Return an entry of its name, score, rank and details; one without these was put there by another program."""
    name, score, rank, details = entry
    if not details:
        return Ranked(read_name(name), read_score(score), rank)
    tick, sequence, metadata = read_details(details)
    kept = metadata if with_metadata else None
    return Ranked(read_name(name), read_score(score), rank, sequence, tick, kept, tick=tick)


def read_entries(found: list[Any] | None, *, with_metadata: bool) -> Entries:
    """Return entries as a script returns them, with their places and how many there are if those were asked for."""
    if not found:
        return Entries()
    if isinstance(found[0], list):
        return Entries(read_entry(each, with_metadata=with_metadata) for each in found)
    total, places, rows = found
    if isinstance(places, int):
        places = range(places, places + len(rows))
    return Entries((read_entry(each, with_metadata=with_metadata) for each in rows), places, total)


def read_full(found: list[Any], *, with_metadata: bool) -> FullStanding:
    """Return all there is of a name as a script returns it."""
    total, own, held, *windows = found
    standings = [read_standing(*each) if each else None for each in windows]
    kept = [read_entry(held, with_metadata=False)] if held else []
    if not own:
        return FullStanding(total=total, windows=standings).with_details([], kept)
    score, rank, *places = own
    place, better, details = places or (None, None, None)
    standing = read_standing(score, rank)
    if standing.rank is None:
        place = better = None
    entry = [read_entry([b"", score, 0, details], with_metadata=with_metadata)] if details else []
    return FullStanding(standing, place, better, total, windows=standings).with_details(entry, kept)


def page_of(pairs: Sequence[bytes]) -> bytes:
    """Return a page as JSON, given name, score, name, score...; most are joined without an object for each entry."""
    if not pairs:
        return b"[]"
    names, scores = pairs[::2], pairs[1::2]
    text = b" ".join(names)
    if (
        max(map(len, scores)) > DIGITS
        or not b"".join(scores).isdigit()
        or _is_escaped(text)
        or read_name(text).encode() != text
    ):
        return _encode([Entry(read_name(name), read_score(score)) for name, score in zip(names, scores, strict=True)])
    entries = b'},{"name":"'.join(map(b'","score":'.join, zip(names, scores, strict=True)))
    return b'[{"name":"' + entries + b"}]"
