"""What is stored, as a description and as a data directory: ``python -m tests.stores.stored tests/data`` writes both.

``format-N.txt`` describes everything of format N that is on disk, and ``format-N`` is a directory of it, which every
later version must be able to open.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import NODEFAULT, Struct, inspect
from msgspec.structs import asdict

from laurels.definition import Bounds, Definition, Guard, Runs
from laurels.stores.contract import Board, Feed, FullSubmission, IdempotencyKey, Refusal, Submission
from laurels.stores.embedded.answers import Body
from laurels.stores.embedded.compact import compact
from laurels.stores.embedded.records import Record
from laurels.stores.embedded.sqlite_file import FORMAT
from laurels.stores.embedded.store import EmbeddedStore
from tests.clock import Clock
from tests.stores import disk

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parent.parent / "data"
DEFAULT = Definition(order="ascending")
FEEDS = (Feed("daily", "2026-11-22", "2026-11-20"),)
KART = Board(
    "kart",
    Definition(
        operator="best",
        ties="earliest",
        ranking="dense",
        scores=Bounds(0, 1000, integer=True),
        windows=("daily",),
        keep={"daily": 2},
    ),
    feeds=FEEDS,
)
SUMS = Board("sums", Definition(operator="increment", scores=Bounds(max=100), ttl="1h"))
LAPS = Board("laps", DEFAULT)
GUARDED = Board(
    "guarded", Definition(guard=Guard(per_player="9/d", hold_above=100, runs=Runs(max_seconds=86_400)), operator="best")
)
KEY, BATCH_KEY = IdempotencyKey(b"1" * 16, b"a" * 16), IdempotencyKey(b"2" * 16, b"b" * 16)


async def make(directory: Path) -> None:
    """Make a data directory with every kind of record: the first of them in the snapshot, others in the journal."""
    clock = Clock()
    store = await EmbeddedStore.open(directory, DEFAULT, clock=clock)
    await store.define(KART.name, KART.definition)
    await store.define(SUMS.name, SUMS.definition)
    await store.define("gone", DEFAULT)
    await store.undefine("gone")
    await store.submit(KART, Submission("v", 7, b'{"car":1}'), KEY)
    await store.submit(KART, Submission("judy", 7))
    await store.submit(LAPS, Submission("v", 1.5))
    await store.submit(LAPS, [Submission("judy", 2), Submission("johnny", 3)])
    await store.set_metadata(LAPS, "v", b"{}")
    await store.set_metadata(LAPS, "v", b'{"lap":1}')
    await store.submit(KART, [Submission("cheat", 999, b"9"), Submission("nobody", 998)])
    await store.hide(KART, "cheat")
    await store.hide(KART, "nobody")
    await store.remove(KART, "nobody")
    await store.hide(LAPS, "johnny")
    await store.define(GUARDED.name, GUARDED.definition)
    await store.submit(GUARDED, Submission("v", 500, b'{"held":1}'))
    await store.submit(GUARDED, Submission("w", 600))
    run = (await store.make_run(GUARDED, "v")).run
    await store.submit(GUARDED, FullSubmission("v", 5, run=run))
    await store.close()
    compact(directory, disk.last(directory))
    store = await EmbeddedStore.open(directory, DEFAULT, clock=clock)
    await store.submit(KART, Submission("silverhand", 9))
    await store.submit(KART, Submission("v", 7, b'{"car":1}'))
    await store.submit(SUMS, [Submission("v", 60, b"[]"), Refusal(1, "w", "no score"), Submission("v", 60)], BATCH_KEY)
    await store.submit(Board("dropped"), Submission("v", 1))
    await store.drop(Board("dropped"))
    await store.submit(KART, Submission("cheat", 1000))
    await store.hide(Board("later"), "v")
    await store.show(LAPS, "johnny")
    await store.remove(LAPS, "judy")
    held = {each.name: each for each in await store.held(GUARDED)}
    await store.release(GUARDED, held["v"])
    await store.submit(GUARDED, Submission("judy", 700))
    await store.close()


def describe(directory: Path) -> str:
    """Return all that decides how bytes on disk are read, one line for each record, struct and table."""
    lines = sorted({f"record {kind.tag}: {form(kind)}" for kind in _record_types(Record)})
    lines.append(f"definition: {form(inspect.type_info(Definition))}")
    lines.append(f"answer: {form(inspect.type_info(Body))}")
    for name in ("journal.db", "boards.db"):
        with closing(sqlite3.connect(directory / name)) as db:
            tables = db.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL ORDER BY name")
            lines += [f"{name}: {' '.join(statement.split())}" for (statement,) in tables]
    return "\n".join(lines) + "\n"


def _record_types(kind: type[Struct]) -> Iterator[inspect.StructType]:
    for each in kind.__subclasses__():
        described = inspect.type_info(each)
        assert isinstance(described, inspect.StructType)
        yield described
        yield from _record_types(each)


def form(kind: inspect.Type) -> str:
    """Return what a type has on disk; names of fields only where they are there too."""
    if isinstance(kind, inspect.Metadata):
        return form(kind.type)
    if isinstance(kind, inspect.StructType):
        fields = [
            ("" if kind.array_like else f"{field.encode_name}: ")
            + form(field.type)
            + ("" if field.required else f" = {_default(field)!r}")
            for field in kind.fields
        ]
        return f"[{', '.join(fields)}]" if kind.array_like else f"{{{', '.join(fields)}}}"
    name = type(kind).__name__.removesuffix("Type").lower().removeprefix("var").replace("tuple", "list")
    facts = [_fact(field, value) for field, value in asdict(kind).items() if value is not None]
    return f"{name}({', '.join(facts)})" if facts else name


def _fact(field: str, value: Any) -> str:
    if isinstance(value, inspect.Type):
        return form(value)
    if isinstance(value, tuple) and isinstance(value[0], inspect.Type):
        return " | ".join(map(form, value))
    return f"{field}={value!r}"


def _default(field: inspect.Field) -> object:
    return field.default if field.default_factory is NODEFAULT else field.default_factory()


def main(data: Path) -> None:
    """Write directory and description of today's format."""
    directory = data / f"format-{FORMAT}"
    asyncio.run(make(directory))
    (data / f"format-{FORMAT}.txt").write_text(describe(directory))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
