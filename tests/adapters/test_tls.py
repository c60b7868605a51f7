"""TLS of ``laurels serve``, with real certificates: what it speaks, what it takes, and what it reads again."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from select import select
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from laurels.adapters.protocol import LINGERING_AT_ONCE
from laurels.cli import main
from tests.adapters.test_server import refusal
from tests.asking import connected, read_replies
from tests.conftest import running, started

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.asking import Reply
    from tests.conftest import Server

SERVE = [sys.executable, "-m", "laurels", "serve", "--port", "0"]
PASSWORD = "open sesame"  # noqa: S105 - of a key that is made here
GET = b"GET /tls/v HTTP/1.1\r\nHost: localhost\r\n\r\n"
SUBMIT = b'POST /tls/v HTTP/1.1\r\nHost: localhost\r\nContent-Length: 12\r\n\r\n{"score":42}'
NOW = datetime.now(UTC)


class Site:
    """An authority, and the files of a server whose certificates it signs."""

    def __init__(self, directory: Path) -> None:
        self.authority = trustme.CA()
        self.directory = directory
        self.chain, self.key, self.trust = (directory / f"{name}.pem" for name in ("chain", "key", "trust"))
        self.authority.cert_pem.write_to_path(str(self.trust))

    def issue(self, *names: str, **more: Any) -> None:
        """Write a new certificate, and its key, to the files."""
        issued = self.authority.issue_cert(*(names or ("localhost", "127.0.0.1")), **more)
        self.chain.write_bytes(b"".join(each.bytes() for each in issued.cert_chain_pems))
        self.key.touch(0o600)
        self.key.write_bytes(issued.private_key_pem.bytes())

    @property
    def options(self) -> list[str]:
        """The options of the command that serves with the files."""
        return ["--tls-cert", str(self.chain), "--tls-key", str(self.key)]

    def client(self, *, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
        """Return the context of a client that trusts the authority."""
        context = ssl.create_default_context(cafile=self.trust)
        context.maximum_version = newest
        return context

    @contextmanager
    def connected(self, server: Server, **more: Any) -> Iterator[ssl.SSLSocket]:
        """Open a connection that has shaken hands."""
        with connected(server) as plain, self.client(**more).wrap_socket(plain, server_hostname="localhost") as made:
            yield made

    def ask(self, server: Server, request: bytes = GET) -> Reply:
        """Return the answer to one request over a new connection."""
        with self.connected(server) as connection:
            connection.sendall(request)
            return read_replies(connection, 1)[0]


def names_of(connection: ssl.SSLSocket) -> list[str]:
    """Return the names in the certificate that a server showed."""
    shown: Any = connection.getpeercert()
    return [value for _, value in shown["subjectAltName"]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Give a site that no test changes."""
    site = Site(tmp_path_factory.mktemp("site"))
    site.issue()
    return site


@pytest.fixture
def own(tmp_path: Path) -> Site:
    """Give a site to change."""
    site = Site(tmp_path)
    site.issue()
    return site


