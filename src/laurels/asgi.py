"""The service as an ASGI application: by itself under any server, or mounted in another application.

    leaderboards = create_app(data="laurels-data")
    app = FastAPI(lifespan=leaderboards.lifespan)
    app.mount("/leaderboards", leaderboards)

Such an application takes every request below its path, and opens the store with the one that it is mounted in.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from laurels.adapters.asgi import OpeningApplication
from laurels.adapters.limits import Limits
from laurels.assembly import Settings, open_routes
from laurels.stores.contract import TTL_SECONDS
from laurels.stores.embedded.capacity import StoreLimits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from laurels.stores.contract import Order


def create_app(  # noqa: PLR0913 - one argument a setting
    *,
    data: str | PathLike[str] = "laurels-data",
    store: str = "embedded",
    boards: str | PathLike[str] | None = None,
    order: Order | None = None,
    ttl_seconds: int = TTL_SECONDS,
    allowed_hosts: Sequence[str] = (),
    trusted_proxies: Sequence[str] = (),
    cors_origins: Sequence[str] = (),
    metrics: bool = True,
    log_requests: bool = False,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    store_limits: StoreLimits = StoreLimits(),  # noqa: B008 - frozen
) -> OpeningApplication:
    """Make the application; the settings are those of ``laurels serve``.

    Raises ValueError, BadHost, BadProxy or BadOrigin for a bad one. Any host is answered to, unless there are
    ``allowed_hosts``.

    It opens its store when its server starts it. An application that is mounted is told of no start: it opens at its
    first request, unless the one that it is mounted in runs its :meth:`~OpeningApplication.lifespan`.
    """
    given = {
        "data": Path(data),
        "store": store,
        "boards": None if boards is None else Path(boards),
        "order": order,
        "ttl_seconds": ttl_seconds,
        "allowed_hosts": allowed_hosts,
        "trusted_proxies": trusted_proxies,
        "cors_origins": cors_origins,
        "metrics": metrics,
        "log_requests": log_requests,
        "limits": limits,
        "store_limits": store_limits,
    }
    return OpeningApplication(partial(open_routes, msgspec.convert(given, Settings)))
