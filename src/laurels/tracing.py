"""Traces: which one a request is part of, as W3C Trace Context says it in the header ``traceparent``.

A trace is of the request that it came with, and of what is done for that: log lines name it, and calls that go out
carry it on. It is in a context variable, which tasks inherit. Some of them go on when the request is over, as those do
that keep up a connection: to them it says nothing any more (``is_over``).
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

Attributes: TypeAlias = "Mapping[str, str | int | float]"
Ended: TypeAlias = "Callable[[BaseException | None, Attributes], None]"
"""Called when a call has ended: with the error that it met, if it met one, and what is known only then."""

_FORM = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_FIRST_VERSION, _NO_VERSION = b"00", b"ff"
LONGEST = 512
"""Of a header of a later version, which may have more in it, so many bytes are looked at."""
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
VARIABLE = "TRACEPARENT"
"""The variable in which programs hand a trace to those that they start."""


class OpenSpan(Protocol):
    """The span of a request that is recorded, as :mod:`laurels.http.spans` has it."""

    def begin_call(self, name: str, attributes: Attributes, *, is_remote: bool) -> Ended:
        """Begin a span below it."""

    def being_current(self) -> AbstractContextManager[None]:
        """Let other packages know of it inside."""


class Trace(Struct, eq=False):
    """The trace that a request is part of."""

    trace_id: str
    span_id: str
    """The span that what is done for the request belongs to: its own if spans are made, else its caller's."""
    flags: int = 0
    """What is known of the flags: bit 0 if the trace is recorded, bit 1 if its identifier is random."""
    is_over: bool = False
    span: OpenSpan | None = None
    """The request's own span, if there is one that is recorded."""

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
        with nullcontext() if trace is None or trace.span is None else trace.span.being_current():
            yield
    finally:
        _current.reset(token)


def begin_call(name: str, attributes: Attributes, *, is_remote: bool = False) -> Ended | None:
    """Begin a span for a call that the present request makes; None if its span is not recorded."""
    trace = current_trace()
    if trace is None or trace.span is None:
        return None
    return trace.span.begin_call(name, attributes, is_remote=is_remote)


@contextmanager
def calling(name: str, attributes: Attributes, *, is_remote: bool = False) -> Iterator[Callable[[BaseException], None]]:
    """Let what is inside be a call of the present request; what is yielded notes an error that is not raised."""
    ended = begin_call(name, attributes, is_remote=is_remote)
    met: list[BaseException] = []
    try:
        yield met.append
    except BaseException as error:
        met.append(error)
        raise
    finally:
        if ended is not None:
            ended(met[0] if met else None, {})


def is_recorded() -> bool:
    """Return whether there is a present request whose span is recorded."""
    trace = current_trace()
    return trace is not None and trace.span is not None


def trace_headers() -> dict[str, str]:
    """Return what a call carries that goes out now: the trace of the request that it is made for, or was begun for.

    Outside of requests it is that of whoever started this process, if they have said it.
    """
    trace = _current.get() or read_traceparent(os.environ.get(VARIABLE, "").encode())
    return {} if trace is None else {"traceparent": trace.header}


def wanted_exporters(environment: Mapping[str, str]) -> list[str]:
    """Return what is to export spans, as OpenTelemetry's variables say it; nothing if none is to."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return []
    named = environment.get("OTEL_TRACES_EXPORTER", "").strip()
    if not named and any(environment.get(each) for each in ENDPOINTS):
        named = "otlp"
    return [name for each in named.split(",") if (name := each.strip()) and name != "none"]
