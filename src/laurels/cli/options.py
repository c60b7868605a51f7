"""The arguments and options that several commands share, and what these do with them: a service, and a file."""

from __future__ import annotations

import asyncio
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from laurels.cli.client import CommandClient
from laurels.cli.credentials import VARIABLE, find_credential, take_file, take_reference
from laurels.cli.numbers import parse_score
from laurels.client.environment import hide_password, parse_url
from laurels.client.retries import NO_RETRIES
from laurels.http.messages import DEFAULT_ORIGIN
from laurels.limits import DEFAULT_PAGE_ENTRIES, PAGE_ENTRIES

if TYPE_CHECKING:
    import io
    from collections.abc import Awaitable, Callable

    from laurels.client import Retries
    from laurels.stores.contract import Score

STDIO = Path("-")
DASH = "A name that begins with a dash goes after --, as in: laurels standing mario-kart -- -v-"

F = TypeVar("F", bound="Callable[..., object]")
T = TypeVar("T")


def check_score(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Score | None:
    """Return the score in an argument, or in an option that may not be given."""
    if value is None:
        return None
    try:
        return parse_score(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from error


def _url(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    try:
        parse_url(value)
    except ValueError as error:
        shown = hide_password(value)
        raise click.BadParameter(f"{shown!r} is no address of a service, such as {DEFAULT_ORIGIN}: {error}.") from error
    return value


service_option = click.option(
    "--server",
    metavar="URL",
    callback=_url,
    default=DEFAULT_ORIGIN,
    envvar="LAURELS_SERVER",
    show_default=True,
    show_envvar=True,
    help="The service to call.",
)
_key_option = click.option(
    "--key",
    metavar="env:NAME|file:PATH",
    callback=take_reference,
    expose_value=False,
    help=f"Where the key or the token is that is shown to the service; without it, in {VARIABLE}.",
)
key_file_option = click.option(
    "--key-file", metavar="FILE", callback=take_file, expose_value=False, help="The same as --key file:FILE."
)
board_argument = click.argument("board", help="A board's name.")
name_argument = click.argument("name", help="A player's name.")
window_option = click.option(
    "--window", metavar="WINDOW", help="A window of the board: daily, weekly, monthly, or its cron line."
)
_period_option = click.option(
    "--period", metavar="PERIOD", help="A period of the window, such as 2026-11-22; by default the current one."
)
redis_password_option = click.option(
    "--redis-password-file",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="LAURELS_REDIS_PASSWORD_FILE",
    show_envvar=True,
    help="File with the password of Redis, read for each connection. Without it LAURELS_REDIS_PASSWORD has it, unless "
    "the URL does.",
)
redis_ca_option = click.option(
    "--redis-ca-file",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="LAURELS_REDIS_CA_FILE",
    show_envvar=True,
    help="Certificates of the authorities that signed Redis's, in PEM, instead of the system's.",
)
eviction_option = click.option(
    "--allow-eviction",
    is_flag=True,
    envvar="LAURELS_ALLOW_EVICTION",
    show_envvar=True,
    help="Use a Redis that removes keys when its memory is full, and so may lose boards.",
)


def server_option(command: F) -> F:
    """Add --server to a command, and whence it takes the key that it shows there."""
    return service_option(_key_option(key_file_option(command)))


def count_option(name: str) -> Callable[[F], F]:
    """Return the option of how many entries to show, which commands name differently."""
    return click.option(
        name,
        type=click.IntRange(1, PAGE_ENTRIES),
        metavar="N",
        default=DEFAULT_PAGE_ENTRIES,
        show_default=True,
        help=f"How many entries to show, {PAGE_ENTRIES:,} at most.",
    )


def port_option(text: str) -> Callable[[F], F]:
    """Return the option of the port to listen on."""
    return click.option(
        "--port",
        type=click.IntRange(0, 65535),
        metavar="N",
        default=8000,
        envvar="LAURELS_PORT",
        show_default=True,
        show_envvar=True,
        help=text,
    )


json_option = click.option("--json", "as_json", is_flag=True, help="Write one JSON object on stdout.")


def period_options(command: F) -> F:
    """Add --window and --period to a command about a board."""
    return window_option(_period_option(command))


def open_client(server: str, retries: Retries = NO_RETRIES) -> CommandClient:
    """Return a client of a service, with the key that was given to the command; raise KeyUnusable."""
    return CommandClient(server, find_credential(), retries=retries)


def call_service(server: str, call: Callable[[CommandClient], Awaitable[T]]) -> T:
    """Connect to a service, and return the result of a call."""

    async def connect_and_call() -> T:
        async with open_client(server) as client:
            return await call(client)

    return asyncio.run(connect_and_call())


def open_source(file: Path) -> AbstractContextManager[io.BufferedReader]:
    """Open a file or stdin for reading. Stdin is never closed: that would wait for a thread that is reading it."""
    if file == STDIO:
        return nullcontext(os.fdopen(0, "rb", closefd=False))
    return file.open("rb")
