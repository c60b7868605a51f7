"""The command that runs a Momento server on this machine."""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click
import grpc
import uvicorn

from laurels.cli.printing import write, write_json
from laurels.momento_local.accounts import Account
from laurels.momento_local.caches import LARGEST_ITEM
from laurels.momento_local.certificates import issue
from laurels.momento_local.connecting import Connections
from laurels.momento_local.errors import BadArgument, NotListening
from laurels.momento_local.faults import parse
from laurels.momento_local.keys import SECRET_BYTES, Keys
from laurels.momento_local.server import LARGEST_MESSAGE, OPEN_CALLS, MomentoServer
from laurels.momento_local.web import Web

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

SHUTDOWN_SECONDS = 1
TLS_PORT, ACCOUNT_PORT = 8443, 8081
MOST_CALLS = 1_000_000
EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 - addresses to listen on, which clients cannot connect to
LOOPBACK = {"127.0.0.1", "::1"}

EPILOG = """\b
Examples:
  laurels momento-local
  laurels momento-local --cache boards --env-file momento.env
  laurels momento-local --tls --secret-file momento.secret
  laurels momento-local --fault SortedSetPut:UNAVAILABLE:3 --fault SortedSetFetch:delay=200ms
"""


class Settings(NamedTuple):
    """The options of the command; a port is None if it is not given."""

    host: str
    port: int
    tls: bool
    tls_port: int | None
    account_port: int | None
    ca_file: Path
    secret_file: Path | None
    needs_key: bool
    caches: tuple[str, ...]
    faults: tuple[str, ...]
    max_calls: int
    max_item_bytes: int

    def choose_port(self, port: int | None, usual: int) -> int:
        """Return a further port: the given one, or else the usual one, or a free one (0) if --port is 0 too."""
        return port if port is not None else usual if self.port else 0


def _faults(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            parse(value)
        except BadArgument as error:
            raise click.BadParameter(str(error)) from error
    return values


def _port_option(name: str, default: int, about: str) -> Callable[[F], F]:
    """Make the option for a port; its value is None if it is not given."""
    return click.option(
        name,
        type=click.IntRange(0, 65535),
        metavar="N",
        show_default=str(default),
        help=f"{about}; 0 takes a free one, and so does --port 0.",
    )


def _file_option(name: str, about: str, default: Path | None = None) -> Callable[[F], F]:
    return click.option(
        name,
        type=click.Path(dir_okay=False, path_type=Path),
        default=default,
        show_default=default is not None,
        help=about,
    )


@click.command(epilog=EPILOG)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    default=8080,
    show_default=True,
    help="Port to listen on without TLS; 0 takes a free one.",
)
@click.option("--tls", is_flag=True, help="Listen with TLS too, for programs that can be given nothing but a key.")
@_port_option("--tls-port", TLS_PORT, "Port to listen on with TLS")
@_port_option(
    "--account-port", ACCOUNT_PORT, "Port over HTTP: of the account API, which makes and revokes keys, and of gRPC-Web"
)
@click.option("--cache", "caches", metavar="NAME", multiple=True, help="Create a cache at the start. Can be repeated.")
@click.option(
    "--fault",
    "faults",
    metavar="FAULT",
    multiple=True,
    callback=_faults,
    help="Fail or delay a call: CALL:STATUS or CALL:delay=200ms, with :COUNT only so many times. Can be repeated.",
)
@click.option(
    "--max-calls",
    type=click.IntRange(1, MOST_CALLS),
    metavar="N",
    default=OPEN_CALLS,
    show_default=True,
    help="Calls that may be open at once, subscriptions among them; the next one is RESOURCE_EXHAUSTED.",
)
@click.option(
    "--max-item-bytes",
    type=click.IntRange(1, LARGEST_MESSAGE),
    metavar="N",
    default=LARGEST_ITEM,
    show_default=True,
    help="Bytes of an item with its key; a whole sorted set is one. A larger one is RESOURCE_EXHAUSTED.",
)
@click.option("--require-key", "needs_key", is_flag=True, help="Refuse calls without any key.")
@_file_option(
    "--secret-file", "Keep the secret that signs the keys in this file, so that the next start has the same keys."
)
@_file_option("--env-file", "Write the keys to this file, as shell exports that only you may read.")
@_file_option("--ca-file", "Where --tls writes the certificate for clients to trust.", Path("momento-local-ca.pem"))
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object on stdout.")
def momento_local(*, env_file: Path | None, as_json: bool, **options: Any) -> None:
    """Run a Momento server on this machine.

    Programs that use Momento can run against it without an account. It prints its keys, and lines of code that connect
    the official Python and JavaScript SDKs to it. All data is in memory, and gone when the server ends. The key of
    every call is checked; a call without any key, as the SDKs' forMomentoLocal makes, may do everything unless
    --require-key is given.

    It has all calls on sorted sets, leaderboards and scalars, topics, caches, disposable tokens and API keys; any other
    call is answered UNIMPLEMENTED. Faults can be changed while it runs, over the account API: PUT /-/faults.
    """
    settings = Settings(**options)

    def announce(connections: Connections) -> None:
        if env_file:
            connections.write_exports(env_file)
        if as_json:
            write_json(connections)
        else:
            write(*connections.page().split("\n"))

    asyncio.run(_serve(settings, announce))


