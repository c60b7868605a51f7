"""What is sent again, and what is not."""

from __future__ import annotations

import socket
from contextlib import closing, contextmanager
from functools import partial
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from laurels.client import (
    AnswerUnreadable,
    Client,
    RequestFailed,
    Retries,
    ServerFailed,
    ServerUnavailable,
    ServerUnreachable,
    StoreFull,
    TooManyRequests,
)
from laurels.client.retries import NO_RETRIES
from tests.asking import ask
from tests.cli.conftest import HANG_UP, NOT_KEPT, board, failing
from tests.processes import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from laurels.client.retries import Repeat
    from tests.cli.conftest import Answer
    from tests.conftest import Server

__all__ = ["board"]
QUICK = Retries(longest_wait=0.001)
BUSY: Answer = (503, {"retry-after": "0"}, b"{}")
LIMITED: Answer = (429, {"retry-after": "0"}, b"{}")
LOST: Answer = (HANG_UP, {}, b"")
DONE: Answer = (202, {}, b"")
GONE: Answer = (204, {}, b"")
STANDING: Answer = (200, {}, b'{"score":1,"rank":0}')


class Cutting(HTTPServer):
    """A way to a server on which every second answer is lost, once the server has carried out the request."""

    def __init__(self, port: int) -> None:
        self.to = port
        self.requests = 0
        super().__init__(("127.0.0.1", 0), _CutHandler)
        self.url = f"http://127.0.0.1:{self.server_port}"


