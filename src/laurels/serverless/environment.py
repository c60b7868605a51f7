"""The settings of a function: the variables of its environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct

from laurels.serverless.errors import BadSetting
from laurels.stores.contract import TTL_SECONDS, Order, TTLSeconds

if TYPE_CHECKING:
    from collections.abc import Mapping

S = TypeVar("S", bound=Struct)

PREFIX = "LAURELS_"
ACCESS_PARAMETER = f"{PREFIX}ACCESS_PARAMETER"


class Settings(Struct, frozen=True, kw_only=True):
    """The variables of the environment by their names without ``LAURELS_``, in lower case."""

    stage: str
    store: str | None = None
    """The URL of the cache, if the boards are in Valkey and not in Momento."""
    cache: str | None = None
    """The name of that cache, for tokens that a role signs."""
    cache_user: str | None = None
    password_secret: str | None = None
    """The secret with the password of that user, if it has one."""
    key_parameter: str | None = None
    momento_cache: str | None = None
    namespace: str | None = None
    """Keeps the boards apart from others in the same cache."""
    momento_endpoint: str | None = None
    live: bool = False
    """Whether hints of what was submitted are published."""
    live_key_parameter: str | None = None
    """Holds the key that makes tokens to listen to hints; without it none are given out."""
    momento_web: str | None = None
    """The URL by which browsers reach Momento, if it is not Momento's own."""
    order: Order = "descending"
    """The order of all boards, if no file declares them."""
    boards: str | None = None
    """The path of the file that declares the boards, as JSON."""
    ttl_seconds: TTLSeconds = TTL_SECONDS
    cors_origin: str | None = None
    access_parameter: str | None = None
    """Holds the access file; without it whoever reaches the function may do everything."""


def read(environment: Mapping[str, str]) -> Settings:
    """Read the settings of a function that answers a route.

    Raises BadSetting also if the parameter with the access file is empty: taken for missing, it would leave all open.
    """
    if environment.get(ACCESS_PARAMETER) == "":
        raise BadSetting(f"{ACCESS_PARAMETER} is empty.")
    return read_as(Settings, environment)


def need(settings: Settings, name: str) -> str:
    """Return a setting that the chosen store needs; raise BadSetting if it is missing."""
    value: str | None = getattr(settings, name)
    if value is None:
        raise BadSetting(f"{PREFIX}{name.upper()} is missing.")
    return value


def read_as(kind: type[S], environment: Mapping[str, str]) -> S:
    """Read settings; raise BadSetting if one is missing or has the wrong form. An empty variable counts as missing."""
    variables = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and value
    }
    try:
        return msgspec.convert(variables, kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadSetting(_format_problem(error)) from None


def _format_problem(error: msgspec.ValidationError) -> str:
    what, _, where = str(error).partition(" - at `$")
    if where:
        return f"{PREFIX}{where.strip('.`').upper()} is wrong: {what}."
    field = what.split("`")[1]
    return f"{PREFIX}{field.upper()} is missing."
