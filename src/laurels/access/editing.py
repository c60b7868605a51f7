"""Editing an access file: keys are added and removed, and all else stays, to the byte.

A file is one statement after another: a head of a table, or a field. Only those of one key are touched, with the
comment directly above or below them. The new file takes the place of the old one at once, is on disk before it does,
and is only written if it says what it should. Whoever edits holds a lock on the file, so that no edit is lost.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tempfile
import tomllib
from contextlib import contextmanager
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct, structs

from laurels.access.file import AccessFile, Key, check_name, format_name, parse_access, place_of, read_access
from laurels.access.keys import hide_keys
from laurels.access.principal import EVERY_BOARD
from laurels.errors import AccessFileNotEdited, AccessFileUnusable
from laurels.wording import quote

try:
    import fcntl
except ModuleNotFoundError:  # on Windows
    HAS_LOCKS = False
else:
    HAS_LOCKS = True

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from laurels.access.file import Public


def add_key(file: Path, name: str, key: Key) -> None:
    """Add a key to an access file; raise AccessFileUnusable or AccessFileNotEdited, for a name that is taken too."""
    try:
        check_name(name)
    except ValueError as error:
        raise AccessFileNotEdited(file, f"{error}") from None

    def add(text: str, found: AccessFile) -> tuple[str, dict[str, Key]]:
        if name in found.keys:
            raise AccessFileNotEdited(file, f"it has a key {quote(name)} already: choose another name, or revoke that")
        return _with_key(text, name, key), {**found.keys, name: key}

    _edit(file, add)


def remove_key(file: Path, name: str, now: float | None = None) -> bool:
    """Remove a key from an access file, and return whether it was there; raise as :func:`add_key`.

    With the present time, AccessFileNotEdited is raised as well for the last key by which all can be administered.
    """
    if hide_keys(name) != name:
        raise AccessFileNotEdited(
            file, "a key is revoked by its name, which `laurels keys list` shows, and not by its secret"
        )
    removed: list[str] = []

    def remove(text: str, found: AccessFile) -> tuple[str, dict[str, Key]]:
        removed.extend(found.keys.keys() & {name})
        kept = {other: key for other, key in found.keys.items() if other != name}
        if now is not None and removed and _may_administer(found.keys[name], now):
            _check_administered(file, name, [*kept.values(), found.public], now)
        return (_without_key(text, name) if removed else text), kept

    _edit(file, remove)
    return bool(removed)


def _check_administered(file: Path, name: str, others: Iterable[Key | Public], now: float) -> None:
    if not any(_may_administer(other, now) for other in others):
        raise AccessFileNotEdited(
            file,
            f"{name} is the last key that may administer all boards, and nobody could make or revoke one by this "
            "service any more. Make another one first (`laurels keys create --scope admin`), or revoke it where the "
            "file is (`laurels keys revoke`)",
        )


def _may_administer(rights: Key | Public, now: float) -> bool:
    is_over = isinstance(rights, Key) and rights.expires_at <= now
    return "admin" in rights.scopes and EVERY_BOARD in rights.boards and not is_over


def write_new(file: Path, text: str) -> None:
    """Write a file that only its owner reads; raise AccessFileNotEdited if there is one."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise _not_edited(file, error) from error
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as target:
        target.write(text)
        target.flush()
        os.fsync(descriptor)


def _edit(file: Path, edit: Callable[[str, AccessFile], tuple[str, dict[str, Key]]]) -> None:
    """Write the text that ``edit`` returns, unless it does not hold the keys that it returns as well."""
    read_access(file, on_lambda=None)  # which says what is wrong with it, before it is locked
    if not HAS_LOCKS:
        raise AccessFileNotEdited(file, "Windows has no locks of the kind that keep edits apart: edit it by hand")
    try:
        target = file.resolve(strict=True)
        with _locked(target):
            before = target.read_bytes().decode()
            found = parse_access(before, file, on_lambda=None)
            after, keys = edit(before, found)
            if keys != found.keys:
                _check(file, after, AccessFile(found.public, keys, found.players))
                _replace(target, after.encode())
    except OSError as error:
        raise _not_edited(file, error) from error


def _check(file: Path, text: str, expected: AccessFile) -> None:
    try:
        is_right = parse_access(text, file, on_lambda=None) == expected
    except AccessFileUnusable:
        is_right = False
    if not is_right:
        raise AccessFileNotEdited(file, "its keys are not in tables of their own, as in [keys.game]: edit it by hand")


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Hold the lock on a file that others may replace while it is waited for."""
    while True:
        with target.open("r+b") as source:
            fcntl.flock(source, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(source.fileno()), target.stat()):
                yield
                return


def _replace(target: Path, text: bytes) -> None:
    """Put a text in the place of a file's, at once and for good; mode and owner stay."""
    of = target.stat()
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as new:
            os.fchown(descriptor, of.st_uid, of.st_gid)
            shutil.copystat(target, name)
            new.write(text)
            new.flush()
            os.fsync(descriptor)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _not_edited(file: Path, error: OSError) -> AccessFileNotEdited:
    advice = ": it is a mount of its own, so mount the directory that it is in" if error.errno == errno.EBUSY else ""
    return AccessFileNotEdited(file, f"{os.strerror(error.errno or 0)}{advice}")