class _CutHandler(BaseHTTPRequestHandler):
    server: Cutting

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        with closing(HTTPConnection("127.0.0.1", self.server.to)) as onward:
            onward.request("POST", self.path, body, {**self.headers, "connection": "close"})
            answer = onward.getresponse()
            content = answer.read()
        self.server.requests += 1
        self.close_connection = True
        if not self.server.requests % 2:
            self.send_response(answer.status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def test_lost_answers_count_once(server: Server, board: str) -> None:
    """A submit whose answer is lost is sent again under its key, and adds once; so does a batch."""
    ask(server, "PUT", f"/-/boards/{board}", {"operator": "increment"})
    with serving(Cutting(server.port)) as way, Client(way.url, retries=QUICK) as client:
        for _ in range(5):
            client.submit(board, "v", 1)
        client.submit_many(board, {"w": 3})
        client.submit_with_receipt(board, "w", 4)
    assert way.requests == 14
    assert [ask(server, "GET", f"/{board}/{name}").json["score"] for name in "vw"] == [5, 7]


def submit(client: Client) -> object:
    """Submit a score."""
    return client.submit("b", "v", 1)


CALLS: list[tuple[Callable[[Client], object], list[Answer], int, type[RequestFailed] | None]] = [
    (submit, [BUSY, LOST, LIMITED, (502, {}, b""), (504, {}, b""), DONE], 6, None),
    (submit, [BUSY] * 6, 6, ServerUnavailable),
    (submit, [LOST] * 6, 6, ServerUnreachable),
    (submit, [(429, {"retry-after": "3600"}, b"{}")], 1, TooManyRequests),
    (submit, [(500, {}, b"{}")], 1, ServerFailed),
    (submit, [(507, {}, b"{}")], 1, StoreFull),
    (lambda client: client.standing("b", "v"), [LOST, BUSY, STANDING], 3, None),
    (lambda client: client.remove("b", "v"), [LOST, BUSY, GONE], 3, None),
    (lambda client: client.release("b", "v"), [LIMITED, GONE], 2, None),
    (lambda client: client.release("b", "v"), [LOST], 1, ServerUnreachable),
    (lambda client: client.release("b", "v"), [BUSY], 1, ServerUnavailable),
    (lambda client: client.define("b", {}), [LOST, (200, {}, b"{}")], 2, None),
    (lambda client: client.define("b", {}, if_match='"x"'), [LOST], 1, ServerUnreachable),
]


@pytest.mark.parametrize(("call", "answers", "requests", "error"), CALLS)
def test_what_is_sent_again(
    call: Callable[[Client], object], answers: list[Answer], requests: int, error: type[RequestFailed] | None
) -> None:
    """What may pass is sent again, if that does no harm; the error is that of the last attempt."""
    with failing(*answers) as service, Client(service.url, retries=QUICK) as client:
        if error:
            with pytest.raises(error):
                call(client)
        else:
            call(client)
        assert len(service.bodies) == requests


def test_keys() -> None:
    """All attempts of a submit have one key, another submit has another; without retries there is none."""
    with failing(BUSY, LOST, DONE) as service:
        with Client(service.url, retries=QUICK) as client:
            submit(client)
            submit(client)
        with Client(service.url, retries=Retries(attempts=1)) as client:
            submit(client)
    assert service.keys[0] is not None
    assert (len({*service.keys[:3]}), len({*service.keys}), service.keys[-1]) == (1, 3, None)


def test_store_without_keys() -> None:
    """Where the store keeps no keys a submit goes without, and is not sent again if it may have counted."""
    with failing(NOT_KEPT, DONE, DONE, LIMITED, DONE, LOST) as service, Client(service.url, retries=QUICK) as client:
        for _ in range(3):
            submit(client)
        with pytest.raises(ServerUnreachable) as error:
            submit(client)
        assert error.value.sent
    assert [key is None for key in service.keys] == [False, *[True] * 5]


def test_feature_that_is_not_kept() -> None:
    """If it is not the key that the store does not keep, what it does not keep is said."""
    with failing(NOT_KEPT) as service, Client(service.url, retries=QUICK) as client:
        with pytest.raises(RequestFailed, match="This store cannot"):
            submit(client)
        with pytest.raises(RequestFailed, match="This store cannot"):
            client.submit("b", "v", 1, key="own")
        with pytest.raises(RequestFailed, match="This store cannot"):
            client.standing_in_full("b", "v", held=True)
    assert [key is None for key in service.keys] == [False, True, False, True]


def test_standing_of_a_poor_store() -> None:
    """Of a standing in full there is what the store can tell; a receipt there is None."""
    poor: Answer = (200, {}, b'{"score":1,"rank":0,"place":0,"total":1}')
    with failing(NOT_KEPT, poor, DONE) as service, Client(service.url) as client:
        found = client.standing_in_full("b", "v")
        assert (found.total, found.percentile, found.windows) == (1, None, None)
        assert client.submit_with_receipt("b", "v", 1) is None


def test_nobody_there() -> None:
    """A service that is not there yet is tried again, whatever the call; the request was not sent."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    with Client(f"http://127.0.0.1:{port}", retries=QUICK) as client, pytest.raises(ServerUnreachable) as error:
        client.release("b", "v")
    assert (error.value.sent, error.value.status) == (False, None)


def test_timeout() -> None:
    """A service that does not answer in time is given up, and the request may have been carried out."""
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Client(url, timeout=0.05, retries=NO_RETRIES) as client, pytest.raises(ServerUnreachable) as error:
            client.health()
    assert error.value.sent
    assert "no answer within 0.05 seconds" in str(error.value)


def error_of(status: int | None, retry_after: int | None = None) -> RequestFailed:
    """Return an error to decide about."""
    kind: Callable[..., RequestFailed] = partial(ServerUnreachable, "x", "y") if status is None else ServerFailed
    if status is None:
        return kind()
    return TooManyRequests("", status=429, retry_after=retry_after) if status == 429 else kind("", status=status)


@pytest.mark.parametrize(
    ("retries", "attempt", "elapsed", "status", "repeat", "wait"),
    [
        (Retries(), 1, 0, None, "safe", 0.1),
        (Retries(), 3, 0, 503, "safe", 0.4),
        (Retries(attempts=20), 10, 0, 503, "safe", 5),
        (Retries(seconds=10), 1, 9.95, 503, "safe", None),
        (Retries(), 6, 0, 503, "safe", None),
        (Retries(), 1, 0, 503, "unsent", None),
        (Retries(), 1, 0, 429, "unsent", 7),
        (Retries(), 1, 54, 429, "unsent", None),
        (Retries(only_if_told=True), 1, 0, 503, "safe", None),
        (Retries(only_if_told=True), 1, 0, 429, "safe", 7),
    ],
)
def test_waiting(
    retries: Retries, attempt: int, elapsed: float, status: int | None, repeat: Repeat, wait: float | None
) -> None:
    """The wait doubles, or is what the service says, and what does not fit into the time there is is not waited for."""
    error = error_of(status, 7)
    if wait is None:
        with pytest.raises(RequestFailed) as raised:
            retries.wait_after(error, attempt, elapsed, 0.0, repeat)
        assert raised.value is error
    else:
        assert retries.wait_after(error, attempt, elapsed, 0.0, repeat) == pytest.approx(wait)
        by_chance = retries.wait_after(error, attempt, elapsed, 1.0, repeat)
        assert by_chance == pytest.approx(wait * (1.1 if status == 429 else 0.5))


PAGE = b'{"leaderboard":[{"name":"v","score":1,"rank":0}],"next":%b}'


@contextmanager
def reading(*answers: bytes) -> Iterator[Client]:
    """Run a service that gives these answers; yield a client of it."""
    with failing(*((200, {}, answer) for answer in answers)) as service, Client(service.url) as client:
        yield client


def test_pages_without_end() -> None:
    """Pages that do not end are refused: a page that is not full, and the same one again."""
    for answers, size in (((PAGE % b'"c"',), 2), ((PAGE % b'"c"', PAGE % b'"d"'), 1)):
        with reading(*answers) as client, pytest.raises(AnswerUnreadable, match="its pages do not end"):
            list(client.pages("b", size=size))


def test_no_json() -> None:
    """What is no answer of Laurels is said to be none."""
    with reading(b"<html>") as client, pytest.raises(AnswerUnreadable, match="did not answer as Laurels does"):
        client.service()