@pytest.fixture(scope="module")
def secure(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a service that gives clients an hour."""
    with running(tmp_path_factory.mktemp("secure"), *site.options, "--head-timeout", "1h") as server:
        yield server


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda each: each.name)
def test_every_way_of_a_request(site: Site, secure: Server, newest: ssl.TLSVersion) -> None:
    """The fast path, the full parser and the application answer over it, in the order of the requests."""
    odd = GET.replace(b"Host", b"X-Odd: 1\r\nHost")
    document = b"GET /-/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with site.connected(secure, newest=newest) as connection:
        assert connection.version() == newest.name.replace("_", ".")
        connection.sendall(SUBMIT + GET + odd + document + GET)
        replies = read_replies(connection, 5)
    assert [reply.status for reply in replies] == [202, 200, 200, 200, 200]
    assert replies[4].json == {"score": 42, "rank": 0}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=lambda each: each.name)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions(site: Site, secure: Server, version: ssl.TLSVersion) -> None:
    """Versions before 1.2 are not spoken."""
    context = site.client()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with connected(secure) as plain, pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(plain, server_hostname="localhost")


def test_protocol_is_agreed_on(site: Site, secure: Server) -> None:
    """A client that offers HTTP/2 too learns that HTTP/1.1 is spoken here."""
    context = site.client()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with connected(secure) as plain, context.wrap_socket(plain, server_hostname="localhost") as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"


def test_addresses_say_https(site: Site, secure: Server) -> None:
    """The line of the log, the document and the page have the right scheme."""
    assert secure.url.startswith("https://")
    for path in (b"/-/openapi.json", b"/-/docs"):
        request = b"GET %b HTTP/1.1\r\nHost: localhost:1\r\n\r\n" % path
        assert b"https://localhost:1" in site.ask(secure, request).body


def test_request_behind_the_last_of_the_handshake(site: Site, secure: Server) -> None:
    """A request that comes in one piece with the end of the handshake is answered."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = site.client().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with connected(secure) as connection:
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        connection.sendall(outgoing.read())
        while True:
            incoming.write(connection.recv(65536))
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                pass
        client.write(GET)
        connection.sendall(outgoing.read())
        answer = b""
        while b"\r\n\r\n" not in answer:
            incoming.write(connection.recv(65536))
            with suppress(ssl.SSLWantReadError):
                answer += client.read()
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("sent", [GET, b"GET /", b"PUT /a b", b"\x80" * 50], ids=["whole", "begun", "cut", "noise"])
def test_client_that_speaks_no_tls(secure: Server, sent: bytes) -> None:
    """It gets the end of its connection at once, and no answer."""
    with connected(secure) as connection:
        connection.sendall(sent)
        assert read_to_end(connection) == b""


def read_to_end(connection: socket.socket) -> bytes:
    """Return what comes until the end of a connection."""
    try:
        return b"".join(iter(lambda: connection.recv(65536), b""))
    except ConnectionResetError:
        return b""


def test_client_that_closes_before_its_answers(own: Site, tmp_path: Path) -> None:
    """The end of TLS ends the connection, and is no line of the log."""
    with running(tmp_path / "data", *own.options) as server:
        with own.connected(server) as connection:
            connection.sendall(SUBMIT * 50)
            with suppress(OSError):  # an answer came behind the end
                connection.unwrap()
        assert own.ask(server).status == 200
        server.stop()
    assert not [line for line in server.log if "WARNING" in line or "ERROR" in line]


def test_handshake_that_takes_too_long(own: Site, tmp_path: Path) -> None:
    """A handshake has the time of a head."""
    with running(tmp_path / "data", *own.options, "--head-timeout", "1") as server, connected(server) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert read_to_end(connection) == b""


def test_half_handshakes_are_connections(own: Site, tmp_path: Path) -> None:
    """They count; beyond the limit a few are refused over TLS, and more are closed without a handshake."""
    with running(tmp_path / "data", *own.options, "--max-connections", "2", "--head-timeout", "1h") as server:
        with ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(connected(server)).sendall(b"\x16\x03\x01\x02\x00\x01")
            refused = stack.enter_context(own.connected(server))
            assert read_replies(refused, 1)[0].status == 503
            refused.close()
            further = [stack.enter_context(connected(server)) for _ in range(LINGERING_AT_ONCE + 1)]
            assert not [each for each in select(further, [], [], 10)[0] if read_to_end(each)]
        assert server.stop() == 0


def test_stop_amid_handshakes(own: Site, tmp_path: Path) -> None:
    """A connection that has not shaken hands does not keep the service from its end."""
    with running(tmp_path / "data", *own.options, "--head-timeout", "1h") as server, connected(server) as connection:
        connection.sendall(b"\x16\x03\x01")
        own.ask(server)
        assert server.stop() == 0


# The files


def test_reload(own: Site, tmp_path: Path) -> None:
    """SIGHUP has new connections shown the new certificate; those that are open go on."""
    with running(tmp_path / "data", *own.options) as server, own.connected(server) as before:
        own.issue("localhost", "new.example")
        assert names_of(before) == ["localhost", "127.0.0.1"]
        assert hang_up(server).endswith(f"INFO SIGHUP: reloaded the certificate {own.chain}.\n")
        with own.connected(server) as after:
            assert names_of(after) == ["localhost", "new.example"]
        before.sendall(GET)
        assert read_replies(before, 1)[0].status == 200


def hang_up(server: Server) -> str:
    """Send SIGHUP; return what the log says of it, which is one line."""
    before = len(server.log)
    server.process.send_signal(signal.SIGHUP)
    (line,) = server.wait_for_line("SIGHUP", before)
    return line


def encrypt(site: Site) -> None:
    """Encrypt the key of a site."""
    key = load_pem_private_key(site.key.read_bytes(), None)
    password = BestAvailableEncryption(PASSWORD.encode())
    site.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, password))


