"""The request log: an observer of the gate that writes one line an answer.

A line has the client's address, method, route, status, bytes and milliseconds. The route is the path's template: names
of players are in no log. Levels and format are those of the process (:mod:`laurels.logs`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from laurels.http.gate import Answered

log = logging.getLogger("laurels.requests")


def log_request(answered: Answered) -> None:
    """Log an answer; ``-`` stands for what is not known of a request that could not be read so far."""
    client, method, route = answered.client or "-", answered.method or "-", answered.route or "-"
    milliseconds = round(answered.seconds * 1000, 3)
    log.info(
        "%s %s %s %d %d bytes %.3f ms",
        client,
        method,
        route,
        answered.status,
        answered.size,
        milliseconds,
        extra={
            "fields": {
                "client": client,
                "method": method,
                "route": route,
                "status": answered.status,
                "bytes": answered.size,
                "milliseconds": milliseconds,
            }
        },
    )
