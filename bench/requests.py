"""Requests prepared before a run, so that no generator pays for making them while it is timed."""

from __future__ import annotations

import http.client
import json
import random
from typing import TYPE_CHECKING

from msgspec import Struct

from bench.errors import UnexpectedAnswer
from bench.members import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

BOARD = "race"
SEED = 20261122


class Request(Struct, frozen=True):
    """One request; a body is JSON."""

    method: str
    path: str
    body: str = ""

    @property
    def wire(self) -> bytes:
        """The request as bytes of HTTP/1.1."""
        head = f"{self.method} {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        if self.body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(self.body)}\r\n"
        return f"{head}\r\n{self.body}".encode()


class Answer(Struct, frozen=True):
    """Status and body of one answer."""

    status: int
    body: bytes


def standings(members: int, count: int) -> list[Request]:
    """Return requests for the standings of random members."""
    chance = random.Random(SEED)
    return [Request("GET", f"/{BOARD}/{name_of(chance.randrange(members))}") for _ in range(count)]


def pages(members: int, count: int, size: int = 20) -> list[Request]:
    """Return requests for pages at random ranks."""
    chance = random.Random(SEED)
    starts = (chance.randrange(members - size) for _ in range(count))
    return [Request("GET", f"/{BOARD}?startRank={start}&endRank={start + size}") for start in starts]


def pages_with_metadata(members: int, count: int, size: int = 20) -> list[Request]:
    """Return requests for the same pages, with the metadata of each entry."""
    return [Request(each.method, f"{each.path}&include=metadata") for each in pages(members, count, size)]


def submits(members: int, count: int) -> list[Request]:
    """Return submits of random scores; each name comes twice in a cycle, so that every request moves an entry."""
    chance = random.Random(SEED)
    names = [name_of(place) for place in chance.sample(range(members), count // 2)]
    return [
        Request("POST", f"/{BOARD}/{name}", f'{{"score": {chance.randrange(1_000_000)}}}') for name in names + names
    ]


def batch(entries: Iterable[tuple[str, int]], metadata: str = "") -> Request:
    """Return one submit of many entries, each with this metadata, if there is any."""
    more = {"metadata": metadata} if metadata else {}
    body = {"entries": [{"name": name, "score": score, **more} for name, score in entries]}
    return Request("POST", f"/{BOARD}", json.dumps(body))


def save(requests: Iterable[Request], file: Path, origin: str = "", credentials: Sequence[str] = ()) -> Path:
    """Write one request a line, as ``prepared.lua`` and the open loop read them; they come from a page of an origin.

    They show these credentials in turn, if there are any, which the open loop does not know.
    """
    lines = [f"ORIGIN {origin}"] if origin else []
    for place, request in enumerate(requests):
        if credentials:
            lines.append(f"CREDENTIAL {credentials[place % len(credentials)]}")
        lines.append(f"{request.method} {request.path} {request.body}".rstrip())
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


def saved(file: Path) -> list[Request]:
    """Read what :func:`save` wrote."""
    return [Request(*line.split(" ", 2)) for line in file.read_text().splitlines()]


def ask(port: int, requests: Iterable[Request]) -> list[Answer]:
    """Send requests one after the other; raise UnexpectedAnswer at the first response that is no success."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    answers = []
    for request in requests:
        headers = {"Content-Type": "application/json"} if request.body else {}
        connection.request(request.method, request.path, request.body or None, headers)
        response = connection.getresponse()
        answer = Answer(response.status, response.read())
        if not 200 <= answer.status < 300:  # noqa: PLR2004
            raise UnexpectedAnswer(f"{request.method} {request.path}", answer.status, answer.body)
        answers.append(answer)
    connection.close()
    return answers
