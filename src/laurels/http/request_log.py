"""The request log: an observer of the gate that writes one line an answer.

A line has the client's address, method, route, status, bytes and milliseconds, the board, who asked, and the trace that
the request is part of. The route is the path's template, and of a player's token it is said that it is one: names of
players are in no log. Levels and format are those of the process (:mod:`laurels.logs`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from laurels.http.gate import Answered

log = logging.getLogger("laurels.requests")


def log_request(answered: Answered) -> None:
    """Log an answer; ``-`` stands for what is not known of a request that could not be read so far."""
    milliseconds = round(answered.seconds * 1000, 3)
    fields: dict[str, Any] = {
        "client": answered.client or "-",
        "method": answered.method or "-",
        "route": answered.route or "-",
        "status": answered.status,
        "bytes": answered.size,
        "milliseconds": milliseconds,
    }
    line = "{client} {method} {route} {status} {bytes} bytes {milliseconds:.3f} ms".format_map(fields)
    if answered.board:
        fields["board"] = answered.board
        line += f" board={msgspec.json.encode(answered.board).decode()}"
    if answered.who:
        fields["who"] = hide_player(answered.who)
        line += f" who={fields['who']}"
    log.info("%s", line, extra={"fields": fields, "trace": answered.trace})


def hide_player(who: str) -> str:
    """Return who asked without the name of a player."""
    kind = who.partition(":")[0]
    return kind if kind == "player" else who
