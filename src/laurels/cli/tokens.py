"""The command that makes tokens of players."""

from __future__ import annotations

import time
from pathlib import Path

import click

from laurels.access.file import read_access
from laurels.access.lazy_tokens import open_tokens
from laurels.access.principal import EVERY_BOARD
from laurels.cli.keys import patterns_option
from laurels.cli.options import call_service, json_option, name_argument, server_option
from laurels.cli.printing import write, write_json
from laurels.errors import NoSecret
from laurels.http.wire import GivenToken
from laurels.limits import DEFAULT_TOKEN_SECONDS, TOKEN_SECONDS, Limit

EPILOG = """\b
Examples:
  laurels tokens create silverhand --key-file key
  laurels tokens create silverhand --board 'mario-*' --expires 15m --key-file key
  laurels tokens create silverhand --access access.toml
"""

_LIFETIME = Limit("", "seconds", most=TOKEN_SECONDS)


def _seconds(_ctx: click.Context, _param: click.Parameter, value: str) -> int:
    try:
        return _LIFETIME.read(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.group(epilog=EPILOG)
def tokens() -> None:
    """Make tokens, by which players submit their own scores."""


@tokens.command()
@name_argument
@patterns_option("For which boards; * in it stands for any characters. Repeatable; by default all that the key has.")
@click.option(
    "--expires",
    "seconds",
    metavar="TIME",
    default=f"{DEFAULT_TOKEN_SECONDS // 3600}h",
    callback=_seconds,
    show_default=True,
    help="How long it is good, as in 15m or 12h, at most a day.",
)
@click.option(
    "--access",
    "file",
    type=click.Path(path_type=Path),
    help="Sign it here, with the secret of this access file, and ask no service.",
)
@server_option
@json_option
def create(  # noqa: PLR0913 - one argument an option
    *, name: str, boards: tuple[str, ...], seconds: int, file: Path | None, server: str, as_json: bool
) -> None:
    """Make a token for the player NAME. It is shown once, on stdout.

    The service signs it, for a key with the scope tokens. With --access it is signed here, for all boards unless
    --board says which.
    """
    if file is None:
        given = call_service(server, lambda client: client.give_token(name, boards=boards or None, seconds=seconds))
    else:
        given = _sign(file, name, boards or (EVERY_BOARD,), seconds)
    if as_json:
        write_json(given)
        return
    write(given.token)
    write(f"Above is a token of {name}, good until {given.expires_at:%Y-%m-%d %H:%M:%S} UTC.", err=True)


def _sign(file: Path, name: str, boards: tuple[str, ...], seconds: int) -> GivenToken:
    signing = open_tokens(read_access(file).players, file)
    if signing is None:
        raise NoSecret
    signed = signing.sign(name, boards, seconds, time.time())
    return GivenToken(signed.token, signed.expires_at)
