"""Traces: which one a request is part of, as W3C Trace Context says it in the header ``traceparent``.

A trace is of the request that it came with, and of what is done for that: log lines name it, and calls that go out
carry it on. It is in a context variable, which tasks inherit. Some of them go on when the request is over, as those do
that keep up a connection: to them it says nothing any more (``is_over``).
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

_FORM = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_FIRST_VERSION, _NO_VERSION = b"00", b"ff"
LONGEST = 512
"""Of a header of a later version, which may have more in it, so many bytes are looked at."""
VARIABLE = "TRACEPARENT"
"""The variable in which programs hand a trace to those that they start."""


class Trace(Struct, eq=False):
    """The trace that a request is part of."""

    trace_id: str
    span_id: str
    """The span that what is done for the request belongs to: its own if spans are made, else its caller's."""
    flags: int = 0
    """What is known of the flags: bit 0 if the trace is recorded, bit 1 if its identifier is random."""
    is_over: bool = False
    span: Any = None
    """The request's own span, as OpenTelemetry has it, if it is recorded."""

    @property
    def header(self) -> str:
        """What calls carry that are made for the request."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def read_traceparent(header: bytes | None) -> Trace | None:
    """Return the trace that a header names; None without one, and for one that the specification has ignored."""
    if header is None or len(header) > LONGEST:
        return None
    found = _FORM.fullmatch(header)
    if found is None:
        return None
    version, trace, span, flags, more = found.groups()
    if version == _NO_VERSION or (version == _FIRST_VERSION and more is not None):
        return None
    if not (trace.strip(b"0") and span.strip(b"0")):
        return None
    return Trace(trace.decode(), span.decode(), int(flags, 16) & 0b11)


def current_trace() -> Trace | None:
    """Return the trace of the request that this is done for, if there is one and it is not answered yet."""
    trace = _current.get()
    return None if trace is None or trace.is_over else trace


@contextmanager
def being_in(trace: Trace | None) -> Iterator[None]:
    """Do what is inside for the request of a trace."""
    token = _current.set(trace)
    try:
        yield
    finally:
        _current.reset(token)


def trace_headers() -> dict[str, str]:
    """Return what a call carries that goes out now: the trace of the request that it is made for, or was begun for.

    Outside of requests it is that of whoever started this process, if they have said it.
    """
    trace = _current.get() or read_traceparent(os.environ.get(VARIABLE, "").encode())
    return {} if trace is None else {"traceparent": trace.header}