async def _serve(settings: Settings, announce: Callable[[Connections], None]) -> None:
    """Serve until SIGINT or SIGTERM; announce the connections once the server can be reached."""
    keys = Keys(_read_secret(settings.secret_file), time.time, is_open=not settings.needs_key)
    momento = MomentoServer(keys, most=settings.max_calls, largest=settings.max_item_bytes)
    for cache in settings.caches:
        momento.caches.create(cache)
    for fault in settings.faults:
        momento.faults.plan(fault)
    with _open_socket(settings.host, settings.choose_port(settings.account_port, ACCOUNT_PORT)) as account:
        connections = _listen(momento, keys, settings, account.getsockname()[1])
        momento.tokens.endpoint = connections.place
        await momento.start()
        try:
            server = _http_server(Account(keys, momento.faults), momento)
            announce(connections)
            await server.serve([account])
        finally:
            await momento.stop()


class HTTPServer(uvicorn.Server):
    """The server of the account API and of gRPC-Web; when a signal ends it, the command ends."""

    def __init__(self, config: uvicorn.Config, momento: MomentoServer) -> None:
        super().__init__(config)
        self._momento = momento

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the subscriptions of browsers first: it would wait for them."""
        self._momento.end_subscriptions()
        await super().shutdown(sockets)


def _http_server(account: Account, momento: MomentoServer) -> HTTPServer:
    web = Web(momento.dispatcher.service)

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await (web if web.takes(scope) else account)(scope, receive, send)

    config = uvicorn.Config(
        answer,
        interface="asgi3",
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    server = HTTPServer(config, momento)
    for ending in (signal.SIGINT, signal.SIGTERM):
        # For a signal before uvicorn sets its handlers, and after it has restored these and raises the signal again.
        signal.signal(ending, lambda *_: setattr(server, "should_exit", True))
    return server


def _listen(momento: MomentoServer, keys: Keys, settings: Settings, account_port: int) -> Connections:
    """Listen on the ports, and return how to connect to them."""
    host = "localhost" if settings.host in EVERYWHERE else settings.host
    host = f"[{host}]" if ":" in host else host
    port = momento.listen(settings.host, settings.port)
    tls_port, ca_file, place = None, None, f"{host}:{port}"
    if settings.tls:
        tls_port = _listen_with_tls(momento, settings)
        ca_file = str(settings.ca_file.absolute())
        place = f"{'localhost' if settings.host in LOOPBACK else host}:{tls_port}"
    return Connections(
        host=host,
        port=port,
        account_url=f"http://{host}:{account_port}",
        endpoint=place if settings.tls else f"http://{place}",
        api_key=keys.owner(),
        v1_api_key=keys.v1(place),
        legacy_api_key=keys.legacy(place),
        tls_port=tls_port,
        ca_file=ca_file,
        needs_key=settings.needs_key,
    )


def _listen_with_tls(momento: MomentoServer, settings: Settings) -> int:
    certificates = issue(settings.host)
    credentials = grpc.ssl_server_credentials([(certificates.private_key, certificates.chain)])
    port = momento.listen(settings.host, settings.choose_port(settings.tls_port, TLS_PORT), credentials)
    certificates.write_authority(settings.ca_file)
    return port


def _open_socket(host: str, port: int) -> socket.socket:
    """Listen on a port. Connections inherit TCP_NODELAY: asyncio sets it only if a socket's ``proto`` is TCP."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except OSError as exc:
        raise NotListening(f"{host}:{port}", "--account-port") from exc
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _read_secret(file: Path | None) -> bytes:
    """Return the secret that signs the keys; make it if there is none."""
    if file is None:
        return secrets.token_bytes(SECRET_BYTES)
    if not file.exists():
        file.touch(0o600)
        file.write_bytes(secrets.token_bytes(SECRET_BYTES))
    secret = file.read_bytes()
    if len(secret) < SECRET_BYTES:
        raise BadArgument(
            f"{file} is too short for a secret: give {SECRET_BYTES} bytes or more, or the name of no file."
        )
    return secret
