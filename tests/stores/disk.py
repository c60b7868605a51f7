"""A data directory, read by its documented format alone, and changed without its owner."""

from __future__ import annotations

import sqlite3
import struct
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from fractions import Fraction
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Disk = dict[str, dict[str, float]]
Feeds = Sequence[tuple[str, str, str]]
SET_METADATA, HIDE, SHOW, RELEASE = 9, 10, 11, 12
DATED = 1 << 63
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Boards:
    """What the records of a journal come to, by the documentation of what each means."""

    def __init__(self) -> None:
        self.entries: Disk = {}
        self.definitions: dict[str, dict[str, Any]] = {}
        self.renewed: dict[str, int] = {}
        self.tick = self.rules = 0
        self.offsets = [(0, 0)]
        self.is_settled = True
        self.hidden: set[tuple[str, str]] = set()

    def submit(self, board: str, feeds: Feeds, name: str, score: float) -> None:
        """Submit to a board and its periods, or to none of them if one cannot have the sum."""
        if self._is_held(board, score):
            held = self._apply_operator(board, f"{board}\n", name, score)
            self.entries.setdefault(f"{board}\n", {})[name] = held or 0.0
            return
        self._count(board, feeds, name, score)

    def _is_held(self, board: str, score: float) -> bool:
        definition = self.definitions.get(board, {})
        most = (definition.get("guard") or {}).get("hold_above")
        return most is not None and (score < most if definition["order"] == "ascending" else score > most)

    def _release(self, board: str, name: str, _: int, feeds: Feeds = (), *__: object) -> None:
        self._count(board, feeds, name, self.entries[f"{board}\n"].pop(name))

    def _count(self, board: str, feeds: Feeds, name: str, score: float) -> None:
        scores = {}
        for key in (board, *(f"{board}\n{window}\n{period}" for window, period, _ in feeds)):
            scores[key] = self._apply_operator(board, key, name, score)
        bounds = self.definitions.get(board, {}).get("scores", {})
        if None in scores.values() or not self._is_within(bounds, scores[board]):
            return
        for window, period, oldest in feeds if self.is_settled else ():
            if f"{board}\n{window}\n{period}" not in self.entries:
                self._prune(f"{board}\n{window}\n", oldest)
        for key, total in scores.items():
            self.entries.setdefault(key, {})[name] = total or 0.0
        self.renewed[board] = self.tick

    def _prune(self, window: str, oldest: str) -> None:
        expired = [key for key in self.entries if key.startswith(window) and key.removeprefix(window) < oldest]
        for key in expired:
            del self.entries[key]

    def _apply_operator(self, board: str, key: str, name: str, score: float) -> float | None:
        definition, had = self.definitions.get(board, {}), self.entries.get(key, {}).get(name)
        if had is None or definition.get("operator", "latest") == "latest":
            return score
        if definition["operator"] == "best":
            return min(had, score) if definition["order"] == "ascending" else max(had, score)
        total, are_whole = had + score, had.is_integer() and score.is_integer()
        lost = abs(Fraction(total) - Fraction(had) - Fraction(score)) if isfinite(total) else inf
        allowed = 0 if are_whole else inf if self.rules == 0 else abs(Fraction(score)) / 1000
        return total if lost <= allowed and isfinite(total) else None

    @staticmethod
    def _is_within(bounds: dict[str, Any], score: float | None) -> bool:
        low, high = bounds.get("min"), bounds.get("max")
        if score is None or (bounds.get("integer") and not score.is_integer()):
            return False
        return (low is None or low <= score) and (high is None or score <= high)

    def time_of(self, tick: int) -> int:
        """Return the wall time of a tick, as it is known after the last change of the offset."""
        first, offset = self.offsets[-1]
        shown = next(tick - before for since, before in reversed(self.offsets) if since <= tick)
        latest = max(shown, tick - offset)
        return latest if tick >= first or latest <= self.tick - offset + 10**6 else first - offset

    def advance(self, tick: int, rules: int = 0, *clock: int) -> None:
        """Delete the boards whose time to live is over at that tick, if the clock was settled."""
        offset, is_settled = clock or (0, True)
        self.tick, self.rules, self.is_settled = tick, rules, bool(is_settled)
        if self.offsets[-1][1] != offset:
            self.offsets.append((tick, offset))
        for board, renewed in list(self.renewed.items()) if is_settled else ():
            ttl = self.definitions.get(board, {}).get("ttl")
            if ttl and self.time_of(renewed) + int(ttl[:-1]) * UNITS[ttl[-1]] * 1_000_000 <= tick - offset:
                self.entries = {key: has for key, has in self.entries.items() if key.partition("\n")[0] != board}
                del self.renewed[board]

    def apply(self, record: list[Any]) -> None:
        """Apply one record."""
        tag, *fields = record
        if tag == SET_METADATA:
            return
        if tag in {HIDE, SHOW}:
            (self.hidden.add if tag == HIDE else self.hidden.discard)(tuple(fields))
            return
        if tag == RELEASE:
            self._release(*fields)
            return
        (self._submit, self._submit_many, self._remove, self._drop, self.advance, self._define, self._undefine)[
            tag % 7
        ](*fields)
        self.entries = {key: entries for key, entries in self.entries.items() if entries}

    def _submit(self, board: str, name: str, score: float, feeds: Feeds = (), *_: object) -> None:
        self.submit(board, feeds, name, score)

    def _submit_many(self, board: str, names: list[str], scores: list[float], feeds: Feeds = (), *_: object) -> None:
        for name, score in zip(names, scores, strict=True):
            self.submit(board, feeds, name, score)

    def _keys(self, key: str) -> list[str]:
        return [each for each in self.entries if each == key or each.startswith(f"{key}\n")]

    def _remove(self, key: str, name: str) -> None:
        for each in self._keys(key):
            self.entries[each].pop(name, None)

    def _drop(self, key: str) -> None:
        for each in self._keys(key):
            del self.entries[each]

    def _define(self, board: str, definition: bytes) -> None:
        self.definitions[board] = msgspec.json.decode(definition)

    def _undefine(self, board: str) -> None:
        self.definitions.pop(board, None)