def keep_old_key(site: Site) -> None:
    """Replace the certificate alone."""
    key = site.key.read_bytes()
    site.issue()
    site.key.write_bytes(key)


def make_pipe(site: Site) -> None:
    """Put a pipe where the key is."""
    site.key.unlink()
    os.mkfifo(site.key)


DAY = timedelta(days=1)
WRONG: dict[str, tuple[Callable[[Site], object], str, str]] = {
    "of another key": (keep_old_key, "key", "the key does not belong to the first certificate in "),
    "expired": (lambda site: site.issue(not_after=NOW - DAY), "chain", "the certificate expired at "),
    "of tomorrow": (lambda site: site.issue(not_before=NOW + DAY), "chain", "the certificate is not valid before "),
    "no certificate": (lambda site: site.chain.unlink(), "chain", "no such file or directory"),
    "no key": (lambda site: site.key.unlink(), "key", "no such file or directory"),
    "certificate not in PEM": (lambda site: site.chain.write_bytes(b"\x30\x82\0"), "chain", "no certificate in PEM"),
    "empty certificate": (lambda site: site.chain.write_bytes(b""), "chain", "it holds no certificate in PEM"),
    "key not in PEM": (lambda site: site.key.write_bytes(b"\x30\x82"), "key", "it holds no private key in PEM"),
    "the certificate twice": (lambda site: site.key.write_bytes(site.chain.read_bytes()), "key", "no private key"),
    "encrypted key": (encrypt, "key", "the key is encrypted, and LAURELS_TLS_KEY_PASSWORD has no password"),
    "a pipe": (make_pipe, "key", "it is no regular file"),
}


@pytest.fixture(scope="module")
def reloading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Server]]:
    """Run a service over files that tests change."""
    site = Site(tmp_path_factory.mktemp("changing"))
    site.issue()
    with running(tmp_path_factory.mktemp("reloading"), *site.options) as server:
        yield site, server


@pytest.mark.parametrize(("spoil", "file", "problem"), WRONG.values(), ids=WRONG)
def test_files_that_cannot_be_used(
    reloading: tuple[Site, Server], tmp_path: Path, spoil: Callable[[Site], object], file: str, problem: str
) -> None:
    """At the start that is an error, which names the file; at a reload the old pair stays."""
    site, server = reloading
    for path in (site.chain, site.key):
        path.unlink(missing_ok=True)  # what the test before left may be a pipe
    site.issue()
    spoil(site)
    said = hang_up(server)
    assert f" ERROR SIGHUP: the certificate {site.chain} is not reloaded, and stays as it was: The file " in said
    assert site.ask(server).status == 200
    refused = CliRunner().invoke(main, ["serve", "--data", str(tmp_path / "not-made"), *site.options])
    assert (refused.exit_code, refused.stderr.count("\n"), (tmp_path / "not-made").exists()) == (1, 1, False)
    assert refused.stderr.startswith(f"Error: The file {site.directory / file}.pem cannot be used for TLS: ")
    assert problem in refused.stderr
    assert problem in said


