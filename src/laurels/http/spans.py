"""Spans by OpenTelemetry: one for each request, and below it one for each call that its store makes for it.

This module is loaded only if spans are wanted, because it needs packages that an extra of ours installs. Names and
attributes are those of OpenTelemetry's semantic conventions for HTTP servers and databases, but for these: of a path
the names of players are left out, and of a query everything, because names, and tokens for live boards, are in it.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from opentelemetry import context, propagate, trace
from opentelemetry.propagators.textmap import Getter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.span import format_span_id, format_trace_id

from laurels.errors import ExporterMissing
from laurels.http.hosts import read_authority
from laurels.http.request_log import hide_player
from laurels.tracing import Trace
from laurels.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opentelemetry.trace import Span, Tracer

    from laurels.http.gate import Answered, Asked
    from laurels.http.messages import Headers, Request
    from laurels.tracing import Attributes, Ended

NANO = 10**9
FAULT = 500
"""From this status on it is the service's fault, and an error of its span."""
OTHER = "_OTHER"
"""What stands for a method that HTTP does not know."""
SERVICE = "laurels"
"""What the service is called unless OTEL_SERVICE_NAME says otherwise."""
NAMED = f"{SERVICE_NAME}="
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
_EXPORTERS = "opentelemetry_traces_exporter"
_PROTOCOLS = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}


class Spans:
    """Makes the spans of requests."""

    def __init__(self, provider: trace.TracerProvider, own: TracerProvider | None = None) -> None:
        """Make them by a provider; ``own`` is the same if it is to be shut down at the end."""
        self._tracer = provider.get_tracer(SERVICE, __version__)
        self._own = own

    def begin(self, request: Request, asked: Asked) -> Trace:
        """Begin the span of a request whose head is complete; return the trace that it is part of."""
        parent = None if trace.get_current_span().get_span_context().is_valid else _extract(request.headers)
        return self._begin(request, asked, parent, time.time_ns())

    def _begin(self, request: Request, asked: Asked, parent: context.Context | None, now: int) -> Trace:
        method = request.method if request.method in METHODS else OTHER
        name = "HTTP" if method == OTHER else method
        attributes: dict[str, str | int] = {
            "http.request.method": method,
            "url.scheme": request.scheme,
            "url.path": _hide_names(request, asked),
        }
        if asked.route:
            name, attributes["http.route"] = f"{name} {asked.route}", asked.route
        if request.client:
            attributes["network.peer.address"] = request.client
        if agent := request.headers.get(b"user-agent"):
            attributes["user_agent.original"] = agent.decode("latin-1")
        attributes |= _read_server(request)
        span = self._tracer.start_span(name, parent, SpanKind.SERVER, attributes, start_time=now)
        of = span.get_span_context()
        recorded = _Recorded(self._tracer, span) if span.is_recording() else None
        return Trace(format_trace_id(of.trace_id), format_span_id(of.span_id), of.trace_flags, span=recorded)

    def end(self, request: Request, asked: Asked, answered: Answered) -> None:
        """End the span of a request as its answer leaves; one that was refused before it had a span gets it here."""
        found = request.trace
        if found is None:
            begun = time.time_ns() - int(answered.seconds * NANO)
            found = request.trace = self._begin(request, asked, _extract(request.headers), begun)
        if isinstance(found.span, _Recorded):
            found.span.end(request, answered)
        found.is_over = True

    def close(self) -> None:
        """Send what is left, and wait for that, if nobody else does."""
        if self._own is not None:
            self._own.shutdown()


class _Recorded:
    """A span that is recorded."""

    def __init__(self, tracer: Tracer, span: Span) -> None:
        self._tracer = tracer
        self._span = span
        self._context = trace.set_span_in_context(span)

    @contextmanager
    def being_current(self) -> Iterator[None]:
        """Let other packages know of it inside."""
        token = context.attach(self._context)
        try:
            yield
        finally:
            context.detach(token)

    def begin_call(self, name: str, attributes: Attributes, *, is_remote: bool) -> Ended:
        """Begin a span below it."""
        kind = SpanKind.CLIENT if is_remote else SpanKind.INTERNAL
        return partial(_end_call, self._tracer.start_span(name, self._context, kind, dict(attributes)))

    def end(self, request: Request, answered: Answered) -> None:
        """End it with what is known of an answer."""
        span = self._span
        span.set_attribute("http.response.status_code", answered.status)
        span.set_attribute("http.response.body.size", answered.size)
        if request.client:
            span.set_attribute("client.address", request.client)
        if answered.board:
            span.set_attribute("laurels.board", answered.board)
        if answered.who:
            span.set_attribute("laurels.who", hide_player(answered.who))
        if answered.status >= FAULT:
            span.set_attribute("error.type", str(answered.status))
            span.set_status(Status(StatusCode.ERROR))
        span.end()


class _Headers(Getter["Headers"]):
    def get(self, carrier: Headers, key: str) -> list[str] | None:
        """Return what a header says."""
        value = carrier.get(key.lower().encode())
        return None if value is None else [value.decode("latin-1")]

    def keys(self, carrier: Headers) -> list[str]:
        """Return the names of all headers."""
        return [name.decode("latin-1") for name in carrier]


_headers = _Headers()


def _extract(headers: Headers) -> context.Context:
    return propagate.extract(headers, getter=_headers)


def _hide_names(request: Request, asked: Asked) -> str:
    """Return the path of a request, with ``{name}`` for the names of players; nothing of one that is no route."""
    if asked.operation is None:
        return asked.route
    path = asked.route
    for parameter, value in zip(asked.operation.path_parameters, asked.names, strict=False):
        if parameter != "name":
            path = path.replace(f"{{{parameter}}}", quote(value, safe=""), 1)
    return request.prefix + path


def _read_server(request: Request) -> Mapping[str, str | int]:
    authority = read_authority(request.host)
    if authority is None:
        return {}
    port = authority.port_of(request.scheme)
    return {"server.address": authority.name} | ({} if port is None else {"server.port": port})


def _end_call(span: Span, error: BaseException | None, attributes: Attributes) -> None:
    for name, value in attributes.items():
        span.set_attribute(name, value)
    if error is not None:
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(Status(StatusCode.ERROR))
    span.end()


def open_spans(exporters: Sequence[str], environment: Mapping[str, str]) -> Spans | None:
    """Return what makes spans: by the provider of this process, if it has one, else by one with these exporters.

    None if there is neither. Raises ExporterMissing.
    """
    found = trace.get_tracer_provider()
    if isinstance(found, TracerProvider):
        return Spans(found)
    if not exporters:
        return None
    attributes = {SERVICE_VERSION: __version__}
    if "OTEL_SERVICE_NAME" not in environment and NAMED not in environment.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        attributes[SERVICE_NAME] = SERVICE
    own = TracerProvider(resource=Resource.create(attributes))
    for name in exporters:
        own.add_span_processor(BatchSpanProcessor(_load_exporter(name, environment)))
    return Spans(own, own)


def _load_exporter(name: str, environment: Mapping[str, str]) -> Any:
    wanted = name
    if name == "otlp":
        general = environment.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        protocol = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", general)
        wanted = _PROTOCOLS.get(protocol, protocol)
    for each in entry_points(group=_EXPORTERS, name=wanted):
        return each.load()()
    raise ExporterMissing(name)
