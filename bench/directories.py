"""Data directories made beforehand through the store itself, all in the journal or all compacted into the snapshot."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from typing import TYPE_CHECKING

from bench.errors import NotFolded
from bench.requests import BOARD
from laurels.stores.contract import Board, Submission
from laurels.stores.embedded.store import EmbeddedStore

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NEVER = sys.maxsize
CONCURRENT = 256
PATIENCE = 120.0
WITNESS = Submission("witness", 0)
WITNESSES = 2
"""Rows that a journal has at most after a compaction: the newest that was compacted, and the one that started it."""


async def submit(path: Path, entries: Iterable[tuple[str, int]]) -> None:
    """Submit entries one by one, many concurrently, as players do; all stay in the journal."""
    store = await EmbeddedStore.open(path, compact_bytes=NEVER)
    rest = iter(entries)

    async def player() -> None:
        for name, score in rest:
            await store.submit(Board(BOARD), Submission(name, score))

    await asyncio.gather(*(player() for _ in range(CONCURRENT)))
    await store.close()


async def compact(path: Path) -> None:
    """Let the store compact its journal, and wait until the compacted rows are dropped from it."""
    store = await EmbeddedStore.open(path, compact_bytes=1)
    await store.submit(Board("bystander"), [WITNESS])
    deadline = time.monotonic() + PATIENCE
    while _rows(path / "journal.db") > WITNESSES:
        if time.monotonic() > deadline:
            raise NotFolded(path)
        await asyncio.sleep(0.1)
    await store.close()


def _rows(journal: Path) -> int:
    with sqlite3.connect(f"{journal.absolute().as_uri()}?mode=ro", uri=True) as connection:
        count: int = connection.execute("SELECT count(*) FROM batch").fetchone()[0]
    connection.close()
    return count