def test_directory(own: Site, tmp_path: Path) -> None:
    """A directory is no file."""
    said = refusal([*SERVE, "--tls-cert", str(own.directory)], tmp_path)
    assert "cannot be used for TLS: it is no regular file. Correct" in said


def test_file_that_may_not_be_read(own: Site, tmp_path: Path) -> None:
    """So is one that the process has no right to."""
    own.key.chmod(0)
    unprivileged = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *SERVE]
    assert "cannot be used for TLS: permission denied" in refusal([*unprivileged, *own.options], tmp_path)


def test_key_without_a_certificate(site: Site) -> None:
    """A key alone would be passed over in silence."""
    done = subprocess.run([*SERVE, "--tls-key", str(site.key)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "name that with --tls-cert" in done.stderr


def test_key_in_the_file_of_the_certificate(own: Site, tmp_path: Path) -> None:
    """One file may hold both, in any order."""
    own.chain.write_bytes(own.key.read_bytes() + own.chain.read_bytes())
    with running(tmp_path / "data", "--tls-cert", str(own.chain)) as server:
        assert own.ask(server).status == 200


def serving_with(password: str) -> dict[str, str]:
    """Return the environment of a service whose key has this password."""
    return os.environ | {"LAURELS_TLS_KEY_PASSWORD": password}


def test_encrypted_key(own: Site, tmp_path: Path) -> None:
    """Its password comes from the environment, and stands in no line of the log."""
    encrypt(own)
    command = [*SERVE, "--data", str(tmp_path / "data"), *own.options]
    with started(command, serving_with(PASSWORD)) as server:
        assert own.ask(server).status == 200
    assert PASSWORD not in "".join(server.log)


@pytest.mark.parametrize("password", ["open barley", "x" * 5000], ids=["wrong", "long"])
def test_wrong_password(own: Site, tmp_path: Path, password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not open it is not repeated."""
    encrypt(own)
    monkeypatch.setenv("LAURELS_TLS_KEY_PASSWORD", password)
    said = refusal([*SERVE, *own.options], tmp_path)
    assert "the key is encrypted, and the password in LAURELS_TLS_KEY_PASSWORD does not open it" in said
    assert password not in said


@pytest.mark.parametrize(("mode", "warnings"), [(0o604, 1), (0o640, 0)])
def test_key_that_others_can_read(own: Site, tmp_path: Path, mode: int, warnings: int) -> None:
    """A key that every user can read is a warning; a group may be meant to."""
    own.key.chmod(mode)
    with running(tmp_path / "data", *own.options) as server:
        pass
    assert len([line for line in server.log if "can be read by every user" in line]) == warnings


def test_log_says_until_when(own: Site, tmp_path: Path) -> None:
    """The log says when the certificate expires."""
    own.issue(not_after=(expires := NOW.replace(microsecond=0) + DAY))
    with running(tmp_path / "data", *own.options) as server:
        pass
    assert f"TLS: the certificate in {own.chain} holds until {expires}." in "".join(server.log)


# The command line as a client


def test_command_line(site: Site, secure: Server) -> None:
    """The commands check the certificate against SSL_CERT_FILE, and say what is wrong without it."""
    address = f"https://localhost:{secure.port}"
    command = [sys.executable, "-m", "laurels", "submit", "cli", "v", "7", "--server", address]
    trusting = os.environ | {"SSL_CERT_FILE": str(site.trust)}
    assert subprocess.run(command, env=trusting, capture_output=True, check=False, timeout=60).returncode == 0
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "TLS failed: unable to get local issuer certificate" in done.stderr) == (3, True)
