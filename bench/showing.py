"""The first page of a board for people, beside the same as JSON: ``python -m bench.showing MEMBERS``.

Written as JSON: the bytes of each, and the median microseconds of the thread's CPU, from the request to the whole
answer in one process, in turns. The board has two windows, and in its metadata a country, a field and a picture: the
page has all that one can have.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from pathlib import Path
from time import thread_time
from typing import TYPE_CHECKING

import msgspec

from bench.members import batches, members
from laurels.boards import Boards
from laurels.definition import BoardsFile, Definition, Display
from laurels.http import Routes
from laurels.http.messages import Request
from laurels.stores.contract import Submission
from laurels.stores.embedded.store import EmbeddedStore

if TYPE_CHECKING:
    from laurels.http.messages import Response

BOARD = "b"
ROUNDS = 1_000
ACCEPT = b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
FORMS = {
    "html": Request("GET", b"/b", b"", {b"accept": ACCEPT}),
    "json": Request("GET", b"/b", b"include=rank,metadata,submittedAt,total", {b"accept": b"application/json"}),
}
LANDS, TEAMS = ("NZ", "IS", "DE"), ("Red", "Blue & White")
SHOWN = Display(country="land", avatar="face", avatar_hosts=("a.example.com",), fields=("team",))
DEFINITION = Definition(title="The board", windows=("daily", "weekly"), display=SHOWN)


async def measure(count: int, directory: Path) -> dict[str, dict[str, float]]:
    """Return bytes and microseconds by the form, on a board of so many members."""
    store = await EmbeddedStore.open(directory)
    try:
        boards = Boards(store, BoardsFile(boards={BOARD: DEFINITION}))
        for entries in batches(members(count)):
            await boards.submit_many(BOARD, [Submission(*entry, _metadata(entry[0])) for entry in entries])
        routes = Routes(boards)
        times: dict[str, list[float]] = {form: [] for form in FORMS}
        answers: dict[str, Response] = {}
        for _ in range(ROUNDS):
            for form, request in FORMS.items():
                begun = thread_time()
                answers[form] = await routes.answer(request)
                times[form].append(thread_time() - begun)
    finally:
        await store.close()
    return {
        form: {"bytes": len(answers[form].body), "µs": statistics.median(taken) * 1e6} for form, taken in times.items()
    }


def _metadata(name: str) -> bytes:
    place = int(name[-8:])
    land, team = LANDS[place % len(LANDS)], TEAMS[place % len(TEAMS)]
    return f'{{"land":"{land}","team":"{team}","face":"https://a.example.com/{place}.png?size=64"}}'.encode()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        found = asyncio.run(measure(int(sys.argv[1]), Path(scratch)))
    sys.stdout.buffer.write(msgspec.json.encode(found))
