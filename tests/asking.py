"""Requests to a server over a real socket, and their responses."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tests.conftest import Server


class Reply(NamedTuple):
    """One response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The parsed body."""
        return json.loads(self.body)


def ask(server: Server, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Reply:
    """Send one well-formed request; a body that is not bytes or an iterator is sent as JSON."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    content = body if body is None or isinstance(body, (bytes, Iterator)) else json.dumps(body).encode()
    kind = {} if content is None else {"content-type": "application/json"}
    try:
        with suppress(BrokenPipeError, ConnectionResetError):  # a refusal may arrive before the whole body is sent
            connection.request(method, path, content, kind | (headers or {}))
        return _reply(connection.getresponse())
    finally:
        connection.close()


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    """Open a connection for a test that writes its own bytes."""
    with socket.create_connection((server.host, server.port), timeout=10) as connection:
        yield connection


def read_replies(connection: socket.socket, count: int, *, method: str = "GET") -> list[Reply]:
    """Read ``count`` responses to requests with this method; those to HEAD have no bodies."""
    replies = []
    with connection.makefile("rb") as stream:
        for _ in range(count):
            response = http.client.HTTPResponse(_SharedStream(stream), method=method)  # type: ignore[arg-type]
            response.begin()
            replies.append(_reply(response))
    return replies


def send_bytes(server: Server, request: bytes, count: int = 1) -> list[Reply]:
    """Send bytes as they are and read ``count`` responses."""
    with connected(server) as connection:
        connection.sendall(request)
        return read_replies(connection, count)


def _reply(response: http.client.HTTPResponse) -> Reply:
    return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


class _SharedStream:
    """A stream that stays open for the next response: http.client closes it after each."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def makefile(self, _: str) -> Any:
        return self

    def close(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
