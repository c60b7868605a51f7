"""The commands that make, delete and list the caches of Momento."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, TypeVar

import click
from msgspec import Struct

from laurels.cli.printing import write, write_json
from laurels.client.environment import hide_password
from laurels.errors import AnswerLost, ParameterUnreadable
from laurels.optional import load

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")
"""The variables that gRPC goes by, the first that is set."""

EPILOG = """\b
Examples:
  MOMENTO_API_KEY=... MOMENTO_ENDPOINT=... laurels momento create-cache boards
  laurels momento caches --key-parameter /leaderboard-api/dev/momento-super-user-key
"""


class Made(Struct, frozen=True):
    """The result of create-cache; ``created`` is false if the cache was there."""

    cache: str
    created: bool


class Deleted(Struct, frozen=True):
    """The result of delete-cache; ``deleted`` is false if there was none."""

    cache: str
    deleted: bool


class Caches(Struct, frozen=True):
    """The result of caches."""

    caches: list[str]


def with_key(command: F) -> F:
    """Add the options for the key and the endpoint, and --json, to a command."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Write one JSON object on stdout."),
        click.option(
            "--endpoint",
            metavar="HOST",
            envvar="MOMENTO_ENDPOINT",
            show_envvar=True,
            help="The endpoint of a v2 key; http://HOST:PORT is a local server.",
        ),
        click.option(
            "--key-parameter",
            metavar="NAME",
            help="Read the key from this parameter of AWS's Parameter Store, in place of MOMENTO_API_KEY.",
        ),
    ):
        command = option(command)
    return command


def _call(function: str, *names: str, key_parameter: str | None, endpoint: str | None) -> Any:
    """Call a function of :mod:`laurels.stores.momento.caches`, with the key from the environment or a parameter."""
    if key_parameter is None:
        key = os.environ.get("MOMENTO_API_KEY", "")
    else:
        try:
            key = load("laurels.serverless.parameters:parameter")(key_parameter)
        except ParameterUnreadable as error:
            reason = error.reason.rstrip(".")
            raise click.ClickException(f"The parameter {error.name} cannot be read: {reason}.") from error
    try:
        return asyncio.run(load(f"laurels.stores.momento.caches:{function}")(*names, key, endpoint))
    except AnswerLost as error:
        variable = next((name for name in PROXIES if os.environ.get(name)), None)
        if variable is None or (endpoint or "").startswith("http://"):
            raise
        proxy = hide_password(os.environ[variable])
        raise AnswerLost(f"{error.problem} through the proxy {proxy} of {variable}") from error


@click.group(epilog=EPILOG)
def momento() -> None:
    """Make, delete and list the Momento caches that hold boards.

    The key is in MOMENTO_API_KEY, or in a parameter of AWS's Parameter Store. It must be allowed to manage caches.
    """


@momento.command()
@click.argument("name", help="A cache's name.")
@with_key
def create_cache(*, name: str, as_json: bool, **connection: str | None) -> None:
    """Make the cache NAME. If it is there already, it stays as it is."""
    made: bool = _call("create", name, **connection)
    if as_json:
        write_json(Made(name, made))
    else:
        write(f"The cache {name} is made." if made else f"The cache {name} is there already.")


@momento.command()
@click.argument("name", help="A cache's name.")
@with_key
def delete_cache(*, name: str, as_json: bool, **connection: str | None) -> None:
    """Delete the cache NAME with all boards in it, without a question."""
    deleted: bool = _call("delete", name, **connection)
    if as_json:
        write_json(Deleted(name, deleted))
    else:
        write(f"The cache {name} is deleted." if deleted else f"There is no cache {name}.")


@momento.command()
@with_key
def caches(*, as_json: bool, **connection: str | None) -> None:
    """List the caches."""
    names: list[str] = _call("names", **connection)
    if as_json:
        write_json(Caches(names))
    else:
        write(*names or ["There is no cache."])
