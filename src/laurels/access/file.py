"""The access file: who may do what, in TOML.

Secrets do not stand in it: of a key its SHA-256 does, and of other secrets a reference
(:mod:`laurels.access.secret_references`).
"""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, date, datetime, time
from math import inf
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar, get_args

import msgspec
from msgspec import Meta, Struct

from laurels.access.keys import hide_keys
from laurels.access.principal import EVERY_BOARD, Scope
from laurels.access.secret_references import check_reference, read_file
from laurels.errors import AccessFileUnusable
from laurels.limits import MIB, NAME_BYTES, SECONDS, format_size
from laurels.wording import describe_unknown, path_of, quote, suggest

if TYPE_CHECKING:
    from pathlib import Path

FILE_BYTES = MIB
"""How large an access file may be: room for thousands of keys."""

_END = r"$(?!\n)"  # $ alone also matches before a newline
Rate = Annotated[str, Meta(pattern=f"^[1-9][0-9]{{0,8}}/[{''.join(SECONDS)}]{_END}")]
Scopes = tuple[Scope, ...]
_Text = Annotated[str, Meta(min_length=1)]
Pattern = Annotated[str, Meta(pattern=rf"^[^\x00-\x1f\x7f]+{_END}", max_length=NAME_BYTES)]
Patterns = tuple[Pattern, ...]
S = TypeVar("S", bound=Struct)


def _about(text: str, **further: Any) -> Meta:
    return Meta(description=text, **further)


_SCOPES = _about("What may be done.")
_BOARDS = _about("On which boards: names, in which `*` is any characters.")


class RateLimits(Struct, frozen=True, forbid_unknown_fields=True):
    """How many requests, and submits among them, one address, key or player may make."""

    requests: Annotated[Rate | None, _about("How many in a second, minute, hour or day, such as 20/s.")] = None
    submits: Annotated[Rate | None, _about("How many of them may be submits; a batch counts as one.")] = None
    burst: Annotated[int, Meta(ge=1, le=1_000_000, description="How many at once. Default: one second's.")] | None = (
        None
    )


NO_LIMITS = RateLimits()


class Public(Struct, frozen=True, forbid_unknown_fields=True):
    """What requests may do that show nothing; the limits are those of one address."""

    scopes: Annotated[Scopes, _SCOPES] = ()
    boards: Annotated[Patterns, _BOARDS] = (EVERY_BOARD,)
    limits: Annotated[RateLimits, _about("How often one address may ask.")] = NO_LIMITS


class Key(Struct, frozen=True, forbid_unknown_fields=True):
    """What requests may do that show one key."""

    sha256: Annotated[
        str, Meta(pattern=f"^[0-9a-f]{{64}}{_END}", description="Of the key: `laurels keys create` writes it.")
    ]
    scopes: Annotated[Scopes, _SCOPES] = ()
    boards: Annotated[Patterns, _BOARDS] = (EVERY_BOARD,)
    limits: Annotated[RateLimits, _about("How often the key may be used.")] = NO_LIMITS
    expires: Annotated[datetime | None, _about("From when on it is no key: a date, from 00:00 UTC, or a time.")] = None

    @property
    def expires_at(self) -> float:
        """When it is no key any more, in seconds since the epoch."""
        return inf if self.expires is None else self.expires.timestamp()


class Issuer(Struct, frozen=True, forbid_unknown_fields=True):
    """A foreign signer of players' tokens, such as the game's identity provider."""

    issuer: Annotated[str, _about("What its tokens have in `iss`.", min_length=1)]
    audience: Annotated[
        _Text | Annotated[tuple[_Text, ...], Meta(min_length=1)],
        _about("What its tokens have in `aud`, or a list: one of these."),
    ]
    jwks: Annotated[str | None, _about("The address of its public keys: https, or of this machine.")] = None
    keys: Annotated[tuple[dict[str, Any], ...], _about("Its public keys as JSON Web Keys, instead of an address.")] = ()
    name: Annotated[
        str, _about("The claim that is the name; `a.b` is b in the claim a, if none is called so.", min_length=1)
    ] = "sub"


class Players(Struct, frozen=True, forbid_unknown_fields=True):
    """What requests may do that show a player's token; the limits are those of one player."""

    secret: Annotated[str | None, _about("Where the secret is that the service signs tokens with: env:, file:.")] = None
    issuers: Annotated[tuple[Issuer, ...], _about("Whose tokens are accepted besides.")] = ()
    scopes: Annotated[Scopes, _SCOPES] = ("read", "submit:self")
    boards: Annotated[Patterns, _BOARDS] = (EVERY_BOARD,)
    limits: Annotated[RateLimits, _about("How often one player may ask.")] = NO_LIMITS
    anonymous: Annotated[bool, _about("Whether anyone may have a token for a new random name.")] = False


class AccessFile(Struct, frozen=True, forbid_unknown_fields=True):
    """Who may do what."""

    public: Public = Public()
    keys: dict[str, Key] = {}
    players: Players | None = None


NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
NAME_WORDS = "it must be 1 to 64 letters, digits, - _ or . and begin with a letter or a digit"
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_NESTED: dict[str, type[Struct]] = {"limits": RateLimits, "issuers": Issuer}
_EXPECTED = {
    "scopes": 'it must be a list of scopes, such as ["read", "submit"]',
    "boards": 'it must be a list of names of boards, in which * is any characters, such as ["mario-*"]',
    "limits": 'it must be such as { requests = "20/s", burst = 40 }',
    "requests": 'it must be how many in a second, minute, hour or day, such as "20/s" or "600/m"',
    "burst": "it must be a whole number from 1 to 1,000,000",
    "sha256": "it must be the SHA-256 of the key, 64 hexadecimal digits in lower case, as `laurels keys create` writes",
    "expires": "it must be a date or a time, without quotes, such as 2027-11-01 or 2027-11-01T12:00:00Z",
    "secret": 'it must say where the secret is, such as "env:LAURELS_TOKEN_SECRET" or "file:token-secret"',
    "issuers": 'it must be a list of tables such as { issuer = "https://...", audience = "...", jwks = "https://..." }',
    "issuer": "it must be what the tokens have in iss",
    "audience": "it must be what the tokens have in aud, or a list",
    "jwks": "it must be the https:// address of the issuer's public keys",
    "keys": "it must be a list of public JSON Web Keys",
    "name": 'it must be the name of a claim, such as "sub"',
    "anonymous": "it must be true or false",
}
_EXPECTED["submits"] = _EXPECTED["requests"]
_NEVER_QUOTED = {"sha256", "secret", "keys"}
"""What stands there by mistake may be a secret."""


def read_access(file: Path, *, on_lambda: bool | None = False) -> AccessFile:
    """Read an access file; raise AccessFileUnusable, which names the table and the field that are wrong."""
    return parse_access(read_text(file), file, on_lambda=on_lambda)


def parse_access(text: str, file: Path | str, *, on_lambda: bool | None = False) -> AccessFile:
    """Return what the text of an access file says; raise AccessFileUnusable.

    On Lambda secrets are in parameters (``ssm:``), and nothing counts requests, so that limits are refused. None is for
    a file that may be read either way, as where its keys are edited.
    """
    try:
        return _read_tables(tomllib.loads(text), on_lambda=on_lambda)
    except tomllib.TOMLDecodeError as error:
        raise AccessFileUnusable(file, f"it is not TOML: {error}") from error
    except RecursionError:
        raise AccessFileUnusable(file, "lists or tables in it are nested too deep") from None
    except ValueError as error:
        raise AccessFileUnusable(file, str(error)) from None


def check_name(name: str) -> None:
    """Raise ValueError unless a key may have that name, which stands in logs and in paths."""
    if hide_keys(name) != name:
        raise ValueError("A key is named by its secret: name it by who has it. Its secret is known now; make another.")
    if NAME.fullmatch(name) is None:
        raise ValueError(f"The name of the key is {quote(name)}: {NAME_WORDS}")


def place_of(name: str) -> str:
    """Return the head of a key's table."""
    return f"[keys.{format_name(name)}]"


def format_name(name: str) -> str:
    """Return the name of a key as TOML has it, in quotes if it needs them."""
    return name if _BARE.fullmatch(name) else f'"{name}"'


def read_text(file: Path) -> str:
    """Return the text of an access file; raise AccessFileUnusable."""
    try:
        found = read_file(file, FILE_BYTES + 1)
        if len(found) > FILE_BYTES:
            raise AccessFileUnusable(file, f"it is larger than {format_size(FILE_BYTES)}")
        return found.decode()
    except OSError as error:
        raise AccessFileUnusable(file, error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise AccessFileUnusable(file, "it is not UTF-8") from error


def _read_tables(tables: dict[str, Any], *, on_lambda: bool | None) -> AccessFile:
    if not tables:
        raise ValueError(
            "it is empty, so that nobody might do anything: `laurels access init` writes one to begin with"
        )
    for field in tables:
        if field not in AccessFile.__struct_fields__:
            raise ValueError(describe_unknown("An access file", field, AccessFile.__struct_fields__))
    keys = tables.get("keys", {})
    if not isinstance(keys, dict):
        raise ValueError("keys must hold a table for each key, such as [keys.game]")  # noqa: TRY004 - as all others
    for name in keys:
        check_name(name)
    found = AccessFile(
        _read_table(tables.get("public", {}), Public, "[public]"),
        {name: _read_table(table, Key, place_of(name)) for name, table in keys.items()},
        _read_table(tables["players"], Players, "[players]") if "players" in tables else None,
    )
    _check_digests(found.keys)
    if found.players is not None:
        _check_players(found.players, on_lambda=on_lambda)
    if on_lambda:
        _check_limits(found)
    return found


def _read_table(table: object, kind: type[S], place: str) -> S:
    if not isinstance(table, dict):
        raise ValueError(f"{place} must be a table. It has {', '.join(kind.__struct_fields__)}")  # noqa: TRY004 - one kind
    _check_fields(table, kind, place)
    if "expires" in table:
        table = table | {"expires": _read_time(table["expires"], place)}
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        _refuse(table, place, str(error))


def _check_fields(table: dict[str, Any], kind: type[Struct], place: str) -> None:
    for field, value in table.items():
        if field not in kind.__struct_fields__:
            is_dotted = kind is Key and isinstance(value, dict)
            advice = '. A name with a dot stands in quotes: [keys."game.server"]' if is_dotted else ""
            raise ValueError(describe_unknown(place, field, kind.__struct_fields__) + advice)
        inner = _NESTED.get(field)
        for one in value if isinstance(value, list) else [value]:
            if inner is not None and isinstance(one, dict):
                _check_fields(one, inner, f"{place}: {field}")


def _read_time(value: object, place: str) -> datetime:
    """Return a time, of a date its first moment; what says nothing of a zone is in UTC."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    raise ValueError(f"{place}: expires is {quote(value)}: {_EXPECTED['expires']}")


def _refuse(table: dict[str, Any], place: str, problem: str) -> NoReturn:
    """Raise what msgspec found: a field that is missing, or of another type."""
    path = path_of(problem)
    value: Any = table
    for step in path:
        value = value[step]
    label = str(path[0] if path else "") + "".join(
        f"[{one}]" if isinstance(one, int) else f".{one}" for one in path[1:]
    )
    if found := re.search(r"missing required field `(\w+)`", problem):
        where = f"{place}: {label}" if label else place
        raise ValueError(f"{where} needs {found[1]}: {_EXPECTED[found[1]]}")
    field = next(one for one in reversed(path) if isinstance(one, str))
    if field == "scopes" and isinstance(value, str):
        scopes = get_args(Scope)
        raise ValueError(
            f"{place}: there is no scope {quote(value)}{suggest(value, scopes)}. The scopes are {', '.join(scopes)}"
            if len(path) > 1
            else f"{place}: scopes is {quote(value)}: {_EXPECTED[field]}"
        )
    what = "is not right" if _NEVER_QUOTED.intersection(path) else f"is {quote(value)}"
    raise ValueError(f"{place}: {label} {what}: {_EXPECTED[field]}")


def _check_digests(keys: dict[str, Key]) -> None:
    names: dict[str, str] = {}
    for name, key in keys.items():
        if (other := names.setdefault(key.sha256, name)) != name:
            raise ValueError(f"{place_of(name)} has the sha256 of {place_of(other)}: each key has a secret of its own")


def _check_players(players: Players, *, on_lambda: bool | None) -> None:
    if players.secret is not None:
        check_reference(players.secret, on_lambda=on_lambda)
    if players.anonymous and players.secret is None:
        raise ValueError(f"[players]: anonymous needs secret, to sign tokens with: {_EXPECTED['secret']}")
    for index, issuer in enumerate(players.issuers):
        if (issuer.jwks is None) == (not issuer.keys):
            raise ValueError(f"[players]: issuers[{index}] must have either jwks, an address, or keys")


def _check_limits(found: AccessFile) -> None:
    places = {"[public]": found.public.limits} | {place_of(name): key.limits for name, key in found.keys.items()}
    places["[players]"] = found.players.limits if found.players else NO_LIMITS
    for place, limits in places.items():
        if limits != NO_LIMITS:
            raise ValueError(f"{place} has limits, which nothing keeps on Lambda: leave them out, and use a usage plan")
