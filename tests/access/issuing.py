"""Tokens as issuers make them, good and bad, and an issuer of one's own on loopback."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from laurels.access.file import Issuer, Players
from laurels.access.tokens import Tokens
from tests.processes import serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from laurels.access.issuers import Fetch

NOW = 1_800_000_000
SECRET = b"a secret of at least 32 bytes, which this is"
ISSUER, AUDIENCE = "https://issuer.example/", "game"
JWKS = "https://issuer.example/jwks.json"
OWN = {"iss": "laurels", "aud": "laurels", "sub": "v", "exp": NOW + 60}
FOREIGN = {"iss": ISSUER, "aud": AUDIENCE, "sub": "v", "exp": NOW + 60}
ALGORITHMS: dict[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}
HUGE = 300_000


@cache
def private(name: str) -> Any:
    """Return the private key of a name such as RS256, or RS256-2 for a second one."""
    kind = name.partition("-")[0]
    if kind == "RS256":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ES256" else ed25519.Ed25519PrivateKey.generate()


def public(name: str, **changes: object) -> dict[str, Any]:
    """Return the public part as a JSON Web Key, of that name; None takes a member away."""
    key = ALGORITHMS[name.partition("-")[0]].to_jwk(private(name).public_key(), as_dict=True)
    key.pop("key_ops", None)
    return {member: value for member, value in (key | {"kid": name} | changes).items() if value is not None}


def encoded(content: bytes | dict[str, Any]) -> bytes:
    """Return a part of a token."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return urlsafe_b64encode(text).rstrip(b"=")


def signed(claims: bytes | dict[str, Any], name: str, head: dict[str, Any] | None = None) -> bytes:
    """Return a token signed by a private key, which it names in kid; None takes a member of the head away."""
    algorithm = name.partition("-")[0]
    members = {"alg": algorithm, "kid": name} | (head or {})
    message = encoded({key: value for key, value in members.items() if value is not None}) + b"." + encoded(claims)
    return message + b"." + encoded(jwt.get_algorithm_by_name(algorithm).sign(message, private(name)))


def own(
    claims: bytes | dict[str, Any] | None = None,
    head: bytes | dict[str, Any] | None = None,
    secret: bytes = SECRET,
) -> bytes:
    """Return a token signed by the service's secret: with these very bytes, or with what is usual and these changes."""
    members = head if isinstance(head, bytes) else {"alg": "HS256"} | (head or {})
    payload = claims if isinstance(claims, bytes) else OWN | (claims or {})
    message = encoded(members) + b"." + encoded(payload)
    return message + b"." + encoded(jwt.get_algorithm_by_name("HS256").sign(message, secret))


def issuer(*names: str, **changes: Any) -> Issuer:
    """Return an issuer with these keys inline."""
    settings: dict[str, Any] = {"issuer": ISSUER, "audience": AUDIENCE, "keys": tuple(map(public, names))}
    return Issuer(**settings | changes)


def tokens(
    *issuers: Issuer,
    before: Tokens | None = None,
    fetch: Fetch | None = None,
    clock: Callable[[], float] = time.monotonic,
    **players: Any,
) -> Tokens:
    """Return what verifies tokens of the service's own and of these issuers."""
    return Tokens(Players(issuers=issuers, **players), SECRET, before, fetch=fetch, clock=clock)


def key_set(*names: str) -> bytes:
    """Return the document that an issuer has at its URL."""
    return json.dumps({"keys": [public(name) for name in names]}).encode()


class LocalIssuer(ThreadingHTTPServer):
    """An issuer's web server: its answer may be changed, and ``path`` says in what way it is a bad one."""

    daemon_threads = True

    def __init__(self, *names: str) -> None:
        self.names = names
        self.asked: list[str] = []
        self.carried: list[str | None] = []
        self.released = Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that leave before the end of a long answer."""

    def url(self, path: str = "/keys") -> str:
        """Return the URL of its keys."""
        return f"http://127.0.0.1:{self.server_port}{path}"


class _Handler(BaseHTTPRequestHandler):
    server: LocalIssuer

    def do_GET(self) -> None:
        path = self.path
        self.server.asked.append(path)
        self.server.carried.append(self.headers.get("traceparent"))
        if path == "/slow":
            self.server.released.wait(60)
        location = {
            "/moved": "/keys",
            "/circle": "/circle",
            "/away": f"http://localhost:{self.server.server_port}/keys",
        }
        answers = {
            "/html": b"<html>",
            "/nested": b"[" * 100_000,
            "/empty": b'{"keys":[]}',
            "/secret": b'{"keys":[{"kty":"oct","kid":"RS256","k":"eHh4"}]}',
            "/many": b'{"keys":[' + b"{}," * 100 + b"{}]}",
            "/huge": b" " * HUGE,
        }
        content = answers.get(path, key_set(*self.server.names))
        self.send_response(302 if path in location else 500 if path == "/broken" else 200)
        if path in location:
            self.send_header("location", location[path])
        if path == "/encoded":
            self.send_header("content-encoding", "gzip")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def issuing(*names: str) -> AbstractContextManager[LocalIssuer]:
    """Run an issuer with these keys until the end of the block."""
    return serving(LocalIssuer(*names))
