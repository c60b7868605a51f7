"""Subsegments of X-Ray: which parts an invocation's time went to, for those invocations that are traced.

Lambda runs X-Ray's daemon beside a function. Each subsegment is sent to it when it ends, as a datagram of JSON, by the
documented protocol: nothing waits, and if nobody listens nothing happens. AWS's SDK for this would do the same, but
takes a seventh of a second of each cold start to import, and is no longer developed.

A subsegment belongs to the one around it, by a context variable that threads and tasks inherit. Outside of a traced
invocation there are none.
"""

from __future__ import annotations

import re
import secrets
import socket
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from laurels.errors import LaurelsError, LimitReached, NotKept, StoreError, TooManyRequests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

TRACE_VARIABLE = "_X_AMZN_TRACE_ID"
"""Lambda sets this one for each invocation: ``Root=1-...;Parent=...;Sampled=1``."""
DAEMON_VARIABLE = "AWS_XRAY_DAEMON_ADDRESS"
HEADER = b'{"format":"json","version":1}\n'
"""What a datagram to the daemon begins with."""

_ADDRESS = re.compile(r"(?:.*\budp:)?([^\s:]+):([0-9]{1,5})")
_CLIENT_ERRORS, _SERVER_ERRORS, _THROTTLED = 400, 500, 429


class Around(Struct, frozen=True):
    """What new subsegments belong to."""

    trace: str
    parent: str
    send: Callable[[bytes], object]


class Part(Struct):
    """A subsegment under way: what is said of it when it ends."""

    annotations: dict[str, str | int | float | bool]
    """By these traces are found."""
    marks: dict[str, bool] = {}
    """Whether the part ended in an error of the caller's, in a fault, or over a limit, by X-Ray's names."""

    def mark_status(self, status: int) -> None:
        """Annotate the part with the status of HTTP that it ended in, and mark it if that is an error."""
        self.annotations["status"] = status
        if status >= _SERVER_ERRORS:
            self.marks = {"fault": True}
        elif status >= _CLIENT_ERRORS:
            self.marks = {"error": True, "throttle": True} if status == _THROTTLED else {"error": True}

    def mark_error(self, error: BaseException) -> None:
        """Mark the part with the error that it ended in."""
        if isinstance(error, LimitReached | TooManyRequests):
            self.marks = {"error": True, "throttle": True}
        else:
            is_callers = isinstance(error, NotKept) or not isinstance(error, StoreError)
            self.marks = {"error" if is_callers and isinstance(error, LaurelsError) else "fault": True}


_around: ContextVar[Around | None] = ContextVar("around", default=None)


class Daemon:
    """The daemon at an address of the environment, if there is one."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        found = _ADDRESS.fullmatch(environment.get(DAEMON_VARIABLE, ""))
        self._address = (found[1], int(found[2])) if found else None

    @contextmanager
    def tracing(self, header: str | None) -> Iterator[None]:
        """Let subsegments be sent for what is inside, if the trace that Lambda names is one that is kept."""
        fields = dict(field.split("=", 1) for field in (header or "").split(";") if "=" in field)
        around = None
        if self._address is not None and fields.get("Sampled") == "1" and {"Root", "Parent"} <= fields.keys():
            around = Around(fields["Root"], fields["Parent"], partial(_send, self._address))
        token = _around.set(around)
        try:
            yield
        finally:
            _around.reset(token)


def _send(address: tuple[str, int], document: bytes) -> None:
    """Send a subsegment, if that can be done at once."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)  # noqa: FBT003 - as the socket has it
        sender.sendto(HEADER + document, address)


@contextmanager
def subsegment(name: str, *, namespace: Literal["aws", "remote"] | None = None, **annotations: str) -> Iterator[Part]:
    """Let what is inside be a part of the trace; ``namespace`` if that is a call of another service."""
    part = Part(dict(annotations))
    around = _around.get()
    if around is None:
        yield part
        return
    identifier, begun = secrets.token_hex(8), time.time()
    token = _around.set(Around(around.trace, identifier, around.send))
    try:
        yield part
    except BaseException as error:
        part.mark_error(error)
        raise
    finally:
        _around.reset(token)
        document: dict[str, Any] = {
            "name": name,
            "id": identifier,
            "trace_id": around.trace,
            "parent_id": around.parent,
            "type": "subsegment",
            "start_time": begun,
            "end_time": time.time(),
            "annotations": part.annotations,
        }
        kind = {"namespace": namespace} if namespace else {}
        around.send(msgspec.json.encode(document | kind | part.marks))
