"""Pages of other origins: which may write, and what the answers say to browsers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from laurels.errors import BadOrigin
from laurels.http import Request, Response
from laurels.http.cors import ALLOWED_HEADERS, EXPOSED_HEADERS, PREFLIGHT_SECONDS, Cors
from laurels.http.operations import OPERATIONS, SUBMIT
from laurels.http.problems import HTTPError

if TYPE_CHECKING:
    from laurels.http.operation import Operation

GAME, OTHER = "https://game.example", "https://other.example:8443"
OWN = [
    ("localhost:8000", "http://localhost:8000"),
    ("localhost:8000", "http://localhost.:8000"),
    ("localhost:8000", "HTTPS://LOCALHOST:8000"),
    ("localhost:8000", "capacitor://localhost:8000"),
    ("localhost:80", "http://localhost"),
    ("localhost", "http://localhost:80"),
    ("boards.example", "https://boards.example"),
    ("boards.example:443", "https://boards.example"),
    ("Boards.example.", "http://boards.example"),
    ("[::1]:80", "http://[0::1]"),
]
FOREIGN = [
    *(
        ("localhost:8000", f"http://{host}")
        for host in ("localhost", "localhost:8001", "127.0.0.1:8000", "evil.example")
    ),
    *(
        ("localhost:8000", origin)
        for origin in ("null", "", "file://", "http://", "//localhost:8000", "localhost:8000")
    ),
    *(
        ("localhost:8000", f"http://localhost:8000{more}")
        for more in (", http://localhost:8000", " http://a", "/", "@a")
    ),
    ("localhost:80", "https://localhost"),
    ("localhost:443", "http://localhost"),
    ("", "http://localhost"),
    ("a b", "http://a"),
]


def may_write(cors: Cors, host: str, origin: str) -> bool:
    """Return whether a page may submit."""
    headers = {b"host": host.encode(), b"origin": origin.encode()} if host else {b"origin": origin.encode()}
    try:
        cors.check(Request("POST", b"/b/v", b"", headers), SUBMIT)
    except HTTPError as error:
        return error.status != 403
    return True


def answer(cors: Cors, origin: str | None, response: Response | None = None) -> dict[bytes, bytes]:
    """Return the headers of an answer to a request with this Origin."""
    headers = {} if origin is None else {b"origin": origin.encode()}
    return dict(cors(Request("GET", b"/b", b"", headers), response or Response(200)).headers)


@pytest.mark.parametrize(("host", "origin"), OWN)
def test_own_pages_may_write(host: str, origin: str) -> None:
    """The service's own pages have its host and port, whatever scheme a proxy speaks."""
    assert may_write(Cors(), host, origin)


@pytest.mark.parametrize(("host", "origin"), FOREIGN)
def test_foreign_pages_may_not_write(host: str, origin: str) -> None:
    """Every other origin is foreign, null and several too, unless any is allowed."""
    assert not may_write(Cors([GAME]), host, origin)
    assert may_write(Cors([GAME, "*"]), host, origin)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (GAME, True),
        ("HTTPS://GAME.example:443", True),
        (OTHER, True),
        ("http://game.example", False),
        (f"{GAME}:8443", False),
    ],
)
def test_allowed_pages_may_write_and_read(origin: str, *, allowed: bool) -> None:
    """Those of an allowed origin may do both, and are told so by the name that they have themselves."""
    cors = Cors([GAME, OTHER])
    assert may_write(cors, "localhost:8000", origin) is allowed
    expected = {b"access-control-allow-origin": origin.encode(), b"access-control-expose-headers": EXPOSED_HEADERS}
    assert answer(cors, origin) == {b"vary": b"origin"} | (expected if allowed else {})


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: f"{operation.method} {operation.path}")
def test_what_a_write_is(operation: Operation) -> None:
    """Foreign pages may ask for what needs the right to read, or none; and for what there is not, which is a 404."""
    request = Request("POST", b"/b/v", b"", {b"origin": b"null"})
    if operation.scope in {None, "read"}:
        Cors().check(request, operation)
    else:
        with pytest.raises(HTTPError, match="may not write here"):
            Cors().check(request, operation)
    Cors().check(request, None)
    Cors().check(Request("POST", b"/b/v", b"", {}), operation)


def test_one_origin_is_told_to_all() -> None:
    """A single origin needs no Origin header to be told, as at the gateway on AWS; its name is as browsers write it."""
    for origin in (None, "https://evil.example"):
        assert answer(Cors(["HTTPS://Game.example:443"]), origin)[b"access-control-allow-origin"] == GAME.encode()
    refused = Cors([GAME])(None, Response(408))
    assert dict(refused.headers)[b"access-control-allow-origin"] == GAME.encode()


def test_any_origin_does_not_vary() -> None:
    """If all may read, caches need not keep the answers apart."""
    assert answer(Cors(["*", GAME]), GAME).get(b"vary") is None
    assert answer(Cors(["*"]), None)[b"access-control-allow-origin"] == b"*"


@pytest.mark.parametrize("origin", [GAME, "https://evil.example"], ids=["allowed", "foreign"])
def test_preflight(origin: str) -> None:
    """What tells the allowed methods tells a browser all it asks for, to be kept; a foreign page is told nothing."""
    headers = answer(Cors([GAME, OTHER]), origin, Response(204, headers=((b"allow", b"GET, PUT"),)))
    told = {
        b"access-control-allow-methods": b"GET, PUT",
        b"access-control-allow-headers": ALLOWED_HEADERS,
        b"access-control-max-age": b"%d" % PREFLIGHT_SECONDS,
    }
    assert (told.items() <= headers.items()) is (origin == GAME)
    assert (b"access-control-allow-methods" in headers) is (origin == GAME)


@pytest.mark.parametrize(
    "origin",
    ["game.example", f"{GAME}/", f"{GAME}/path", "null", "", "https://", "https://*.example", f"{GAME},{OTHER}", "**"],
)
def test_settings_that_are_no_origin(origin: str) -> None:
    """A setting that no page could have is refused, with what it should be."""
    with pytest.raises(BadOrigin, match=r"is no origin: it must be"):
        Cors([origin])


def test_origin_of_an_app() -> None:
    """Packaged apps have schemes of their own."""
    assert may_write(Cors(["capacitor://localhost"]), "boards.example", "capacitor://localhost")
