"""The access file is read again on SIGHUP: it holds at once, on connections that are open too, and none is dropped."""

from __future__ import annotations

import signal
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest

from laurels.access.keys import digest_key, make_key
from tests.asking import ask, connected, read_replies
from tests.conftest import running

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Server

STEADY, FIRST, SECOND = make_key(), make_key(), make_key()
BAD = {
    "no TOML": ("[keys", "it is not TOML"),
    "misspelt scope": ('[public]\nscopes = ["reed"]', 'there is no scope "reed"; perhaps you mean "read"'),
    "empty": ("", "it is empty"),
    "secret that is missing": ('[players]\nsecret = "env:LAURELS_NO_SUCH"', "which is not set"),
    "issuer over http": (
        '[players]\nissuers = [{ issuer = "i", audience = "a", jwks = "http://i.example" }]',
        "jwks must begin with https://",
    ),
}


def table(name: str, key: str) -> str:
    """Return the table of a key that may read."""
    return f'[keys.{name}]\nsha256 = "{digest_key(key)}"\nscopes = ["read"]\n'


class Reloaded:
    """A service with an access file."""

    def __init__(self, server: Server, file: Path) -> None:
        self.server = server
        self.file = file

    def write(self, *tables: str) -> str:
        """Write the file and send SIGHUP; return what the log says of it, which is one line."""
        self.file.write_text("".join(tables))
        before = len(self.server.log)
        self.server.process.send_signal(signal.SIGHUP)
        (line,) = self.server.wait_for_line("SIGHUP", before)
        return line


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Reloaded]:
    """Start a service where two keys read."""
    file = tmp_path / "access.toml"
    file.write_text(table("steady", STEADY) + table("first", FIRST))
    with running(tmp_path / "data", "--access", str(file)) as server:
        yield Reloaded(server, file)


def statuses(connection: socket.socket, *keys: str) -> list[int]:
    """Read with each key over one connection; return the statuses."""
    head = b"GET /b/v HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n\r\n"
    connection.sendall(b"".join(head % key.encode() for key in keys))
    return [reply.status for reply in read_replies(connection, len(keys))]


def test_keys_that_come_and_go(service: Reloaded) -> None:
    """A revoked key stops at once, also on a connection that is open, and a new one serves at once."""
    with connected(service.server) as connection:
        assert statuses(connection, STEADY, FIRST, SECOND) == [200, 200, 401]
        said = service.write(table("steady", STEADY), table("second", SECOND))
        assert said.endswith(f" INFO SIGHUP: reloaded the access file {service.file}.\n")
        assert statuses(connection, STEADY, FIRST, SECOND) == [200, 401, 200]


@pytest.mark.parametrize(("text", "says"), BAD.values(), ids=BAD)
def test_file_that_is_wrong(service: Reloaded, text: str, says: str) -> None:
    """One line says what is wrong, and the old file holds until a good one comes."""
    with connected(service.server) as connection:
        line = service.write(text)
        assert f" ERROR SIGHUP: the access file {service.file} is not reloaded, and stays as it was: " in line
        assert says in line
        assert statuses(connection, STEADY, FIRST, SECOND) == [200, 200, 401]
        assert "reloaded the access file" in service.write(table("second", SECOND))
        assert statuses(connection, STEADY, FIRST, SECOND) == [401, 401, 200]


def test_file_that_is_gone(service: Reloaded) -> None:
    """Without the file the keys that it had are still known."""
    service.file.unlink()
    service.server.process.send_signal(signal.SIGHUP)
    service.server.wait_for_line("No such file or directory")
    assert ask(service.server, "GET", "/b/v", headers={"authorization": f"Bearer {STEADY}"}).status == 200


class Client(Thread):
    """Reads over one connection, and counts the answers, until it is told to stop."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server = server
        self.answers: list[int] = []
        self.is_over = Event()

    def run(self) -> None:
        """Send requests with a key that stays."""
        with connected(self.server) as connection:
            while not self.is_over.is_set():
                self.answers += statuses(connection, *[STEADY] * 8)


@pytest.mark.slow
def test_no_connection_is_dropped(service: Reloaded) -> None:
    """Under load, thirty reloads drop no connection and refuse nobody whose key stays."""
    clients = [Client(service.server) for _ in range(4)]
    for client in clients:
        client.start()
    try:
        with connected(service.server) as connection:
            for number in range(30):
                is_first = number % 2
                known, unknown = (FIRST, SECOND) if is_first else (SECOND, FIRST)
                assert "reloaded" in service.write(table("steady", STEADY), table("other", known))
                assert statuses(connection, known, unknown) == [200, 401]
    finally:
        for client in clients:
            client.is_over.set()
            client.join()
    assert {status for client in clients for status in client.answers} == {200}
    assert min(len(client.answers) for client in clients) > 30
