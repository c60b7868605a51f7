"""The commands about the access file: who may do what."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from laurels.access.advice import list_advice
from laurels.access.editing import write_new
from laurels.access.file import AccessFile, RateLimits, read_access
from laurels.access.keys import digest_key, make_key
from laurels.access.lazy_tokens import make_tokens
from laurels.access.principal import EVERY_BOARD
from laurels.access.secret_references import read_secret
from laurels.access.ssm_parameter import PARAMETER_BYTES, is_parameter_name, read_file
from laurels.cli.options import json_option
from laurels.cli.printing import write, write_json, write_table
from laurels.cli.schemas import make_schema
from laurels.errors import AccessFileUnusable
from laurels.optional import load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

DEFAULT_FILE = Path("access.toml")
FIRST_KEY = "admin"
FIRST_FILE = """\
# Who may do what, for `laurels serve --access FILE`. SIGHUP reloads it; `laurels access check FILE` shows it.
# A key or a token is sent as `Authorization: Bearer KEY-OR-TOKEN`.
#
# The scopes: read, submit:self (a player, for itself), submit, moderate, define, tokens, metrics, admin (everything).

[public]                      # who shows nothing
scopes = ["read"]
# limits = {{ requests = "20/s", burst = 40 }}     # of one address

# Its secret was shown once: only its SHA-256 is here. `laurels keys create NAME --access FILE` makes further ones.
[keys.{name}]
sha256 = "{sha256}"
scopes = ["admin"]

# [players]                   # players' own tokens
# secret = "env:LAURELS_TOKEN_SECRET"            # or "file:token-secret": what the service signs them with
# scopes = ["read", "submit:self"]
# limits = {{ submits = "2/s", burst = 10 }}       # of one player
"""

EPILOG = """\b
Examples:
  laurels access init access.toml
  laurels access check access.toml
  laurels access put access.toml --parameter /laurels/dev/access
  laurels access schema > access.schema.json
"""


class Made(Struct, frozen=True):
    """The result of what makes a key: its secret is shown this once."""

    name: str
    key: str
    file: str


class Holder(Struct, frozen=True):
    """Who may do something: whoever shows nothing, one key, or players."""

    who: str
    scopes: tuple[str, ...]
    boards: tuple[str, ...]
    limits: RateLimits
    expires: datetime | None = None


class Checked(Struct, frozen=True):
    """A valid access file: who may do what, and what should be known of it."""

    may: list[Holder]
    advice: list[str]


@click.group(epilog=EPILOG)
def access() -> None:
    """Write and check the access file, which says who may do what.

    `laurels serve --access FILE` reads it. `laurels keys` adds keys to it, and removes them.
    """


@access.command()
@click.argument(
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=DEFAULT_FILE,
    help=f"The file to write; by default {DEFAULT_FILE}. It must not be there.",
)
@json_option
def init(*, file: Path, as_json: bool) -> None:
    """Write a first access file: everybody reads, and one key may do everything. The key is shown once."""
    key = make_key()
    write_new(file, FIRST_FILE.format(name=FIRST_KEY, sha256=digest_key(key)))
    if as_json:
        write_json(Made(FIRST_KEY, key, str(file)))
        return
    write(key)
    write(
        f"{file} is written. Above is the key {FIRST_KEY}, which may do everything. It is shown this once.",
        f"Start: laurels serve --access {file}",
        err=True,
    )


@access.command()
@click.argument("file", type=click.Path(path_type=Path), help="An access file, in TOML.")
@click.option("--on-lambda", is_flag=True, help="Check it as one that `laurels access put` is to put into a parameter.")
@json_option
def check(*, file: Path, on_lambda: bool, as_json: bool) -> None:
    """Check an access file: show who may do what, or what is wrong with it."""
    found = read_file(file)[1] if on_lambda else read_access(file)
    advice = [*list_advice(found, file, time.time()), *_check_players(found, file, on_lambda=on_lambda)]
    may = list(_holders(found))
    if as_json:
        write_json(Checked(may, advice))
        return
    rows = [
        (
            one.who,
            ", ".join(one.scopes) or "nothing",
            "all" if EVERY_BOARD in one.boards else ", ".join(one.boards) or "none",
            format_limits(one.limits),
            format_expiry(one.expires),
        )
        for one in may
    ]
    write_table(("who", "may", "on boards", "limits", "expires"), rows)
    write(*(f"Note: {line}." for line in advice), err=True)


def _check_players(found: AccessFile, file: Path, *, on_lambda: bool) -> Iterator[str]:
    """Yield what is wrong with the secret here, which may be set only where the service runs; raise for issuers."""
    if (players := found.players) is None:
        return
    secret = None
    try:
        secret = read_secret(players.secret, file) if players.secret and not on_lambda else None
    except AccessFileUnusable as error:
        yield error.problem
    make_tokens(players, secret, file)


def _holders(found: AccessFile) -> Iterator[Holder]:
    yield Holder("the public", found.public.scopes, found.public.boards, found.public.limits)
    for name, key in found.keys.items():
        yield Holder(f"key {name}", key.scopes, key.boards, key.limits, key.expires)
    if (players := found.players) is not None:
        yield Holder("players", players.scopes, players.boards, players.limits)


def format_limits(limits: RateLimits) -> str:
    """Return limits as they are written."""
    rates = {"requests": limits.requests, "submits": limits.submits, "burst": limits.burst}
    return ", ".join(f"{what} {rate}" for what, rate in rates.items() if rate is not None)


def format_expiry(expires: datetime | None) -> str:
    """Return when a key expires, and whether that is over."""
    if expires is None:
        return "never"
    is_over = expires.timestamp() <= time.time()
    return f"{expires.isoformat().replace('+00:00', 'Z')}{' (expired)' if is_over else ''}"


def _check_name(_ctx: click.Context, _param: click.Parameter, name: str) -> str:
    if not is_parameter_name(name):
        raise click.BadParameter(f"{name!r} is not the whole name of a parameter, such as /laurels/dev/access.")
    return name


@access.command()
@click.argument("file", type=click.Path(path_type=Path), help="An access file, in TOML.")
@click.option(
    "--parameter",
    "name",
    metavar="NAME",
    required=True,
    callback=_check_name,
    help="Its whole name, such as /laurels/dev/access.",
)
@click.option("--kms-key", metavar="ID", help="Encrypt it by this KMS key, not by the one that AWS manages.")
def put(*, file: Path, name: str, kms_key: str | None) -> None:
    """Put an access file into a parameter of AWS, from which the functions on Lambda read it.

    What no function could use is refused, and so is a file that is larger than a parameter. It becomes a SecureString
    of the advanced tier, in place of what may be there. Region and credentials are those of the command `aws`.
    """
    text, found = read_file(file)
    load("laurels.serverless.parameters:put_parameter")(name, text, kms_key=kms_key)
    write(f"{file} is in the parameter {name}: {len(text.encode()):,} of {PARAMETER_BYTES:,} bytes.")
    write(
        *(f"Note: {line}." for line in list_advice(found, file, time.time())),
        "Functions that run go by it within five minutes.",
        err=True,
    )


@access.command()
def schema() -> None:
    """Write the JSON Schema of an access file, with which editors complete and check it.

    An access file names its schema in its first line: #:schema ./access.schema.json
    """
    write_json(make_schema(AccessFile), indent=2)
