"""Requests as clients sent them, each with the event that API Gateway made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from laurels.http import Request

EVENTS = Path(__file__).parent / "events"


class Sent(Struct, frozen=True):
    """A request of a client."""

    method: str
    target: str
    headers: dict[str, str | list[str]] = {}
    body: str = ""

    @property
    def request(self) -> Request:
        """The same as a Request, as a server of ours would read it."""
        path, _, query = self.target.partition("?")
        headers = {
            name.lower().encode(): (value if isinstance(value, str) else ", ".join(value)).encode()
            for name, value in self.headers.items()
        }
        return Request(self.method, path.encode(), query.encode(), headers, self.body.encode())


class Recorded(Struct, frozen=True):
    """One request, before and behind API Gateway."""

    sent: Sent
    event: dict[str, Any]


RECORDED = {file.stem: msgspec.json.decode(file.read_bytes(), type=Recorded) for file in sorted(EVENTS.glob("*.json"))}
