"""The settings of a service, and the variables that they are read from under another server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from laurels.adapters.limits import Limits
from laurels.backup.limits import ArchiveLimits
from laurels.errors import OpenWithAccess
from laurels.http.cors import Cors
from laurels.http.hosts import AllowedHosts
from laurels.http.proxies import TrustedProxies
from laurels.limits import limits_of
from laurels.logs import LogFormat, LogLevel  # noqa: TC001 - msgspec reads the annotations
from laurels.stores.contract import TTL_SECONDS, Order, TTLSeconds
from laurels.stores.embedded.capacity import StoreLimits
from laurels.stores.redis.settings import RedisSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOPBACK = "127.0.0.1"
_OF_SERVERS = {"host", "port", "log_format", "log_level", "tls_cert", "tls_key", "workers"}
"""What another server has itself."""
_LISTS = {"allowed_hosts": "allowed_host", "trusted_proxies": "trusted_proxy", "cors_origins": "cors_origin"}
"""Settings of several words, and the option of each."""
_GROUPS = {"store_limits", "limits", "redis", "archive_limits"}


class Settings(Struct, frozen=True):
    """The settings of a server."""

    host: str = LOOPBACK
    port: int = 8000
    store: str = "embedded"
    data: Path = Path("laurels-data")
    boards: Path | None = None
    access: Path | None = None
    """The file that says who may do what; without it anybody may do everything."""
    open: bool = False
    """Whether anybody may who reaches the service from elsewhere: what has no access file must say so."""
    order: Order | None = None
    ttl_seconds: TTLSeconds = TTL_SECONDS
    allowed_hosts: tuple[str, ...] = ()
    """The names that requests may ask for, ``localhost`` for all that are of this machine alone; without any, all."""
    trusted_proxies: tuple[str, ...] = ()
    """The addresses and networks of proxies that are believed when they say where a request came from."""
    cors_origins: tuple[str, ...] = ()
    """Which pages of other origins may use the service."""
    metrics: bool = True
    log_requests: bool = False
    log_format: LogFormat = "text"
    log_level: LogLevel = "info"
    audit_log: Path | None = None
    """The file of the audit log; without it that is in the log of the process."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    """The key to the certificate, if it is not in the same file."""
    workers: int = 1
    """How many processes serve; more than one only if the store allows it."""
    redis: RedisSettings = RedisSettings()
    archive: str | None = None
    """Where the embedded store is archived: a directory, or a URL of S3."""
    archive_limits: ArchiveLimits = ArchiveLimits()
    store_limits: StoreLimits = StoreLimits()
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        """Raise BadHost, BadProxy or BadOrigin for what could never match, before anything is opened.

        Raises OpenWithAccess as well.
        """
        if self.open and self.access is not None:
            raise OpenWithAccess
        AllowedHosts(self.allowed_hosts)
        TrustedProxies(self.trusted_proxies)
        Cors(self.cors_origins)


def read_variables(environment: Mapping[str, str]) -> Settings:
    """Return what variables such as ``LAURELS_DATA`` say, but for what another server has itself.

    Raises ValueError for a bad one, and as :class:`Settings`.
    """
    names = set(Settings.__struct_fields__) - _OF_SERVERS - set(_LISTS) - _GROUPS
    given = {name: value for name in names if (value := environment.get(f"LAURELS_{name.upper()}"))}
    settings = msgspec.convert(given, Settings, strict=False, dec_hook=lambda kind, text: kind(text))
    several = {name: tuple(environment.get(f"LAURELS_{one.upper()}", "").split()) for name, one in _LISTS.items()}
    return replace(
        settings,
        store_limits=StoreLimits(**_read_limits(environment, StoreLimits, "max_")),
        archive_limits=ArchiveLimits(**_read_limits(environment, ArchiveLimits, "archive_")),
        redis=_read_redis(environment),
        limits=Limits(**_read_limits(environment, Limits)),
        **several,
    )


def _read_redis(environment: Mapping[str, str]) -> RedisSettings:
    names = (f"redis_{name}" if name != "allow_eviction" else name for name in RedisSettings.__struct_fields__)
    found = {name.removeprefix("redis_"): environment.get(f"LAURELS_{name.upper()}") for name in names}
    given = {name: value for name, value in found.items() if value}
    return msgspec.convert(given, RedisSettings, strict=False, dec_hook=lambda kind, text: kind(text))


def _read_limits(environment: Mapping[str, str], kind: type[Struct], prefix: str = "") -> dict[str, int]:
    """Return the fields of a struct of limits for which there are variables; raise ValueError for a bad one."""
    given: dict[str, int] = {}
    for name, (field, limit, _) in limits_of(kind, prefix).items():
        variable = f"LAURELS_{name.upper()}"
        if text := environment.get(variable):
            try:
                given[field] = limit.read(text)
            except ValueError as error:
                raise ValueError(f"{variable} is {text!r}: {error}") from None
    return given
