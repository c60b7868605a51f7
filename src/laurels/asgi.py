"""The service as an ASGI application: by itself under any server, or mounted in another application.

    leaderboards = create_app(data="laurels-data")
    app = FastAPI(lifespan=leaderboards.lifespan)
    app.mount("/leaderboards", leaderboards)

Such an application takes every request below its path, and opens the store with the one that it is mounted in.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from laurels.adapters.limits import Limits
from laurels.assembly import make_application
from laurels.settings import Settings
from laurels.stores.contract import TTL_SECONDS
from laurels.stores.embedded.capacity import StoreLimits
from laurels.stores.redis.settings import RedisSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    from laurels.adapters.asgi import OpeningApplication
    from laurels.stores.contract import Order


__all__ = ["create_app"]

PATHS = frozenset({"data", "boards", "access", "audit_log"})


def create_app(  # noqa: PLR0913 - one argument a setting
    *,
    data: str | PathLike[str] = "laurels-data",
    store: str = "embedded",
    boards: str | PathLike[str] | None = None,
    access: str | PathLike[str] | None = None,
    open: bool = False,  # noqa: A002 - the setting's name
    order: Order | None = None,
    ttl_seconds: int = TTL_SECONDS,
    allowed_hosts: Sequence[str] = (),
    trusted_proxies: Sequence[str] = (),
    cors_origins: Sequence[str] = (),
    metrics: bool = True,
    log_requests: bool = False,
    audit_log: str | PathLike[str] | None = None,
    redis: RedisSettings = RedisSettings(),  # noqa: B008 - frozen
    limits: Limits = Limits(),  # noqa: B008 - frozen
    store_limits: StoreLimits = StoreLimits(),  # noqa: B008 - frozen
) -> OpeningApplication:
    """Make the application; the settings are those of ``laurels serve``.

    Raises ValueError, BadHost, BadProxy, BadOrigin or OpenWithAccess for a bad one. Any host is answered to, unless
    there are ``allowed_hosts``. Without ``access`` and ``open`` only requests from this machine are answered.

    It opens its store when its server starts it. An application that is mounted is told of no start: it opens at its
    first request, unless the one that it is mounted in runs its :meth:`~OpeningApplication.lifespan`.
    """
    given: dict[str, Any] = {
        "data": data,
        "store": store,
        "boards": boards,
        "access": access,
        "open": open,
        "order": order,
        "ttl_seconds": ttl_seconds,
        "allowed_hosts": allowed_hosts,
        "trusted_proxies": trusted_proxies,
        "cors_origins": cors_origins,
        "metrics": metrics,
        "log_requests": log_requests,
        "audit_log": audit_log,
        "redis": redis,
        "limits": limits,
        "store_limits": store_limits,
    }
    return make_application(read_settings(given))


def read_settings(given: Mapping[str, Any]) -> Settings:
    """Return settings as arguments of :func:`create_app` say them; raise TypeError for an unknown one, or as that."""
    if unknown := given.keys() - inspect.signature(create_app).parameters.keys():
        raise TypeError(f"There is no such setting: {', '.join(sorted(unknown))}")
    paths = {name: Path(given[name]) for name in PATHS & given.keys() if given[name] is not None}
    return msgspec.convert({**given, **paths}, Settings)
