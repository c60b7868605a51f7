"""Secrets stand nowhere: in no log line, no answer, no repr and no error, whatever becomes of a request."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import jwt
import pytest

from laurels.access.file import AccessFile, Key, read_access
from laurels.access.keys import digest_key, make_key
from laurels.access.principal import Principal
from laurels.adapters.gateway import EventContext, HTTPEvent, ProxyEvent, RequestLine
from laurels.errors import BadCredential, LaurelsError
from laurels.http.access import Access, read_credential
from laurels.http.messages import Request
from laurels.http.operations import STANDING
from tests.access.ways import KeyRing, bearer, serving
from tests.asking import ask, connected, send_bytes

if TYPE_CHECKING:
    from pathlib import Path

BROKEN = [b"GET /b/v HTTP/1.1\r\n%b\r\n\r\n", b"GET /b/v HTTP/3.0\r\nHost: a\r\n%b\r\n\r\n", b"%b\r\n\r\n"]
SIGNED_BY = "the secret that all tokens are signed with"


def shown(credential: str) -> Request:
    """Return a request that shows a credential."""
    return Request("GET", b"/b/v", b"", {b"authorization": f"Bearer {credential}".encode()})


def test_no_log_line_and_no_answer(tmp_path: Path) -> None:
    """Neither of good, bad, malformed, refused or broken requests, nor of a reload, with every line logged."""
    ring = KeyRing()
    ring.add("admin", ["admin"])
    unknown, cut = make_key(), ring.secrets["admin"][:-3]
    (tmp_path / "secret").write_text(SIGNED_BY)
    file = ring.write(tmp_path / "access.toml", '[players]\nsecret = "file:secret"')
    claims = {"iss": "laurels", "aud": "laurels", "sub": "v", "exp": time.time() + 60}
    tokens = [jwt.encode(claims, secret, "HS256") for secret in (SIGNED_BY, SIGNED_BY[::-1])]
    credentials = [ring.secrets["admin"], unknown, cut, *tokens]
    answers = b""
    with serving(tmp_path / "data", file, {"LAURELS_LOG_REQUESTS": "1"}) as server:
        for credential in credentials:
            for method, path in (("GET", "/b/v"), ("POST", "/b/v"), ("DELETE", "/-/keys/none"), ("GET", "/-/keys")):
                body = {"score": 1} if method == "POST" else None
                reply = ask(server, method, path, body, bearer(credential))
                answers += reply.body + repr(reply.headers).encode()
            line = f"Authorization: Bearer {credential}".encode()
            for broken in (
                b"GET /b/v HTTP/1.1\r\n%b\r\n\r\n",
                b"GET /b/v HTTP/3.0\r\nHost: a\r\n%b\r\n\r\n",
                b"%b\r\n\r\n",
            ):
                answers += send_bytes(server, broken % line)[0].body
            with connected(server) as connection:
                connection.sendall(b"POST /b HTTP/1.1\r\nHost: localhost\r\n%b\r\nContent-Length: 9\r\n\r\n" % line)
        file.write_text(f"[keys.admin]\nsha256 = {ring.secrets['admin']!r}\n")
        server.process.send_signal(1)
        server.wait_for_line("not reloaded")
        server.stop()
        server.reading.join(30)
        log = "".join(server.log)
    parts = [
        SIGNED_BY,
        *(part for credential in credentials for part in credential.split(".") if "eyJhbGci" not in part),
    ]
    parts += [digest_key(ring.secrets["admin"])]
    assert not [part for part in parts if part in log or part.encode() in answers]
    assert "GET" in log


def test_no_repr() -> None:
    """What holds a secret, or what it was made of, does not show it."""
    key = make_key()
    file = AccessFile(keys={"game": Key(digest_key(key), ("read",))})
    access = Access(file)
    principal = access.authenticate(shown(key), STANDING)
    assert isinstance(principal, Principal)
    request = shown(key)
    headers = {name.decode(): value.decode() for name, value in request.headers.items()}
    texts = [
        repr(request),
        repr(ProxyEvent("GET", "/b/v", headers=headers)),
        repr(HTTPEvent("/b/v", EventContext(RequestLine("GET")), headers=headers)),
        repr(access),
        str(access),
        repr(principal),
        str(principal),
        repr(access.credential_cache),
        repr(vars(access)),
    ]
    assert not [text for text in texts if key in text]


@pytest.mark.parametrize(
    "credential",
    [make_key(), make_key()[:-1], "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "Basic"],
    ids=["key", "mistyped", "no token", "unsigned token", "word"],
)
def test_no_error(credential: str) -> None:
    """The error for a credential repeats nothing of it."""
    access = Access(AccessFile())
    with pytest.raises(BadCredential) as caught:
        access.authenticate(shown(credential), STANDING)
    assert credential not in str(caught.value)
    with pytest.raises(BadCredential) as caught:
        read_credential(f"Basic {credential}".encode())
    assert credential not in str(caught.value)


def test_no_error_of_a_file(tmp_path: Path) -> None:
    """A key that was pasted where its digest belongs is not repeated."""
    key = make_key()
    for text in (f'[keys.a]\nsha256 = "{key}"', f'[players]\nsecret = "{key}"', f'[keys.{key}]\nsha256 = "a"'):
        (tmp_path / "access.toml").write_text(text)
        with pytest.raises(LaurelsError) as caught:
            read_access(tmp_path / "access.toml")
        assert key not in str(caught.value)
