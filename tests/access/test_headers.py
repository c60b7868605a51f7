"""What a header Authorization may look like, and what becomes of all others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from laurels.access.keys import make_key
from laurels.errors import BadCredential
from laurels.http.access import read_credential
from laurels.limits import CREDENTIAL_CHARACTERS
from tests.access.ways import bearer
from tests.asking import ask, send_bytes
from tests.length import times

if TYPE_CHECKING:
    from tests.access.conftest import Guarded

BODY = b'{"score":1}'


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   "])
def test_scheme_is_of_any_case(guarded: Guarded, scheme: str) -> None:
    """The scheme is a word of HTTP, whose case does not count."""
    headers = {"authorization": scheme + guarded.secrets["submit"]}
    assert ask(guarded.server, "POST", "/scheme/v", {"score": 1}, headers).status == 202


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer\t%b",
        b"Bearer  \t%b",
        b"%b",
        b"Basic %b",
        b"Basic YTpi",
        b"Bearer=%b",
        b"Bearer: %b",
        b'Bearer "%b"',
        b"Bearer %b, Bearer %b",
        b"Bearer %b,",
        b"Bearer %b %b",
        b"Bearer %b\x00",
        b"Bearer \xc3\xa9%b",
        b"Bearer %b\xff",
        b"Bearer =%b",
        b"Bearer Bearer %b",
        b"Bearer " + b"a" * (CREDENTIAL_CHARACTERS + 1),
        b"Bearer a.b.c",
        b"Bearer laurels_",
    ],
    ids=lambda header: header.decode(errors="replace")[:30] or "empty",
)
@pytest.mark.parametrize("way", [b"", b"X-Odd: 1\r\n"], ids=["fast", "llhttp"])
@pytest.mark.parametrize("line", [b"GET /b/v", b"GET /-/health", b"POST /b/v", b"DELETE /b"])
def test_any_other_header_is_refused(guarded: Guarded, header: bytes, way: bytes, line: bytes) -> None:
    """Even with a good key in it, and where the public may: a 401 that says what would be right."""
    shown = header.replace(b"%b", guarded.secrets["admin"].encode())
    body = b"Content-Length: 11\r\n\r\n" + BODY if line.startswith(b"POST") else b"\r\n"
    (reply,) = send_bytes(
        guarded.server, line + b" HTTP/1.1\r\nHost: localhost\r\n" + way + b"Authorization: " + shown + b"\r\n" + body
    )
    if b"\x00" in header:
        assert reply.status == 400  # no header may have that
        return
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == 'Bearer realm="laurels", error="invalid_token"'
    assert guarded.secrets["admin"] not in reply.body.decode()


@pytest.mark.parametrize("second", ["same", "other", "empty"])
@pytest.mark.parametrize("way", [b"", b"X-Odd: 1\r\n"], ids=["fast", "llhttp"])
def test_two_headers_are_refused(guarded: Guarded, second: str, way: bytes) -> None:
    """Who asks twice who it is, is nobody: two readers might each take another one."""
    shown = b"Authorization: Bearer " + guarded.secrets["admin"].encode() + b"\r\n"
    other = b"authorization: Bearer " + guarded.secrets["read"].encode() + b"\r\n"
    others = {"same": shown, "other": other, "empty": b"authorization:\r\n"}
    head = b"DELETE /b HTTP/1.1\r\nHost: localhost\r\n" + way
    for lines in (shown + others[second], others[second] + shown):
        (reply,) = send_bytes(guarded.server, head + lines + b"\r\n")
        assert reply.status == 401


def test_each_bad_key_says_what_is_wrong(guarded: Guarded) -> None:
    """A key that is mistyped is told from one that is not known, and neither answer repeats it."""
    key = guarded.secrets["admin"]
    mistyped, unknown = key.swapcase().replace("LAURELS_", "laurels_"), make_key()
    replies = [ask(guarded.server, "GET", "/b", headers=bearer(shown)) for shown in (mistyped, key[:-1], unknown)]
    assert [reply.status for reply in replies] == [401, 401, 401]
    assert ["mistyped" in reply.json["detail"] for reply in replies] == [True, True, False]
    assert "not known here" in replies[2].json["detail"]
    assert not [reply for reply in replies if "laurels_" in reply.body.decode()]


def test_nothing_shown_is_no_error_of_a_token(guarded: Guarded) -> None:
    """A challenge for who shows nothing names no error (RFC 6750, 3.1)."""
    reply = ask(guarded.server, "POST", "/b/v", {"score": 1})
    assert (reply.status, reply.headers["www-authenticate"]) == (401, 'Bearer realm="laurels"')


@given(st.binary(max_size=80) | st.from_regex(rb"[Bb]earer {1,2}[A-Za-z0-9=.,~ ]{1,9}\n?", fullmatch=True))
@example(b"bearer a\n")
@example(b"bearer  a=")
def test_read_credential(header: bytes) -> None:
    """What is read is what follows the scheme, to the letter, and of the characters that a token has."""
    try:
        found = read_credential(header)
    except BadCredential:
        return
    assert re.fullmatch(r"[A-Za-z0-9._~+/=-]+", found)
    assert header.lower().startswith(b"bearer ")
    assert header.endswith(found.encode())


PIECES = st.sampled_from([b"Bearer", b"bearer", b"Basic", b" ", b"\t", b",", b"=", b"%KEY", b"%READ", b'"', b"\r\n "])
VALUES = st.lists(PIECES | st.binary(max_size=4), max_size=6).map(b"".join)
NAMES = st.sampled_from(
    [b"Authorization", b"authorization", b"AUTHORIZATION ", b"Proxy-Authorization", b"Authorizatio"]
)


@pytest.mark.slow
@settings(max_examples=times(150))
@given(
    lines=st.lists(st.tuples(NAMES, VALUES), max_size=3),
    line=st.sampled_from([b"POST /fuzzed/v", b"DELETE /fuzzed/v", b"PUT /-/boards/fuzzed", b"POST /fuzzed", b"GET /b"]),
    way=st.sampled_from([b"", b"X-Odd: 1\r\n"]),
)
def test_no_header_lets_a_foreign_write_through(
    guarded: Guarded, lines: list[tuple[bytes, bytes]], line: bytes, way: bytes
) -> None:
    """Whatever stands in Authorization, a write that the key in it has no right to is refused, and never with a 500."""
    key = guarded.secrets["metrics"].encode()
    values = [(name, value.replace(b"%KEY", key).replace(b"%READ", key[:-1])) for name, value in lines]
    head = b"".join(name + b": " + value + b"\r\n" for name, value in values)
    request = line + b" HTTP/1.1\r\nHost: localhost\r\n" + way + b"Content-Length: 11\r\n" + head + b"\r\n" + BODY
    (reply,) = send_bytes(guarded.server, request)
    assert reply.status in ({200, 400, 401, 403} if line.startswith(b"GET") else {400, 401, 403})
    assert ask(guarded.server, "GET", "/fuzzed").json == {"leaderboard": []}
