"""TLS: the certificate that a server shows, which can be replaced while it runs, and the handshakes of connections.

**Reloading.** Each handshake takes the context of its moment, and keeps it. A new pair of certificate and key is a new
context, made whole before it takes the place of the old one: connections go on, and no handshake meets half of a pair.

**Handshakes.** A connection counts from its first moment, so that half handshakes come under the limit of connections,
and its handshake ends within the time that the head of a request may take. Beyond the limit there is none: it would
cost a thousand times what the refusal does.

**Memory.** What waits in the layer of TLS, or below, must be seen above, where it is counted. So both layers stop
reading together, and the last byte of a long answer is written by itself: it waits above if the rest waits below.

HSTS is left to proxies. It would bind every service of the host's name, on all ports, for as long as it says.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cryptography import x509

from laurels.adapters.limits import SMALL_BYTES
from laurels.adapters.protocol import LINGERING_AT_ONCE, BoardProtocol
from laurels.errors import CertificateUnusable, explain_os_error

if TYPE_CHECKING:
    from pathlib import Path

    from laurels.adapters.shared import Shared

log = logging.getLogger(__name__)

PASSWORD = "LAURELS_TLS_KEY_PASSWORD"  # noqa: S105 - a variable's name
"""The variable with the password of an encrypted key. No option: arguments are seen by other users."""


class Certificate:
    """A chain of certificates and the key of the first, from files; without a file of its own the key is with them."""

    def __init__(self, chain: Path, key: Path | None = None) -> None:
        """Load both; raise CertificateUnusable."""
        self._chain = chain
        self._key = key or chain
        self.context = self._load()

    async def reload(self) -> None:
        """Load both files anew, for handshakes from now on; raise CertificateUnusable, and keep what there was."""
        self.context = await asyncio.to_thread(self._load)

    def _load(self) -> ssl.SSLContext:
        for file in dict.fromkeys((self._chain, self._key)):
            _check_file(file)
        expires = _check_dates(self._chain)
        context = _make_context()
        self._load_pair(context)
        if self._key.stat().st_mode & stat.S_IRWXO:
            log.warning("The key in %s can be read by every user of this machine: chmod o= %s", self._key, self._key)
        log.info("TLS: the certificate in %s holds until %s.", self._chain, expires)
        return context

    def _load_pair(self, context: ssl.SSLContext) -> None:
        password, is_encrypted = os.environ.get(PASSWORD, ""), False

        def ask() -> str:  # without it OpenSSL would ask at the terminal
            nonlocal is_encrypted
            is_encrypted = True
            return password

        try:
            context.load_cert_chain(self._chain, self._key, ask)
        except (ssl.SSLError, ValueError) as error:  # ValueError: the password is too long for OpenSSL
            if is_encrypted:
                problem = f"the password in {PASSWORD} does not open it" if password else f"{PASSWORD} has no password"
                raise CertificateUnusable(self._key, f"the key is encrypted, and {problem}") from error
            raise CertificateUnusable(self._key, _explain(error, self._chain)) from error


def _explain(error: Exception, chain: Path) -> str:
    reason = getattr(error, "reason", None) or "it holds no private key in PEM"
    if reason == "KEY_VALUES_MISMATCH":
        return f"the key does not belong to the first certificate in {chain}"
    return reason.replace("_", " ").lower() if reason.isupper() else reason


def _check_file(file: Path) -> None:
    try:
        if not file.is_file():
            file.stat()
            raise CertificateUnusable(file, "it is no regular file")
        file.open("rb").close()
    except (OSError, ValueError) as error:
        raise CertificateUnusable(file, explain_os_error(error)) from error


def _check_dates(chain: Path) -> datetime:
    """Return when the first of a chain of certificates expires."""
    try:
        first = x509.load_pem_x509_certificates(chain.read_bytes())[0]
    except ValueError as error:
        raise CertificateUnusable(chain, "it holds no certificate in PEM") from error
    begins, expires, now = first.not_valid_before_utc, first.not_valid_after_utc, datetime.now(UTC)
    if not begins <= now < expires:
        problem = f"expired at {expires}" if now >= expires else f"is not valid before {begins}"
        raise CertificateUnusable(chain, f"the certificate {problem}, and it is {now:%Y-%m-%d %H:%M:%S+00:00} here")
    return expires


def _make_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION  # by which a client of TLS 1.2 could have us calculate for ever
    context.set_alpn_protocols(["http/1.1"])
    return context


class Handshake(asyncio.Protocol):
    """A connection until it speaks TLS; then it is a :class:`BoardProtocol`'s."""

    def __init__(self, *given: Any, shared: Shared, certificate: Certificate, **named: Any) -> None:
        """Take what uvicorn gives a protocol."""
        self._protocol = BoardProtocol(*given, **named, shared=shared)
        self._shared = shared
        self._certificate = certificate

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Join the server's connections, and begin."""
        self._transport = transport
        limits, connections = self._shared.limits, self._protocol.connections
        if len(connections) >= limits.max_connections + LINGERING_AT_ONCE:
            transport.abort()
            return
        connections.add(self)  # type: ignore[arg-type]
        transport.set_write_buffer_limits(0)
        self._starting = asyncio.get_running_loop().start_tls(
            transport,
            self,  # not yet the other: if the handshake fails, this one is lost
            self._certificate.context,
            server_side=True,
            ssl_handshake_timeout=limits.head_timeout,
            ssl_shutdown_timeout=limits.linger_timeout,
        )
        # Begun here, and not as a task: that would begin when the first bytes have been read, and are lost.
        self._starting.send(None).add_done_callback(self._end)

    def _end(self, _: asyncio.Future[None]) -> None:
        self._protocol.connections.discard(self)
        try:
            self._starting.send(None)
        except StopIteration as returned:
            transport = returned.value
            if not transport.is_closing():
                transport.set_protocol(self._protocol)
                self._protocol.connection_made(_Secured(transport, self._transport))  # type: ignore[arg-type]
        except OSError:  # no TLS, too slow, or gone
            return

    def check_time(self) -> None:
        """Leave the time to the limit that the handshake was begun with."""

    def shutdown(self) -> None:
        """Close: there is no request yet."""
        self._transport.abort()


class _Secured:
    """The transport of TLS over another, with the flow control of both."""

    def __init__(self, above: asyncio.Transport, below: asyncio.Transport) -> None:
        self._above = above
        self._below = below
        self.is_closing = above.is_closing  # for speed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._above, name)

    def write(self, data: bytes) -> None:
        """Write; the protocol is paused if the socket does not take it."""
        if len(data) > SMALL_BYTES:
            self._above.write(data[:-1])
            data = data[-1:]
        self._above.write(data)

    def set_write_buffer_limits(self, _: int) -> None:
        """Pause the protocol at the first byte that waits: uvloop's TLS would take 0 for an end to all writing."""
        self._above.set_write_buffer_limits(1, 0)

    def pause_reading(self) -> None:
        """Let the client wait, not its bytes here."""
        self._above.pause_reading()
        self._below.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._below.resume_reading()
        self._above.resume_reading()

    def close(self) -> None:
        """Close, when the client has said the same."""
        self._above.close()
        self._below.resume_reading()
