"""Definitions that are kept in Redis, and what this process knows of them.

A board's definition is under its own tag, and so is the *state* (head of ``common.lua``), of which every script says
what it takes it to be. So no process has to load anything to be right: who knows an old definition, or none, is told
the new one, and does the act again. Whoever defines a board is obeyed by all others from then on.

**Listing.** A board is put on a list before and after its definition changes. So none is missing there, and who reads
the list from where he read it last learns of every change.

**Default.** What has no definition of its own has the default one of the process that made it. If that is not the plain
one, it is written under the board's tag with its first submit. So another default of another process changes nothing
of what is there, until :meth:`Definitions.declare` brings it: then every board that has none of its own is looked at.

**Files.** The file of the process that declared last counts for the boards in it, also where another process has
another file: no process declares anew what it is told.

**Loss.** A server that keeps nothing on its disk, or was flushed, knows no definition any more, as if a board had been
undefined; but that was never announced. So who has declared the board does so again, before anything is submitted to
it by the default definition. Definitions that came over HTTP are gone like the entries.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, structs

from laurels.clock import SECOND
from laurels.definition import DEFAULT_DEFINITION, PARTITIONS, Contradiction, Definition, Stored, contradiction
from laurels.errors import DefinitionChanged, DefinitionConflict, StoreUnavailable
from laurels.stores.redis.calls import Script
from laurels.stores.redis.keys import (
    COMMON,
    DEFAULT,
    DEFINED,
    ONLY,
    is_partition,
    key_of,
    owner_of,
    partition_name,
    read_score,
)
from laurels.stores.redis.submitting import guard_words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence

    from laurels.stores.redis.calls import Word

GONE = "gone"
"""The state of a partition that its board has no more."""
DEFINED_AT_ONCE = 500
"""How many boards are looked at at once."""
MOST_COUNTED = 100_000
"""Of how many entries at most the scores are looked at in one act, as :func:`Definitions.define` must for some."""
UNDECLARED_KNOWN = 100_000
"""Of how many boards without a definition it is remembered that there is something to know."""
PARTITIONS_KNOWN = 100_000
"""Of how many partitions it is remembered what they are; far more than one board has."""
_DEFINE = Script(COMMON, "define")
_ANNOUNCE, _ANNOUNCED = Script("announce", closed=True), Script("announced", closed=True)
_log = logging.getLogger("laurels.stores")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Definition).decode


class Known(Struct, frozen=True):
    """What is known of a board: its state as Redis has it, and what follows from that."""

    state: str
    definition: Definition
    rules: str
    is_own: bool = False
    is_plain: bool = False
    """Whether the short scripts do."""
    is_short: bool = False
    """Whether the script for single submissions does (``enter.lua``)."""
    guard: Sequence[Word] = ()
    """The words of what the guard refuses and holds."""
    adopts: bool = False
    """Whether the default definition must be written down before a submit."""
    source: int = 0
    """How many partitions its entries are being moved from, 0 if they are not."""
    earlier: tuple[int, ...] = ()
    """How many partitions it had before, the last first: idempotency keys may be there."""
    is_descending: bool = True

    def is_in(self, state: bytes | None) -> bool:
        """Return whether a board is in this state, watched or not (``common.lua``)."""
        return (state or b"").partition(b"!")[0] == self.state.encode()

    @property
    def is_gone(self) -> bool:
        """Whether it is a partition that its board has no more: what is there can only go."""
        return _is_gone(self.state)

    def has_layout_of(self, other: Known) -> bool:
        """Return whether entries, and what is kept of submits before, are where they are for another."""
        return (self.source, self.earlier) == (other.source, other.earlier)

    def is_same_move(self, other: Known) -> bool:
        """Return whether entries are being moved from and to as many partitions as for another."""
        return bool(self.source) and (self.source, self.definition.partitions) == (
            other.source,
            other.definition.partitions,
        )


def rules_of(definition: Definition) -> str:
    """Return the rules of a board as scripts read them."""
    of, seconds = definition, definition.ttl_seconds
    end = "" if seconds is None else str(seconds * SECOND)
    return of.order[0] + of.operator[0] + of.ties[0] + of.ranking[0] + ("g" if of.guard else "-") + end


def _known(state: str, definition: Definition, *, adopts: bool = False) -> Known:
    of = definition
    has_more = of.windows or of.guard or of.ttl or of.ties != "name" or of.ranking != "ordinal"
    moving, *before = state.partition("@")[2].split("&")
    source = int(moving or 0)
    is_short = not (
        of.operator == "increment" or "+" in state or adopts or source or of.partitions > 1 or _is_gone(state)
    )
    return Known(
        state,
        of,
        rules_of(of),
        is_own=state[:1].isalnum(),
        is_plain=is_short and not has_more,
        is_short=is_short and not (of.guard and of.guard.runs),
        guard=guard_words(of.guard),
        adopts=adopts,
        source=source,
        earlier=tuple(map(int, before)),
        is_descending=of.order == "descending",
    )


def _is_gone(state: str) -> bool:
    return state.startswith(GONE)


def _layout(source: int, earlier: Sequence[int]) -> str:
    """Return what a state says of where entries come from, and where they were before."""
    return f"@{source or ''}" + "".join(f"&{each}" for each in earlier)


def digest_of(definition: Definition) -> str:
    """Return what a state says of a definition."""
    return blake2b(_encode(definition), digest_size=8).hexdigest()


_PLAIN = _known("", DEFAULT_DEFINITION)
UNKNOWN = "?"
"""No state of anything."""
_NO_PARTITION = _known(UNKNOWN, Definition(partitions=PARTITIONS))
"""A partition that is none, or of which nothing is known: no partition has partitions, or that state. So its board is
asked before anything is done there."""


@lru_cache(100)
def _read_definition(name: str, body: bytes) -> Definition:
    try:
        return _decode(body)
    except msgspec.DecodeError as error:
        raise StoreUnavailable(f"A later version of Laurels has defined the board {name!r}: update this one") from error


class Definitions:
    """The definitions of all boards, as far as they are known here.

    ``changed`` is called with the name of a board, and ``lost`` if Redis has lost something.
    """

    def __init__(
        self, call: Callable[..., Awaitable[Any]], ask: Callable[..., Awaitable[Any]], now: Callable[[], int]
    ) -> None:
        self._call = call
        self._ask = ask
        self._now = now
        self._boards: dict[str, Known] = {}
        self._partitions: dict[str, Known] = {}
        self._default = _PLAIN
        self._own: dict[str, Definition] = {}
        self._declared: dict[str, Definition] = {}
        self._undeclared: set[str] = set()
        self._read_to = 0
        self._begun: set[str] = set()
        self._acting: dict[tuple[str, ...], asyncio.Future[None]] = {}
        self.changed: Callable[[str], object] = lambda _: None
        self.lost: Callable[[], object] = lambda: None

    @property
    def own(self) -> Mapping[str, Definition]:
        """The definitions that boards have of their own, as they change."""
        return MappingProxyType(self._own)

    def of(self, name: str) -> Known:
        """Return what is known of a board, or of a partition."""
        if is_partition(name):
            return self._partitions.get(name, _NO_PARTITION)
        return self._boards.get(name, self._default)

    def default_of(self, name: str) -> Definition:
        """Return the definition that a board has if it has none of its own."""
        known = self.of(name)
        return self._default.definition if known.is_own else known.definition

    # What is learnt

    def note(self, name: str, state: bytes) -> None:
        """Know what the state of a board has become by an act that left its definition as it was."""
        known = self.of(name)
        self._set(name, _known(state.decode(), known.definition, adopts=known.adopts))

    def take(self, name: str, state: bytes, body: bytes) -> Known:
        """Know what Redis says of a board."""
        text = state.decode()
        is_whole = not is_partition(name)
        if not (is_whole or body):
            return self._set(name, _NO_PARTITION)
        definition = _read_definition(name, body) if body else DEFAULT_DEFINITION
        adopts = is_whole and not body and self._default.state != "" and not self._is_refused(name)
        return self._set(name, _known(text, definition, adopts=adopts))

    def _is_refused(self, name: str) -> bool:
        """Return whether a board cannot have this process's default."""
        known = self._boards.get(name)
        return known is not None and not known.is_own and known.state[:1] != "~" and not known.adopts

    def _set(self, name: str, known: Known) -> Known:
        if is_partition(name):
            if len(self._partitions) >= PARTITIONS_KNOWN:
                self._partitions.clear()
            self._partitions[name] = known
            return known
        before = self.of(name)
        self._boards[name] = known
        if known.is_own:
            self._own[name] = known.definition
            if name in self._declared:
                self._declared[name] = known.definition
            self._undeclared.discard(name)
        else:
            self._own.pop(name, None)
            self._undeclared.add(name)
            if known == self._default or len(self._undeclared) > UNDECLARED_KNOWN:
                self._forget([name] if known == self._default else list(self._undeclared))
        if (before.definition, before.is_own) != (known.definition, known.is_own):
            _log.debug("Learned of another definition of the board %r", name)
            self.changed(name)
        return known

    def _forget(self, undeclared: list[str]) -> None:
        """Forget what is known of boards that have no definition of their own: who needs it is told again."""
        for name in undeclared:
            self._boards.pop(name, None)
            self._undeclared.discard(name)

    async def load(self) -> None:
        """Learn of all that was defined since this was last called."""
        found = await self._call(_ANNOUNCED, (DEFINED,), self._read_to)
        names = [name.decode() for name in found[::2]]
        for start in range(0, len(names), DEFINED_AT_ONCE):
            await asyncio.gather(*map(self.learn, names[start : start + DEFINED_AT_ONCE]))
        if names:
            self._read_to = int(float(found[-1]))

    async def learn(self, name: str) -> Known:
        """Learn what Redis has of a board; see that it has what this process has declared."""
        await self._look(name)
        return await self.restore(name)

    async def _look(self, name: str) -> Known:
        key = key_of(name)
        state, body = await self._ask(key, "MGET", f"{key}:state", f"{key}:definition")
        state = (state or b"").partition(b"!")[0]  # which says that somebody watches
        if not state and self._default.state[:1] == "~" and name not in self._boards:
            return self._default  # nothing is there yet, or another process's plain default: the first submit shows
        return self.take(name, state, body or b"")

    async def restore(self, name: str) -> Known:
        """Define a board again that this process has declared, if Redis has lost that; return what is known then."""
        declared, known = self._declared.get(name), self.of(name)
        if declared is None or known.is_own:
            return known
        number = await self._ask(DEFINED, "ZSCORE", DEFINED, name)
        if number is not None and not float(number).is_integer():
            return known
        self.lost()
        _log.warning("Redis has lost the definition of the board %r, which is declared again", name)
        with suppress(DefinitionConflict):  # somebody was faster to submit
            await self.define(name, declared)
        return self.of(name)

    def forget_begun(self) -> None:
        """Have no board be taken for begun: what was written may be lost."""
        self._begun.clear()

    # What is changed

    async def define(self, name: str, definition: Definition | None, *, way: str = "") -> bool:
        """Define a board, or with None no longer; return whether it was.

        Raises DefinitionConflict, which says the ``way`` out.
        """
        words = (name, "gone") if definition is None else (name,)
        await self._call(_ANNOUNCE, (DEFINED,), *words)
        was_own = (await self._look(name)).is_own
        await self._change(name, definition, "keep", way)
        await self._spread(name)
        await self._call(_ANNOUNCE, (DEFINED,), *words)
        return was_own

    async def adopt(self, name: str) -> None:
        """Write down that a board has the default definition, unless what is there has another one, or contradicts."""
        try:
            await self._change(name, None, "keep", "", only_new=True)
        except DefinitionConflict:
            self._set(name, _known(self._boards.get(name, _PLAIN).state, DEFAULT_DEFINITION))

    async def _change(
        self, name: str, definition: Definition | None, mode: str, way: str, *, only_new: bool = False
    ) -> None:
        key = key_of(name)
        default = self._default
        new, digest = default.definition, default.state
        body = _encode(new) if digest else b""
        if definition is not None:
            new, digest, body = definition, digest_of(definition), _encode(definition)
        known = self._boards.get(name, _PLAIN)
        if not only_new:
            await self._prepare(name, new, mode, way)
        while True:
            if only_new and (known.is_own or known.state[:1] == "~"):
                return
            words = _words(known.definition, new)
            answer = await self._call(
                _DEFINE, (key,), known.rules, known.state, self._now(), "", mode, rules_of(new), digest, body, *words
            )
            if answer[0] != b"stale":
                break
            known = self.take(name, answer[1], answer[2])
        if answer[0] == b"d":
            if mode == "keep":
                self.take(name, answer[1], body)
        else:
            pointer, problem = _problem(known.definition, new, answer)
            raise DefinitionConflict(name, problem + way, pointer)

    # Partitions: each has the definition of its board, but for their number. What the board's own tag says holds. A
    # partition that has another one, because whoever changed it was killed, is given that before the next act there.
    # Those of another number of partitions have "gone" for a state, so that nobody goes on with them.

    async def _prepare(self, name: str, new: Definition, mode: str, way: str) -> None:
        """Look in all partitions for entries that contradict; let those go that the board will have no more."""
        known = await self._look(name)
        old = known.definition
        if known.source and new.partitions != old.partitions:
            problem = f"its entries are being moved to {old.partitions} partitions"
            raise DefinitionConflict(name, problem + way, "/partitions")
        goes = mode == "keep" and new.partitions != old.partitions
        parts = [
            partition_name(name, at, count)
            for count in (old.partitions, known.source)
            if count > 1
            for at in range(count)
        ]
        change = ("keep", GONE, "") if goes else ("check", "", "")
        answers = await asyncio.gather(*(self._define_part(each, old, new, *change) for each in parts))
        problems = [_problem(old, new, answer) for answer in answers if answer[0] != b"d"]
        if problems:
            raise DefinitionConflict(name, problems[0].problem + way, problems[0].pointer)

    async def _define_part(self, part: str, old: Definition, new: Definition, *change: str | bytes) -> Any:
        """Check or change the definition of a partition: ``change`` is the mode, the digest and the definition."""
        mode, digest, body = change
        state: str | bytes = self._partitions.get(part, _PLAIN).state
        words = mode, rules_of(new), digest, body, *_words(old, new)
        while True:
            answer = await self._call(_DEFINE, (key_of(part),), rules_of(old), state, self._now(), "", *words)
            if answer[0] != b"stale":
                break
            state = answer[1]
        if answer[0] == b"d" and mode != "check":
            self.take(part, answer[1], _encode(structs.replace(new, partitions=1)) if body else b"")
        return answer

    async def _spread(self, name: str) -> None:
        """Give all partitions of a board its definition, so that whoever goes by another one is told."""
        count = self.of(name).definition.partitions
        if count > 1:
            await asyncio.gather(*(self._repair(name, partition_name(name, at, count)) for at in range(count)))

    async def _repair(self, name: str, part: str) -> None:
        """Let a partition be as its board says."""
        known = self.of(name)
        own = structs.replace(known.definition, partitions=1)
        if part == partition_name(name, 0, 1):
            self._set(part, _known(known.state, own))
        elif known.source and part.endswith(f"/{known.source}"):
            answer = await self._define_part(part, own, own, "force", f"{GONE}@", b"")
            self._set(part, _known(answer[1].decode(), own))
        else:
            digest = digest_of(own) + _layout(known.source, known.earlier)
            await self._define_part(part, own, own, "force", digest, _encode(own))

    def _is_known(self, part: str, own: Definition, board: Known) -> bool:
        """Return whether a partition is taken for what its board says; it may be another by now."""
        known = self.of(part)
        if part[-1:] == ONLY:
            return known.state == self.of(owner_of(part)).state
        return known.definition == own and (known.has_layout_of(board) or known.is_gone)

    async def repartition(self, name: str, count: int) -> Known:
        """Let all know that the entries of a board are being moved to so many partitions; return what is known then.

        Raises DefinitionConflict if they are being moved to another number.
        """
        await self._call(_ANNOUNCE, (DEFINED,), name)
        while True:
            known = await self.learn(name)
            old = known.definition
            if known.source and old.partitions != count:
                way = f"finish that with laurels boards repartition {name} {old.partitions}"
                raise DefinitionConflict(name, f"its entries are being moved to {old.partitions} partitions; {way}")
            if old.partitions == count:
                return known
            new = structs.replace(old, partitions=count)
            await self._force(name, known, new, digest_of(new) + _layout(old.partitions, known.earlier))

    async def finish(self, name: str, moved: Known) -> None:
        """Let all know that no entry of a board is where it was, unless they know.

        Raises DefinitionChanged if it is being moved further.
        """
        while (known := await self.learn(name)).is_same_move(moved):
            earlier = tuple(dict.fromkeys([known.source, *known.earlier]))
            await self._force(name, known, known.definition, digest_of(known.definition) + _layout(0, earlier))
        if known.definition.partitions != moved.definition.partitions:
            raise DefinitionChanged(name)
        await self._spread(name)
        await self._call(_ANNOUNCE, (DEFINED,), name)

    async def _force(self, name: str, known: Known, new: Definition, digest: str) -> None:
        body = _encode(new)
        words = "force", rules_of(new), digest, body, *_words(known.definition, new)
        answer = await self._call(_DEFINE, (key_of(name),), known.rules, known.state, self._now(), "", *words)
        if answer[0] == b"d":
            self.take(name, answer[1], body)

    async def begin(self, name: str) -> None:
        """Have a board's own tag say what its definition is, before there is anything in its partitions."""
        if not (self.of(name).is_own or name in self._begun):
            await self._together((name,), lambda: self.adopt(name))
            if len(self._begun) >= UNDECLARED_KNOWN:
                self._begun.clear()
            self._begun.add(name)

    async def follow(self, name: str, definition: Definition, board: Known, parts: Iterable[str]) -> None:
        """Let partitions be as their board says; raise DefinitionChanged if the caller takes that for another."""
        own = structs.replace(definition, partitions=1)
        now = self.of(name)
        if now.source and (now.definition != definition or not now.has_layout_of(board)):
            raise DefinitionChanged(name)
        lost = [part for part in parts if not self._is_known(part, own, board)]
        if lost:
            await self._together((name, *lost), lambda: self._follow(name, definition, board, lost))

    async def _together(self, what: tuple[str, ...], act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do what several wait for once; they go on in their order, in one turn."""
        acting = self._acting.get(what)
        if acting is None:
            acting = self._acting[what] = asyncio.ensure_future(act())
            acting.add_done_callback(lambda _: self._acting.pop(what))
        await asyncio.shield(acting)

    async def _follow(self, name: str, definition: Definition, board: Known, parts: list[str]) -> None:
        known = await self.learn(name)
        if known.definition != definition or not known.has_layout_of(board):
            raise DefinitionChanged(name)
        key = key_of(name)
        if (await self._ask(key, "GET", f"{key}:state") or b"").partition(b"!")[0]:
            await asyncio.gather(*(self._repair(name, part) for part in parts))
        else:  # nothing was ever submitted
            for part in parts:
                self._set(part, _known("", structs.replace(definition, partitions=1)))

    # What the deployment declares

    async def declare(
        self, definitions: Mapping[str, Definition], default: Definition, undeclared: Callable[[], AsyncIterator[str]]
    ) -> None:
        """Keep these definitions, and the default one; ``undeclared`` yields the boards that may have that."""
        new = {name: of for name, of in definitions.items() if self._own.get(name) != of}
        await self._each(new, lambda name: self._change(name, new[name], "check", ""))
        was = await self._ask(DEFAULT, "GET", DEFAULT)
        before = self._default
        self._default = _PLAIN if default == DEFAULT_DEFINITION else _known(f"~{digest_of(default)}", default)
        if self._default != before:
            self._forget(list(self._undeclared))
        if default != (_read_definition("", was) if was else DEFAULT_DEFINITION):
            try:
                await self._declare_default(definitions, undeclared)
            except DefinitionConflict:
                self._default = before
                raise
            await self._ask(DEFAULT, "SET", DEFAULT, _encode(default))
        await self._each(new, lambda name: self.define(name, new[name]))
        self._declared = dict(definitions)

    async def _declare_default(
        self, definitions: Mapping[str, Definition], undeclared: Callable[[], AsyncIterator[str]]
    ) -> None:
        way = " (it has the default definition: declare it as it was, or go back to the default that was)"
        for mode in ("check", "keep"):
            async for name in undeclared():
                if name not in definitions and not (await self._look(name)).is_own:
                    await self._change(name, None, mode, way)

    @staticmethod
    async def _each(names: Iterable[str], act: Callable[[str], Awaitable[object]]) -> None:
        listed = list(names)
        for start in range(0, len(listed), DEFINED_AT_ONCE):
            await asyncio.gather(*map(act, listed[start : start + DEFINED_AT_ONCE]))


def _words(old: Definition, new: Definition) -> list[str]:
    """Return what define.lua must know of a change."""
    is_changed = any(getattr(old, each) != getattr(new, each) for each in ("order", "operator", "ties", "partitions"))
    bounds = new.scores
    return [
        "1" * is_changed,
        "1" * (old.time_zone != new.time_zone),
        "" if bounds.min is None else repr(bounds.min),
        "" if bounds.max is None else repr(bounds.max),
        "1" * (bounds.integer and not old.scores.integer),
        str(MOST_COUNTED),
        *new.windows,
    ]


def _problem(old: Definition, new: Definition, answer: list[Any]) -> Contradiction:
    """Return why a board cannot have a definition, as define.lua answered."""
    kind, entries, *facts = answer
    if kind == b"m":
        what = "dense ranks" if new.ranking == "dense" else "whole scores"
        problem = f"it has {entries:,} entries, and for {what} at most {MOST_COUNTED:,} are looked at in one act"
        return Contradiction("/ranking" if new.ranking == "dense" else "/scores/integer", problem)
    low, high, held, is_whole, *windows = facts
    names = frozenset(window.decode() for window in windows)
    stored = Stored(entries, read_score(low), read_score(high), lambda: bool(is_whole), names, held)
    return contradiction(old, new, stored) or Contradiction("", "what is stored contradicts it")
