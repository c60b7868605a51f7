"""The ways in: each of them sends a request to a service with the same access file."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from laurels.access.keys import digest_key, make_key
from laurels.adapters import gateway
from laurels.assembly import open_routes
from laurels.settings import Settings
from tests.asking import Reply, ask
from tests.conftest import started
from tests.http.conftest import ASGI

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.conftest import Server

    Way = Callable[..., Reply]
    """Sends method, target, body and headers, and returns the answer."""


def bearer(credential: str) -> dict[str, str]:
    """Return the header that shows a key or a token."""
    return {"authorization": f"Bearer {credential}"}


class KeyRing:
    """Keys by their names, and the tables of an access file that has them."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.tables: list[str] = []

    def add(self, name: str, scopes: list[str], *, boards: list[str] | None = None, expires: str = "") -> str:
        """Make a key; return its secret."""
        self.secrets[name] = make_key()
        lines = [f"[keys.{json.dumps(name)}]", f'sha256 = "{digest_key(self.secrets[name])}"']
        lines.append(f"scopes = {json.dumps(scopes)}")
        if boards is not None:
            lines.append(f"boards = {json.dumps(boards)}")
        if expires:
            lines.append(f"expires = {expires}")
        self.tables.append("\n".join(lines))
        return self.secrets[name]

    def write(self, file: Path, *further: str) -> Path:
        """Write the access file, with further tables."""
        file.write_text("\n\n".join([*further, *self.tables]) + "\n")
        return file


def serving(data: Path, access: Path, variables: dict[str, str] | None = None) -> AbstractContextManager[Server]:
    """Run the service with an access file, and further variables."""
    command = [sys.executable, "-m", "laurels", "serve", "--port", "0"]
    return started(command, _environment(data, access, variables))


def served_by_asgi(data: Path, access: Path, variables: dict[str, str] | None = None) -> AbstractContextManager[Server]:
    """Run the service under a server that knows nothing of us."""
    return started(ASGI, _environment(data, access, variables))


def _environment(data: Path, access: Path, variables: dict[str, str] | None) -> dict[str, str]:
    return os.environ | {"LAURELS_DATA": str(data), "LAURELS_ACCESS": str(access)} | (variables or {})


def send_plainly(server: Server) -> Way:
    """Return the way that the fast path may take."""
    return lambda method, target, body=None, headers=None: ask(server, method, target, body, headers)


def send_oddly(server: Server) -> Way:
    """Return the way of requests with a header that only the full parser takes."""
    return lambda method, target, body=None, headers=None: ask(
        server, method, target, body, {"x-odd": "1", **(headers or {})}
    )


@contextmanager
def invoked(data: Path, access: Path) -> Iterator[Way]:
    """Open the routes for events of API Gateway."""
    with asyncio.Runner() as runner:
        opening = open_routes(Settings(data=data, access=access))
        routes = runner.run(opening.__aenter__())

        def send(method: str, target: str, body: object = None, headers: dict[str, str] | None = None) -> Reply:
            event = make_event(method, target, body, headers or {})
            answer = gateway.format_response(runner.run(routes.answer(gateway.read_event(event))), method)
            return Reply(answer["statusCode"], answer["headers"], answer["body"].encode())

        try:
            yield send
        finally:
            runner.run(opening.__aexit__(None, None, None))


def make_event(method: str, target: str, body: object, headers: dict[str, str]) -> dict[str, Any]:
    """Return a request as the event that an HTTP API makes of it."""
    path, _, query = target.partition("?")
    http = {"method": method, "sourceIp": "192.0.2.1"}
    kind = {} if body is None else {"content-type": "application/json"}
    return {
        "version": "2.0",
        "rawPath": unquote(path),
        "rawQueryString": query,
        "requestContext": {"http": http, "stage": "$default"},
        "headers": kind | headers,
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }
