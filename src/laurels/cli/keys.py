"""The commands that make and revoke keys, in an access file."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click
import msgspec
from msgspec import Struct

from laurels.access.editing import add_key, remove_key
from laurels.access.file import Key, Patterns, read_access
from laurels.access.keys import digest_key, make_key
from laurels.access.principal import EVERY_BOARD, Scope
from laurels.cli.access import Made, format_expiry, format_limits
from laurels.cli.options import json_option
from laurels.cli.printing import write, write_json, write_table
from laurels.errors import AccessFileNotEdited
from laurels.limits import SECONDS
from laurels.wording import quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from laurels.access.file import RateLimits

F = TypeVar("F", bound="Callable[..., Any]")

RELOAD = "A service that runs goes by it after `systemctl reload laurels`, or kill -HUP."
EPILOG = """\b
Examples:
  laurels keys create game-server --access access.toml --scope read --scope submit --board 'mario-*'
  laurels keys create ann --access access.toml --scope moderate --expires 365d
  laurels keys list --access access.toml
  laurels keys revoke ann --access access.toml
"""

access_option = click.option(
    "--access",
    "file",
    type=click.Path(path_type=Path),
    required=True,
    envvar="LAURELS_ACCESS",
    show_envvar=True,
    help="The access file that holds the keys.",
)


class KeyRow(Struct, frozen=True):
    """What is known of a key; its secret is not."""

    name: str
    scopes: tuple[Scope, ...]
    boards: tuple[str, ...]
    limits: RateLimits
    expires: datetime | None


class KeyRows(Struct, frozen=True):
    """The keys of an access file."""

    keys: list[KeyRow]


class Revoked(Struct, frozen=True):
    """The result of revoke."""

    name: str
    removed: bool


@click.group(epilog=EPILOG)
def keys() -> None:
    """Make, list and revoke keys, which say who asks.

    They are in the access file that `laurels serve --access FILE` reads; of each only its SHA-256 is. Comments and all
    else in the file stay as they are.
    """


def _expiry(_ctx: click.Context, _param: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    now = datetime.now(UTC).replace(microsecond=0)
    try:
        if found := re.fullmatch(r"([1-9][0-9]{0,8})([smhd])", value):
            return now + timedelta(seconds=int(found[1]) * SECONDS[found[2]])
        moment = datetime.fromisoformat(value)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(f"{value!r} is neither a time such as 365d or 12h, nor a date or a time.") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment <= now:
        raise click.BadParameter(f"{value!r} is over.")
    return moment


def _check_patterns(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Return patterns of boards that a key or a token can have."""
    try:
        "".join(value).encode()  # or it could not be written
        return msgspec.convert(value, Patterns)
    except ValueError as error:
        raise click.BadParameter("A board's name has 1 to 256 characters, and no control characters.") from error


def patterns_option(about: str) -> Callable[[F], F]:
    """Return the option --board of what has patterns of boards."""
    return click.option("--board", "boards", metavar="PATTERN", multiple=True, callback=_check_patterns, help=about)


@keys.command()
@click.argument("name", help="Who will have it, such as game-server.")
@access_option
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(get_args(Scope)),
    multiple=True,
    required=True,
    help="What it may do; repeatable.",
)
@patterns_option("On which boards it may; * in it stands for any characters. Repeatable; by default all.")
@click.option(
    "--expires",
    metavar="WHEN",
    callback=_expiry,
    help="After how long it is no key any more, as in 365d or 12h, or when, as in 2027-11-01; by default never.",
)
@json_option
def create(  # noqa: PLR0913 - one argument an option
    *,
    name: str,
    file: Path,
    scopes: tuple[Scope, ...],
    boards: tuple[str, ...],
    expires: datetime | None,
    as_json: bool,
) -> None:
    """Make a key for NAME, and add it to the access file. The key is shown once, on stdout."""
    secret = make_key()
    add_key(file, name, Key(digest_key(secret), scopes, boards or (EVERY_BOARD,), expires=expires))
    if as_json:
        write_json(Made(name, secret, str(file)))
        return
    write(secret)
    write(f"Above is the key {name}. It is shown this once: {file} has its SHA-256 alone.", RELOAD, err=True)


@keys.command("list")
@access_option
@json_option
def list_(*, file: Path, as_json: bool) -> None:
    """List the keys in the access file."""
    listed = read_access(file, on_lambda=None).keys
    found = [KeyRow(name, key.scopes, key.boards, key.limits, key.expires) for name, key in listed.items()]
    if as_json:
        write_json(KeyRows(found))
    elif found:
        rows = [
            (
                key.name,
                ", ".join(key.scopes),
                ", ".join(key.boards),
                format_limits(key.limits),
                format_expiry(key.expires),
            )
            for key in found
        ]
        write_table(("name", "may", "on boards", "limits", "expires"), rows)
    else:
        write("no keys")


@keys.command()
@click.argument("name", help="The name of the key.")
@access_option
@json_option
def revoke(*, name: str, file: Path, as_json: bool) -> None:
    """Remove the key NAME from the access file."""
    removed = remove_key(file, name)
    if not removed:
        raise AccessFileNotEdited(file, f"it has no key {quote(name)}: `laurels keys list` shows those that it has")
    if as_json:
        write_json(Revoked(name, removed))
    else:
        write(f"{name} is no key in {file} any more.", RELOAD)
