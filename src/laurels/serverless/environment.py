"""What a function's environment tells it."""

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


class Settings(Struct, frozen=True, kw_only=True):
    """The variables of the environment by their names without ``LAURELS_``, in lower case."""

    stage: str
    key_parameter: str
    momento_cache: str
    momento_endpoint: str | None = None
    order: Order = "descending"
    """That of all boards, where no file declares them."""
    boards: str | None = None
    """The file that declares them, as JSON."""
    ttl_seconds: TTLSeconds = TTL_SECONDS
    cors_origin: str | None = None


def read(environment: Mapping[str, str]) -> Settings:
    """Read the settings of a function that answers a route."""
    return read_as(Settings, environment)


def read_as(kind: type[S], environment: Mapping[str, str]) -> S:
    """Read settings, an empty variable as none; raise BadSetting for one that is missing or of the wrong form."""
    told = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and value
    }
    try:
        return msgspec.convert(told, kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadSetting(_problem(error)) from None


def _problem(error: msgspec.ValidationError) -> str:
    what, _, where = str(error).partition(" - at `$")
    if where:
        return f"{PREFIX}{where.strip('.`').upper()} is wrong: {what}."
    field = what.split("`")[1]
    return f"{PREFIX}{field.upper()} is missing."
