"""A process to be killed while it submits: ``python -m tests.stores.crasher DIRECTORY ACKNOWLEDGED BASE COUNT [HOW]``.

Each of WORKERS submits COUNT scores from BASE on, under NAMES names in turn, and appends "worker score" to the file
ACKNOWLEDGED after each submit that returned. With "add", each instead adds up COUNT numbers, with idempotency keys,
from the first that was not acknowledged before. With "hide" it hides its own name with each odd number and shows it
with each even one, and then submits that. With "guard" each makes runs and submits with them, to a board that holds
every score, and appends "worker run".
"""

from __future__ import annotations

import asyncio
import os
import sys
from hashlib import blake2b
from pathlib import Path

from laurels.definition import Definition, Guard, Runs
from laurels.stores.contract import Board, Feed, FullSubmission, IdempotencyKey, Submission
from laurels.stores.embedded.store import EmbeddedStore
from tests.stores.guarantees import KART

SUMS = Board("sums", Definition(operator="increment", windows=("daily",)), feeds=(Feed("daily", "2026-11-22"),))
GUARD = Guard(hold_above=0, per_player="100000/d", runs=Runs(required=True))
GUARDED = Board("guarded", Definition(operator="increment", guard=GUARD))
HIDING = Board("hiding", Definition(windows=("daily",)), feeds=(Feed("daily", "2026-11-22"),))
WORKERS = 32
NAMES = 5


def read_all(acknowledged: Path) -> list[tuple[int, int]]:
    """Return the acknowledged scores with their workers, in order."""
    lines = acknowledged.read_text().splitlines()
    return [(int(worker), int(score)) for worker, score in map(str.split, lines)]


def newest(acknowledged: Path) -> dict[int, int]:
    """Return the last acknowledged score of each worker."""
    return dict(read_all(acknowledged))


def metadata_after(number: int) -> bytes:
    """Return the metadata of a sum to which a number was added last."""
    return b"[%d]" % number if number % 3 == 0 else b"%d" % number


async def add(store: EmbeddedStore, worker: int, number: int) -> None:
    """Add a number to a worker's sum, once however often this is called, and for some set other metadata then."""
    key = IdempotencyKey(blake2b(b"%d %d" % (worker, number), digest_size=16).digest(), bytes(16))
    await store.submit(SUMS, Submission(str(worker), number, b"%d" % number), key)
    if metadata_after(number) != b"%d" % number:
        await store.set_metadata(SUMS, str(worker), metadata_after(number))


async def hide(store: EmbeddedStore, worker: int, number: int) -> None:
    """Hide or show a worker's name, and submit the number for it."""
    await (store.hide if number % 2 else store.show)(HIDING, str(worker))
    await store.submit(HIDING, Submission(str(worker), number))


async def main(directory: Path, acknowledged: Path, scores: range, how: str) -> None:
    """Open the store, let all workers submit, and close it."""
    store = await EmbeddedStore.open(directory, compact_bytes=20_000)
    for board in (SUMS, HIDING, GUARDED):
        await store.define(board.name, board.definition)
    log = os.open(acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    done = {} if how == "guard" else newest(acknowledged)

    async def work(worker: int) -> None:
        for score in scores:
            await store.submit(KART, Submission(f"{worker}-{score % NAMES}", score))
            os.write(log, b"%d %d\n" % (worker, score))

    async def count_up(worker: int) -> None:
        begin = done.get(worker, 0) + 1
        for number in range(begin, begin + len(scores)):
            await (hide if how == "hide" else add)(store, worker, number)
            os.write(log, b"%d %d\n" % (worker, number))

    async def use_runs(worker: int) -> None:
        for _ in scores:
            run = (await store.make_run(GUARDED, str(worker))).run
            await store.submit(GUARDED, FullSubmission(str(worker), 1, run=run))
            os.write(log, b"%d %s\n" % (worker, run.encode()))

    await asyncio.gather(*map({"": work, "guard": use_runs}.get(how, count_up), range(WORKERS)))
    await store.close()


if __name__ == "__main__":
    base, count = int(sys.argv[3]), int(sys.argv[4])
    scores = range(base, base + count)
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), scores, "".join(sys.argv[5:])))
