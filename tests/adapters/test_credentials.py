"""Who asks, on the fast path and by the full parser: the same answers, and a credential that is proved once."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from laurels.access.file import Players
from laurels.access.keys import digest_key, make_key
from laurels.access.tokens import Tokens
from tests.adapters.test_fast_path import requests
from tests.asking import connected, read_replies, send_bytes
from tests.conftest import running
from tests.length import times

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.conftest import Server

KEYS = {name: make_key() for name in ("all", "reader", "kart", "patterns", "moderator", "expired", "unknown", "brief")}
RIGHTS = {
    "all": 'scopes = ["admin"]',
    "reader": 'scopes = ["read"]',
    "kart": 'scopes = ["read", "submit"]\nboards = ["kart"]',
    "patterns": 'scopes = ["submit", "read"]\nboards = ["p*n", "*la*", "a*b*c"]',
    "moderator": 'scopes = ["moderate"]',
    "expired": 'scopes = ["admin"]\nexpires = 2020-01-01',
}
SECRET = token_hex()
PLAYERS = '[players]\nsecret = "env:LAURELS_TOKEN_SECRET"\n'
TOKENS = Tokens(Players(), SECRET.encode())


def sign(name: str, *boards: str, seconds: int = 3600) -> str:
    """Return a token of a player."""
    return TOKENS.sign(name, boards or ("*",), seconds, time.time()).token


PUBLIC = '[public]\nscopes = ["read"]\nboards = ["plain"]\n'
SHOWN = [
    *(f"Authorization: Bearer {sign('v', *boards)}" for boards in ((), ("kart", "pl*"), ("plain",))),
    *(f"Authorization: Bearer {sign(name)}" for name in ("vv", "-x", "V", "é")),
    f"Authorization: Bearer {sign('v', seconds=-3600)}",
    f"Authorization: Bearer {sign('v')[:-2]}AA",
    *(f"Authorization: Bearer {key}" for key in KEYS.values()),
    *(f"authorization:bearer  {KEYS['all']} ", f"AUTHORIZATION: BEARER {KEYS['kart']}", "Authorization: Bearer"),
    *(
        "Authorization:",
        "Authorization: Basic YTpi",
        f"Authorization: Bearer {KEYS['all']}x",
        "Authorization: Bearer a b",
    ),
    *(f"Authorization: {KEYS['all']}", f"Authorization: Bearer {KEYS['all'].swapcase()}", "Authorization: Bearer é"),
    f"Authorization: Bearer {KEYS['all']}\r\nAuthorization: Bearer {KEYS['all']}",
    f"Authorization: Bearer {KEYS['all']}\r\nX-Forwarded-For: 203.0.113.7",
]
BOARDS = ["plain", "kart", "kar", "karts", "pn", "plan", "abc", "aXbXc", "acb", "la", "p*n", "KART"]
ODD = b"X-Odd: 1\r\n"


def write_access(path: Path, rights: dict[str, str] = RIGHTS, public: str = PUBLIC) -> None:
    """Write an access file."""
    keys = (f'[keys.{name}]\nsha256 = "{digest_key(KEYS[name])}"\n{text}\n' for name, text in rights.items())
    path.write_text(public + PLAYERS + "".join(keys))


@pytest.fixture(scope="module", autouse=True)
def _secret() -> Iterator[None]:
    """Give services the secret of tokens."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAURELS_TOKEN_SECRET", SECRET)
        yield


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a service with an access file."""
    directory = tmp_path_factory.mktemp("guarded")
    write_access(directory / "access.toml")
    with running(directory / "data", "--access", str(directory / "access.toml")) as server:
        yield server


@st.composite
def shown(draw: st.DrawFn) -> bytes:
    """Draw a request that shows something, or nothing."""
    request = draw(requests()).replace(b"/plain", b"/" + draw(st.sampled_from(BOARDS)).encode(), 1)
    line = draw(st.sampled_from(["", *SHOWN]))
    return request.replace(b"\r\n", f"\r\n{line}\r\n".encode(), 1) if line else request


def answers(server: Server, *parts: bytes) -> list[bytes]:
    """Ask several times over one connection, and return what is answered, without dates."""
    last = b"GET /-/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with connected(server) as connection:
        connection.sendall(b"".join(parts) + last)
        data = b"".join(iter(lambda: connection.recv(65536), b""))
    return re.sub(rb"date: [^\r]*\r\n", b"", data).split(b"HTTP/1.1 ")


@settings(max_examples=times(150), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shown())
def test_fast_path_lets_in_whom_the_gate_does(guarded: Server, request: bytes) -> None:
    """Whoever asks for whatever: what is answered does not depend on the way it came, nor on who is known already."""
    first = answers(guarded, request.replace(b"\r\n", b"\r\n" + ODD, 1))
    assert answers(guarded, request) == first
    assert answers(guarded, request) == first


def written(line: str, key: str = "", *, odd: bool = False) -> bytes:
    """Write a request that shows a key, by its name, or a token."""
    shown = f"Authorization: Bearer {KEYS.get(key, key)}\r\n" if key else ""
    body = '{"score":1}' if line.startswith("POST") else ""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{line} HTTP/1.1\r\nHost: localhost\r\n{shown}{ODD.decode() * odd}{length}\r\n{body}".encode()


def statuses(connection: socket.socket, requests: Sequence[bytes]) -> list[int]:
    """Send requests in one piece, and return the statuses of their answers."""
    connection.sendall(b"".join(requests))
    return [reply.status for reply in read_replies(connection, len(requests))]


def test_many_clients_over_one_connection(guarded: Server) -> None:
    """What one request shows is of no use to the next, in one piece or one after another, as a proxy hands them on."""
    line = "GET /kart/v"
    keys = ["kart", "", "all", "unknown", "kart", "expired", "reader", "", "kart"]
    expected = [200, 401, 200, 401, 200, 401, 200, 401, 200]
    with connected(guarded) as connection:
        for _ in range(3):
            assert statuses(connection, [written(line, key) for key in keys]) == expected
        assert [statuses(connection, [written(line, key)])[0] for key in keys] == expected


@pytest.mark.parametrize("odd", [False, True])
def test_reload_while_connections_are_open(tmp_path: Path, *, odd: bool) -> None:
    """A file that is read anew holds at once, also for who was let in before over the same connection."""
    file = tmp_path / "access.toml"
    write_access(file)
    with running(tmp_path / "data", "--access", str(file)) as server, connected(server) as connection:
        kart, everybody = written("GET /kart/v", "kart", odd=odd), written("GET /plain/v", odd=odd)
        changes = [({"reader": RIGHTS["reader"]}, "", [401, 401]), (RIGHTS, PUBLIC, [200, 200])]
        changes += [({"kart": 'scopes = ["submit"]'}, PUBLIC.replace("plain", "other"), [403, 401])]
        assert statuses(connection, [kart, everybody]) == [200, 200]
        for rights, public, expected in changes:
            write_access(file, rights, public)
            since = len(server.log)
            server.process.send_signal(1)
            server.wait_for_line("reloaded the access file", since)
            assert statuses(connection, [kart, everybody]) == expected


def test_key_that_expires_while_a_connection_is_open(tmp_path: Path) -> None:
    """From the moment on that a key expires it opens nothing, whoever was let in just before."""
    file = tmp_path / "access.toml"
    expires = datetime.now(UTC) + timedelta(seconds=2)
    write_access(file, {"brief": f'scopes = ["read"]\nexpires = {expires.isoformat()}'})
    with running(tmp_path / "data", "--access", str(file)) as server, connected(server) as connection:
        request, status = written("GET /kart/v", "brief"), 200
        for _ in range(1_000_000):
            before = datetime.now(UTC)
            (status,) = statuses(connection, [request])
            if status != 200:
                break
            assert before < expires
    assert status == 401
    assert datetime.now(UTC) >= expires


def test_limits_over_both_ways(tmp_path: Path) -> None:
    """A key, and an address, is counted once for each request, pipelined or not, whichever way it comes."""
    file = tmp_path / "access.toml"
    limits = 'limits = { requests = "9/h", submits = "3/h", burst = 6 }\n'
    write_access(file, {"kart": RIGHTS["kart"] + "\n" + limits}, PUBLIC + limits)
    with running(tmp_path / "data", "--access", str(file)) as server:
        read, odd = written("GET /kart/v", "kart"), written("GET /kart/v", "kart", odd=True)
        with connected(server) as connection:
            assert statuses(connection, [odd, read, read, odd]) == [200] * 4
            assert statuses(connection, [read] * 4) == [200, 200, 429, 429]
        with connected(server) as connection:
            everybody = written("GET /plain/v")
            assert statuses(connection, [everybody] * 5 + [written("GET /plain/v", odd=True)]) == [200] * 6
            assert statuses(connection, [everybody]) == [429]
        assert send_bytes(server, everybody)[0].status == 429  # another connection of the same address
        assert send_bytes(server, written("POST /kart/v", "kart"))[0].status == 429


def test_tokens_of_one_player_share_a_meter(tmp_path: Path) -> None:
    """However many tokens a player shows, over however many connections, they are one player's."""
    file = tmp_path / "access.toml"
    file.write_text(PLAYERS + 'limits = { requests = "4/h", burst = 4 }\n')
    with running(tmp_path / "data", "--access", str(file)) as server:
        tokens = [sign("v"), sign("v", "kart"), sign("v", seconds=60)]
        with connected(server) as one, connected(server) as other:
            assert [statuses(one, [written("GET /kart/v", token)])[0] for token in tokens] == [200] * 3
            assert [statuses(other, [written("GET /kart/v", token)])[0] for token in tokens] == [200, 429, 429]
            assert statuses(one, [written("GET /kart/v", sign("w"))]) == [200]