def unpack(packed: bytes) -> Iterator[tuple[str, float]]:
    """Return the entries of a chunk of the snapshot."""
    at = 0
    while at < len(packed):
        score, sequence = struct.unpack_from("<dQ", packed, at)
        at += 24 if sequence & DATED else 16
        length = packed[at]
        at += 1 + length + 1
        yield packed[at - length - 1 : at].decode(), score


def read(directory: Path, *, hidden: bool = False) -> Disk:
    """Return the entries, by key, that the two files hold between them: those of hidden names, or all others."""
    boards = read_boards(directory)
    found: Disk = {}
    for key, entries in boards.entries.items():
        for name, score in () if key.endswith("\n") else entries.items():
            if ((key.partition("\n")[0], name) in boards.hidden) == hidden:
                found.setdefault(key, {})[name] = score
    return found


def read_boards(directory: Path) -> Boards:
    """Return what the two files hold between them."""
    boards = Boards()
    if (directory / "boards.db").exists():
        with closing(sqlite3.connect(directory / "boards.db")) as snapshot:
            for board, packed in snapshot.execute("SELECT board, packed FROM chunk"):
                boards.entries.setdefault(board.removeprefix("\n"), {}).update(unpack(packed))
            for name, definition in snapshot.execute("SELECT name, definition FROM board WHERE definition NOT NULL"):
                boards.definitions[name] = msgspec.json.decode(definition)
            if snapshot.execute("SELECT format FROM seal").fetchone()[0] > 4:
                boards.hidden.update(snapshot.execute("SELECT board, name FROM hidden"))
    after = compacted_upto(directory) or 0
    with closing(sqlite3.connect(f"file:{directory / 'journal.db'}?mode=ro", uri=True)) as journal:
        for (records,) in journal.execute("SELECT records FROM batch WHERE lsn > ? ORDER BY lsn", (after,)):
            for record in msgspec.msgpack.decode(records):
                boards.apply(record)
    return boards


def compacted_upto(directory: Path) -> int | None:
    """Return the LSN up to which the snapshot holds the journal, None if there is no snapshot."""
    if not (directory / "boards.db").exists():
        return None
    with closing(sqlite3.connect(directory / "boards.db")) as snapshot:
        (found,) = snapshot.execute("SELECT folded FROM seal").fetchone()
    return int(found)


def last(directory: Path) -> int:
    """Return the LSN of the journal's newest batch."""
    with closing(sqlite3.connect(f"file:{directory / 'journal.db'}?mode=ro", uri=True)) as journal:
        (found,) = journal.execute("SELECT max(lsn) FROM batch").fetchone()
    return int(found or 0)


def run_compaction(directory: Path, lock: int) -> subprocess.CompletedProcess[str]:
    """Run the process that compacts all of a journal, as the holder of a lock."""
    command = [sys.executable, "-m", "laurels.stores.embedded.compact", str(directory), str(last(directory)), str(lock)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=[lock]
    ) as process:
        assert process.stderr is not None
        return subprocess.CompletedProcess(command, process.wait(30), stderr=process.stderr.read())


def flip(file: Path, at: int) -> bytes:
    """Change one byte of a file, and return what it holds then."""
    data = bytearray(file.read_bytes())
    data[at] ^= 0x20
    file.write_bytes(data)
    return bytes(data)