_ENDS = ("]", "}", '"""', "'''")
"""What ends a statement that has several lines."""


class _Line(NamedTuple):
    """A statement of a file, which may have several lines, a comment or a blank line."""

    text: str
    path: tuple[str, ...] = ()
    """Of what a statement says: the names of its table, and of its field."""
    is_head: bool = False
    is_at_top: bool = False
    """Whether it is a field before any head."""

    @property
    def is_blank(self) -> bool:
        return not self.text.strip()


def _read_lines(text: str) -> Iterator[_Line]:
    head: tuple[str, ...] = ()
    statement = ""
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        is_within, statement = bool(statement), statement + line
        if is_within and not any(end in line for end in _ENDS):
            continue  # or a long list would be parsed as often as it has lines
        try:
            found = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:  # it goes on in the next line
            continue
        if statement.lstrip().startswith("["):
            head = tuple(_names(found))
            yield _Line(statement, head, is_head=True)
        elif found:
            yield _Line(statement, (*head, *_names(found)), is_at_top=not head)
        else:
            yield _Line(statement)
        statement = ""


def _names(found: object) -> Iterator[str]:
    """Yield the names in the path of one statement, as far as it is about one thing."""
    while isinstance(found, dict) and len(found) == 1:
        ((name, found),) = found.items()
        yield name


def _without_key(text: str, name: str) -> str:
    lines = list(_read_lines(text))
    is_gone = [line.path[:2] == ("keys", name) for line in lines]
    for start, stop in _comments(lines):
        is_above = stop < len(lines) and lines[stop].path
        is_gone[start:stop] = [start > 0 and is_gone[stop if is_above else start - 1]] * (stop - start)
    kept: list[_Line] = []
    is_after_gap = False
    for line, gone in zip(lines, is_gone, strict=True):
        if gone or (line.is_blank and is_after_gap and (not kept or kept[-1].is_blank)):
            is_after_gap = True
        else:
            is_after_gap = False
            kept.append(line)
    while is_after_gap and kept and kept[-1].is_blank:
        kept.pop()
    after = "".join(line.text for line in kept)
    return after if tomllib.loads(after) else f"{after}[keys]{_newline(text)}"  # for an empty file is refused


def _comments(lines: list[_Line]) -> Iterator[tuple[int, int]]:
    """Yield where comments begin and end that no blank line parts."""
    start = None
    for index, line in enumerate((*lines, _Line(""))):
        if line.path or line.is_blank:
            if start is not None:
                yield start, index
            start = None
        elif start is None:
            start = index


def _with_key(text: str, name: str, key: Key) -> str:
    lines = list(_read_lines(text))
    place = max((index + 1 for index, line in enumerate(lines) if line.path[:1] == ("keys",)), default=len(lines))
    newline = _newline(text)
    fields = {field: _format(value) for field, value in structs.asdict(key).items() if value != _DEFAULTS.get(field)}
    if place and lines[place - 1].is_at_top:
        new = [f"keys.{format_name(name)} = {{ {', '.join(map(' = '.join, fields.items()))} }}"]
    else:
        for start, stop in _comments(lines):
            if start == place and (stop == len(lines) or lines[stop].is_blank):
                place = stop  # what is commented out below a key is of that key
        new = [place_of(name), *map(" = ".join, fields.items())]
        if place and not lines[place - 1].is_blank:
            new.insert(0, "")
        if place < len(lines) and not lines[place].is_blank:
            new.append("")
    before, after = ("".join(line.text for line in part) for part in (lines[:place], lines[place:]))
    if before and not before.endswith("\n"):
        before += newline
    return before + "".join(f"{line}{newline}" for line in new) + after


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


_DEFAULTS = {field.name: field.default for field in structs.fields(Key)}


def _format(value: object) -> str:
    if isinstance(value, datetime):
        moment = value.astimezone(UTC)
        return moment.strftime("%Y-%m-%d") if moment.time() == time() else moment.isoformat().replace("+00:00", "Z")
    if isinstance(value, Struct):
        fields = {name: one for name, one in structs.asdict(value).items() if one is not None}
        return f"{{ {', '.join(f'{name} = {_format(one)}' for name, one in fields.items())} }}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_format, value))}]"
    return json.dumps(value, ensure_ascii=False)
