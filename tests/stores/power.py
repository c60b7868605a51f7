"""A process on a disk that may fail (``power.c``): ``python -m tests.stores.power DIRECTORY FIRST STEP ...``.

The steps are the number of submits to do, by players from FIRST on, whose number is printed with what came of it;
"fail=END", after which the next sync of a file whose name ends so fails; "read", which connects to the journal; "hold"
and "release", which begin and end a transaction there; and "ready", which waits until the store says so. An empty
line says that all is done; then it waits to be killed, or for the end of its input, and closes the store.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from contextlib import suppress
from pathlib import Path

from laurels.errors import StoreUnavailable
from laurels.stores.contract import Submission
from laurels.stores.embedded.store import EmbeddedStore
from tests.stores.guarantees import KART


def arm(end: str) -> None:
    """Let the next sync of a file whose name ends so fail."""
    Path(os.environ["POWER_FAIL"]).write_text(end)


async def submit(store: EmbeddedStore, first: int, count: int) -> None:
    """Submit players of these numbers one after the other, and print what came of it."""
    for number in range(first, first + count):
        try:
            await store.submit(KART, Submission(str(number), number))
        except StoreUnavailable as error:
            sys.stdout.write(f"{number} refused {error}\n")
        else:
            sys.stdout.write(f"{number} acknowledged\n")


async def wait_until_ready(store: EmbeddedStore) -> None:
    """Wait until the store can keep submits, without any."""
    async with asyncio.timeout(30):
        while True:
            with suppress(StoreUnavailable):
                return await store.ready()
            await asyncio.sleep(0.01)


async def main(directory: Path, first: int, steps: list[str]) -> None:
    """Open the store, take the steps, and wait for the end."""
    store = await EmbeddedStore.open(directory, compact_bytes=2**40)
    reader = sqlite3.connect(directory / "journal.db", isolation_level=None)
    for step in steps:
        if step == "ready":
            await wait_until_ready(store)
        elif step.startswith("fail="):
            arm(step.removeprefix("fail="))
        elif step.isdecimal():
            await submit(store, first, int(step))
            first += int(step)
        else:
            if step == "hold":
                reader.execute("BEGIN")
            reader.execute("SELECT * FROM batch").fetchall()
            if step == "release":
                reader.execute("COMMIT")
    sys.stdout.write("\n")
    sys.stdout.flush()
    sys.stdin.read()
    reader.close()
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