def test_player_submits_under_one_name(tmp_path: Path) -> None:
    """What a token opened for one name opens no other, in whichever order they come."""
    file = tmp_path / "access.toml"
    write_access(file)
    with running(tmp_path / "data", "--access", str(file)) as server:
        with connected(server) as connection:
            for _ in range(2):
                assert statuses(connection, [written("POST /kart/v", sign("v", "kart"))]) == [202]
            assert statuses(connection, [written("GET /kart/v", sign("v", "kart"))]) == [200]
        refused = [("POST /kart/w", "kart"), ("POST /karts/v", "kart"), ("POST /kart/V", "*")]
        for line, boards in refused:
            assert send_bytes(server, written(line, sign("v", boards)))[0].status == 403


def test_submits_are_counted_apart(tmp_path: Path) -> None:
    """A submit that is one too many does not count as a request either."""
    file = tmp_path / "access.toml"
    write_access(file, {"kart": RIGHTS["kart"] + '\nlimits = { requests = "9/h", submits = "1/h", burst = 3 }'})
    with running(tmp_path / "data", "--access", str(file)) as server, connected(server) as connection:
        submit, read = written("POST /kart/v", "kart"), written("GET /kart/v", "kart")
        assert [statuses(connection, [submit])[0] for _ in range(2)] == [202, 202]
        assert statuses(connection, [submit]) == [202]
        with connected(server) as other:
            assert statuses(other, [submit]) == [429]
        assert statuses(connection, [read]) == [429]
