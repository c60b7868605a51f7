"""Requests that a proxy hands on, over both adapters, with a proxy that is trusted and with none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.asking import ask, send_bytes
from tests.conftest import running, started
from tests.http.conftest import ASGI

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Server

FORWARDED = {
    "host": "localhost",
    "x-forwarded-for": "203.0.113.7",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "boards.example",
    "x-forwarded-prefix": "/lb",
}
HEAD = b"".join(b"%b: %b\r\n" % (name.encode(), value.encode()) for name, value in FORWARDED.items())
SUBMIT = b'POST /kart/v HTTP/1.1\r\n%bContent-Length: 11\r\nOrigin: %b\r\n\r\n{"score":1}'


@pytest.fixture(scope="module", params=["protocol", "asgi"])
def trusting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a service that trusts the proxies on this machine, with its settings in either way."""
    data = tmp_path_factory.mktemp("trusting")
    if request.param == "protocol":
        with running(data, "--trusted-proxy", "127.0.0.0/8", "--trusted-proxy", "::1") as server:
            yield server
    else:
        settings = {"LAURELS_DATA": str(data), "LAURELS_TRUSTED_PROXY": "::1 127.0.0.0/8"}
        with started(ASGI, os.environ | settings) as server:
            yield server


def test_trusted(trusting: Server) -> None:
    """The address that the proxy was asked at is the service's."""
    assert ask(trusting, "GET", "/", headers=FORWARDED).json["docs"] == "/lb/-/docs"
    servers = ask(trusting, "GET", "/-/openapi.json", headers=FORWARDED).json["servers"]
    assert servers == [{"url": "https://boards.example/lb"}]


@pytest.mark.parametrize(
    ("origin", "status"),
    [(b"https://boards.example", 202), (b"http://localhost", 403), (b"https://evil.example", 403)],
)
def test_own_pages_behind_a_trusted_proxy(trusting: Server, origin: bytes, status: int) -> None:
    """Pages of the forwarded host are the service's own, whichever way a submit goes."""
    assert send_bytes(trusting, SUBMIT % (HEAD, origin))[0].status == status
    assert send_bytes(trusting, SUBMIT % (HEAD + b"X-Odd: 1\r\n", origin))[0].status == status


def test_host_as_it_comes(trusting: Server) -> None:
    """No field stands for Host where that is what is checked: a page that leads its name here can send any field."""
    spoofed = FORWARDED | {"host": "evil.example", "x-forwarded-host": "localhost"}
    expected = 421 if "uvicorn" not in str(trusting.process.args) else 200  # where no hosts are listed
    assert ask(trusting, "GET", "/kart/v", headers=spoofed).status == expected


def test_trusting_nobody(service: Server) -> None:
    """What is said by a proxy that is not trusted changes nothing."""
    assert ask(service, "GET", "/", headers=FORWARDED).json["docs"] == "/-/docs"
    servers = ask(service, "GET", "/-/openapi.json", headers=FORWARDED).json["servers"]
    assert servers == [{"url": "http://localhost"}]
    assert send_bytes(service, SUBMIT % (HEAD, b"https://boards.example"))[0].status == 403
    assert send_bytes(service, SUBMIT % (HEAD, b"http://localhost"))[0].status == 202
