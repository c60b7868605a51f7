"""A process to be killed while it submits: ``python -m tests.stores.crasher DIRECTORY ACKNOWLEDGED BASE COUNT``.

Each of WORKERS writes COUNT scores from BASE on, under NAMES names in turn, and appends "worker score" to the file
ACKNOWLEDGED after each submit that returned.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from laurels.stores.embedded import EmbeddedStore
from tests.stores.promises import KART

WORKERS = 32
NAMES = 5


async def main(directory: Path, acknowledged: Path, scores: range) -> None:
    """Submit until the end."""
    store = await EmbeddedStore.open(directory, fold_bytes=20_000)
    log = os.open(acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def work(worker: int) -> None:
        for score in scores:
            await store.submit(KART, f"{worker}-{score % NAMES}", score)
            os.write(log, b"%d %d\n" % (worker, score))

    await asyncio.gather(*map(work, range(WORKERS)))
    await store.close()


if __name__ == "__main__":
    base, count = int(sys.argv[3]), int(sys.argv[4])
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), range(base, base + count)))
