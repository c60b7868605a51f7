"""The rows of the table, by the names that ``--only`` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.rows import redis, redis_boards
from bench.rows.access import access
from bench.rows.arrivals import arrivals
from bench.rows.attacks import attacks
from bench.rows.bulk import bulk
from bench.rows.clone import clone
from bench.rows.features import batch, features, keyed, metadata
from bench.rows.function import function
from bench.rows.hiding import hiding
from bench.rows.http import page, standing, submit
from bench.rows.in_process import in_process
from bench.rows.index import index
from bench.rows.latency import latency
from bench.rows.live import live
from bench.rows.momento import momento
from bench.rows.restart import restart
from bench.rows.showing import showing
from bench.rows.tls import tls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.figures import Figure, Run

__all__ = ["ROWS"]

ROWS: dict[str, Callable[[Run], Iterator[Figure]]] = {
    "index": index,
    "in-process": in_process,
    "standing": standing,
    "page": page,
    "submit": submit,
    "latency": latency,
    "access": access,
    "features": features,
    "keyed": keyed,
    "metadata": metadata,
    "hiding": hiding,
    "showing": showing,
    "live": live,
    "batch": batch,
    "import": bulk,
    "clone": clone,
    "restart": restart,
    "redis": redis.routes,
    "redis-bare": redis.bare,
    "redis-features": redis_boards.features,
    "redis-partitions": redis_boards.partitions,
    "redis-workers": redis_boards.workers,
    "redis-memory": redis_boards.memory,
    "redis-import": redis_boards.bulk,
    "momento": momento,
    "function": function,
    "attacks": attacks,
    "arrivals": arrivals,
    "tls": tls,
}
