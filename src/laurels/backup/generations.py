"""An archive: copies of a data directory at a place, each followed by all that was written after it.

    20261127T113000.031337Z-9f3a/boards.db           a generation: the parts of a backup that goes on (:mod:`.parts`)
    20261127T113000.031337Z-9f3a/base.json           from when this is there the generation counts
    20261127T113000.031337Z-9f3a/segments/00000001
    20261128T113000.161803Z-02c7/...                 the next; from then on nothing more is added to the one before

To restore a moment takes the generation that was being written then. A generation that follows another begins, as a
rule, before the other ends: what the snapshot holds is in the segments of the other too. If it begins later, batches
between the two were never archived: that is a gap.
"""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from laurels.backup.parts import (
    BASE,
    SEGMENTS,
    SNAPSHOT,
    Base,
    Segment,
    decode_base,
    decode_segment,
    format_time,
)
from laurels.clock import SECOND
from laurels.errors import BackupDamaged, NotArchived, NothingToRestore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from laurels.backup.places import Place

_TIME = "%Y%m%dT%H%M%S.%fZ"
_NAME = re.compile(r"(\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{4})/(.+)")


class Generation(NamedTuple):
    """A copy in an archive, and what it is of."""

    name: str
    base: Base


class Span(NamedTuple):
    """From when to when an archive can be restored to any second, in microseconds since the epoch."""

    first: int
    last: int
    generations: int


def new_name(begun: int, newest: str = "") -> str:
    """Return a name for a generation that sorts after the newest one there is, whatever the clock was then."""
    time = datetime.fromtimestamp(begun / SECOND, UTC)
    if newest:
        of_newest = datetime.strptime(newest.partition("-")[0], _TIME).replace(tzinfo=UTC)
        time = max(time, of_newest + timedelta(microseconds=1))
    return f"{time:{_TIME}}-{secrets.token_hex(2)}"


def is_archive(place: Place) -> bool:
    """Return whether there is an archive at a place."""
    return any(_NAME.fullmatch(item.name) for item in place.names())


def list_generations(place: Place, *, skip_damaged: bool = False) -> list[Generation]:
    """Return the generations at a place, the oldest first; raise BackupDamaged if one does not say what it is of."""
    found: list[Generation] = []
    for item in place.names():
        named = _NAME.fullmatch(item.name)
        if named is None or named[2] != BASE:
            continue
        try:
            found.append(Generation(named[1], decode_base(item.name, b"".join(place.read(item.name)))))
        except BackupDamaged as damage:
            if not skip_damaged:
                way_out = f"Move {named[1]} away to restore what the others at {place} have"
                raise BackupDamaged(item.name, f"{damage.problem}. {way_out}") from damage
    return found


def list_parts(place: Place) -> dict[str, list[str]]:
    """Return the names of all parts by the name of their generation, also of such as do not count."""
    found: dict[str, list[str]] = {}
    for item in place.names():
        if match := _NAME.fullmatch(item.name):
            found.setdefault(match[1], []).append(item.name)
    return found


def read_parts(place: Place, name: str) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield the parts of a generation in their order, each with its bytes."""
    names = [item.name for item in place.names(f"{name}/")]
    for part in (SNAPSHOT, BASE):
        if f"{name}/{part}" in names:
            yield part, place.read(f"{name}/{part}")
    for each in names:
        part = each.removeprefix(f"{name}/")
        if part.startswith(SEGMENTS):
            yield part, place.read(each)


def newest_segment(place: Place, name: str) -> tuple[int, Segment] | None:
    """Return the newest segment of a generation and its number; None if it has none; raise BackupDamaged."""
    names = [item.name for item in place.names(f"{name}/{SEGMENTS}")]
    if not names:
        return None
    return int(names[-1].rpartition("/")[2]), decode_segment(names[-1], b"".join(place.read(names[-1])))


def choose(place: Place, until: int | None) -> Generation:
    """Return the generation of which a time can be restored; the newest one if no time is wanted.

    Raises NothingToRestore, NotArchived, BackupDamaged, and what the place raises.
    """
    found = list_generations(place)
    if not found:
        raise NothingToRestore(f"There is no backup at {place}.")
    if until is None:
        return found[-1]
    chosen = max((at for at, each in enumerate(found) if each.base.begun <= until), default=None)
    if chosen is None:  # before the first was begun its snapshot may still be of that time
        if found[0].base.time > until:
            raise NothingToRestore(
                f"The archive at {place} begins with {format_time(found[0].base.time)}: name a time from then on."
            )
        chosen = 0
    return _follow(place, found[chosen:], until)


def _follow(place: Place, generations: list[Generation], until: int) -> Generation:
    """Return the generation that has a time: the first, or one that follows it and was begun later.

    That is so if the first ends before that time, because its service was killed, or could not reach the place. Raises
    NotArchived if none has it.
    """
    chosen = generations[0]
    for after in generations[1:]:
        if after.base.follows != chosen.name:
            continue
        if until < after.base.time:
            _check_reaches(place, chosen, after, until)
            break
        chosen = after
    return chosen


def _check_reaches(place: Place, chosen: Generation, after: Generation, until: int) -> None:
    """Raise NotArchived if a time is in the gap between a generation and the one that follows it."""
    try:
        last, time = _end_of(place, chosen)
    except BackupDamaged:  # who restores it is told up to when it is good
        return
    if until > time and after.base.since > last:
        raise NotArchived(
            f"There is a gap in the archive at {place}: what was written after {format_time(time)} and up to "
            f"{format_time(after.base.time)} was not archived. Name a time up to the one or from the other on."
        )


def find_spans(place: Place) -> list[Span]:
    """Return what can be restored, the oldest first; between two spans there is a gap."""
    spans: list[Span] = []
    before = 0
    for generation in list_generations(place):
        last, time = _end_of(place, generation)
        if spans and generation.base.since <= before and generation.base.follows:
            spans[-1] = Span(spans[-1].first, max(time, spans[-1].last), spans[-1].generations + 1)
        else:
            spans.append(Span(generation.base.time, time, 1))
        before = last
    return spans


def _end_of(place: Place, generation: Generation) -> tuple[int, int]:
    """Return the LSN and the time of the newest batch of a generation."""
    found = newest_segment(place, generation.name)
    if found is None:
        return generation.base.since, generation.base.time
    return found[1].last, found[1].time
