"""uvicorn's HTTP protocol, with requests answered inside the parser's last callback.

uvicorn owns the sockets, TLS, signals and the shutdown; httptools (llhttp) parses. An inline request needs no task, no
ASGI scope and no queue: if it can be answered from memory, the response is written before the parser returns. One that
must wait for the store is run on by the future it waits for (:mod:`laurels.adapters.fast_path`).

**One at a time.** While an inline request waits, ``cycle`` holds its :class:`~laurels.adapters.fast_path.InlineCall`,
which uvicorn takes for an unfinished request of its own. Whatever is pipelined behind it, comes while the client does
not read, or is of an operation that is not inline, goes uvicorn's way: through its queue to the ASGI application, which
has the same routes. So answers keep their order, memory stays bounded, and the fast path has no special cases.

**Once through the gate.** Which way a request goes is settled when its head is complete. An inline one passes the gate
right then, before its body is read; any other passes it in the ASGI application.

**Stages.** A connection is in one :class:`Stage`. After a refusal it lingers: it reads for a moment what the client
still sends, because closing at once would take the refusal from it (RFC 9112, 9.6). Each stage but waiting has a time
limit. One :class:`Shared` a server looks at all connections once a second; no request pays for a timer.

**Strictness.** llhttp refuses two lengths, a length next to chunks, bare CR or LF and folded lines. Refused here,
because llhttp lets them pass: chunks under HTTP/1.0, any transfer coding besides chunks, versions other than 1.0 and
1.1, a Host that is missing or given twice, a target that is no path or has a fragment (which uvicorn would remove).
"""

from __future__ import annotations

import logging
import re
import time
from email.utils import formatdate
from enum import IntEnum
from http import HTTPStatus
from math import inf
from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from laurels.adapters.fast_path import FastPath, start
from laurels.errors import truncate
from laurels.http.messages import PHRASES, Request, add_header
from laurels.http.problems import HTTPError, failure, overloaded, problem, too_large
from laurels.http.routes import Call
from laurels.limits import format_size

if TYPE_CHECKING:
    import asyncio

    from uvicorn._types import ASGI3Application
    from uvicorn.config import Config
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
    from uvicorn.server import ServerState

    from laurels.adapters.asgi import Application
    from laurels.adapters.fast_path import InlineCall
    from laurels.adapters.limits import Limits
    from laurels.http.messages import Response
    from laurels.http.routes import Routes

log = logging.getLogger(__name__)


class Stage(IntEnum):
    """What a connection is doing. Idle is 0, so that the fast path can test it cheaply."""

    IDLE = 0
    HEAD = 1
    BODY = 2
    WAITING = 3
    LINGERING = 4


IDLE, HEAD, BODY, WAITING, LINGERING = Stage
NEXT_STAGES: dict[Stage, set[Stage]] = {
    IDLE: {HEAD, WAITING, LINGERING},  # WAITING: the fast path took the request; LINGERING: there are too many
    HEAD: {BODY, WAITING, LINGERING},
    BODY: {WAITING, LINGERING},
    WAITING: {IDLE, HEAD, LINGERING},  # HEAD: the next request is pipelined behind the one that waits
    LINGERING: set(),
}
"""What may follow each stage, besides itself; tests hold the protocol to it."""

STATUS_LINE = {status: b"HTTP/1.1 %d %b\r\n" % (status, phrase.encode()) for status, phrase in PHRASES.items()}
CHUNKED = b"chunked"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PIPELINE_DEPTH = 100
LINGERING_AT_ONCE = 16
"""How many connections beyond the limit linger; further ones are closed behind their refusal, for their descriptors."""
NOT_COUNTED = -1
NO_CALL = Call()
NO_REQUEST = Request("", b"", b"", {})
_ARRIVING = {HEAD: "The head of the request", BODY: "The body of the request"}
_BAD_CODING = ("Invalid `Transfer-Encoding`", "Empty Transfer-Encoding")
"""What llhttp says of a header line that it refuses before the head is complete."""
_ABSOLUTE = re.compile(rb"^https?://[^/?#]*/?", re.IGNORECASE)


def _other_coding() -> HTTPError:
    return HTTPError(501, "The only Transfer-Encoding here is chunked, alone and once: send the body plain.")


class Shared:
    """What the connections of one server share: the time, renewed once a second, their limits, and the fast path."""

    def __init__(self, limits: Limits, routes: Routes) -> None:
        self.limits = limits
        self.seconds = (limits.idle_timeout, limits.head_timeout, limits.body_timeout, inf, limits.linger_timeout)
        self.routes = routes
        self.fast = FastPath(routes, limits.max_target, limits.max_head)
        self.outbox = self.fast.outbox
        self.now = time.monotonic()
        self.date = b""
        self._runs = False

    def run(self, loop: asyncio.AbstractEventLoop, connections: set[Any]) -> None:
        """Tick for as long as there are connections, if it does not tick already."""
        self.fast.run_in(loop)
        if not self._runs:
            self._runs = True
            self._read()
            loop.call_later(1, self._tick, loop, connections)

    def _tick(self, loop: asyncio.AbstractEventLoop, connections: set[Any]) -> None:
        self._read()
        for connection in list(connections):
            connection.check_time()
        self._runs = bool(connections)
        if self._runs:
            loop.call_later(1, self._tick, loop, connections)

    def _read(self) -> None:
        self.now = time.monotonic()
        self.date = b"date: %b\r\n" % formatdate(usegmt=True).encode()
        self.fast.ok = STATUS_LINE[200] + self.date + b"content-type: application/json\r\ncontent-length: "
        self.fast.accepted = STATUS_LINE[202] + self.date + b"content-length: 0\r\n\r\n"


class BoardProtocol(HttpToolsProtocol):
    """One connection."""

    app: Application
    cycle: Any  # uvicorn's own, or an InlineCall
    url: bytes

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        shared: Shared,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.shared = shared
        self.routes = shared.routes
        self.stage = IDLE
        self.since = shared.now
        self.stalled_since = shared.now
        self.refusing = False  # a refusal is on its way or due: nothing more is read
        self.inline = True  # the way of the newest request
        self.keep_alive = True
        self.address = ""  # of the client
        self.began = shared.now  # of the newest request, for the gate's observers
        self.call = NO_CALL
        self.request = NO_REQUEST
        self.header_size = 0
        self.head_bytes = 0
        self.running: Any = None  # the cycle whose answer is next; ``cycle`` is the newest of the pipeline

    # The transport's side

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Join the server's connections, or be refused if there are too many."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self.shared.run(self.loop, self.connections)
        self.since = self.stalled_since = self.shared.now
        limit = self.shared.limits.max_connections
        if len(self.connections) > limit:
            self.refuse(overloaded(f"There are {limit:,} connections already, as many as --max-connections allows."))
            if len(self.connections) > limit + LINGERING_AT_ONCE:
                self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is running, because uvicorn tells only the newest."""
        if self.running is not None:
            self._abandon(self.running)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which calls the ``on_`` methods below."""
        if self.refusing:
            if self.stage != LINGERING:
                self.flow.pause_reading()
            return
        if self.stage == IDLE and not self.flow.write_paused:
            end = self.shared.fast.answer(self, data)
            if end == len(data):
                return
            data = data[end:]
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.refusing = True  # what follows is no HTTP
        except httptools.HttpParserCallbackError:
            log.exception("Failed to read a request")
            self.transport.abort()
        except httptools.HttpParserError as error:
            is_coding = str(error).startswith(_BAD_CODING)
            self.refuse(_other_coding() if is_coding else HTTPError(400, f"This is not HTTP/1.1: {truncate(error)}."))
        if self.stage == HEAD:
            # The parser reports a header line only when it is whole: this bounds one without an end. The piece in which
            # a head begins may hold other requests before it, and is not counted.
            self.head_bytes = 0 if self.head_bytes == NOT_COUNTED else self.head_bytes + len(data)
            if self.head_bytes > self.shared.limits.max_head:
                self.refuse(self._head_too_large())

    def pause_writing(self) -> None:
        """Remember since when the client does not read."""
        super().pause_writing()
        self.stalled_since = self.shared.now

    def eof_received(self) -> bool:  # type: ignore[override]
        """Stay open if an answer is due: the client has only said that it sends no more."""
        self.shared.outbox.flush()
        if not self._busy():
            return False
        self.cycle.keep_alive = False
        return True

    def shutdown(self) -> None:
        """Close once what was asked has been answered; a body on its way may still arrive."""
        self.shared.outbox.flush()
        self.keep_alive = False
        if self._is_streaming():  # a stream may have no end of its own
            self._abandon(self.running)
            self.transport.close()
            return
        if self.stage != BODY or not self.inline:
            super().shutdown()

    def check_time(self) -> None:
        """Close, or refuse, if a stage has lasted too long; called once a second."""
        seconds = self.shared.seconds[self.stage]
        if self.flow.write_paused and self.shared.now - self.stalled_since > self.shared.limits.send_timeout:
            self.transport.abort()
        if self.shared.now - self.since > seconds:
            if self.stage in _ARRIVING:
                self.refuse(HTTPError(408, f"{_ARRIVING[self.stage]} took longer than {seconds:g} seconds."))
            else:
                self.transport.close()

    # The parser's side

    def on_message_begin(self) -> None:
        """Begin a head."""
        if self.refusing:
            return
        self.url = b""
        self.call = NO_CALL
        self.request = Request("", b"", b"", {}, b"", self.address)
        self.header_size = 0
        self.head_bytes = NOT_COUNTED
        self.stage = HEAD
        self.since = self.shared.now
        if self.shared.fast.is_observed:
            self.began = time.monotonic()  # the clock of seconds_now in fast_path.pyx

    def on_url(self, url: bytes) -> None:
        """Take the target, or a part of it."""
        self.url += url
        if len(self.url) > self.shared.limits.max_target:
            self.refuse(HTTPError(414, f"The target is longer than {format_size(self.shared.limits.max_target)}."))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header line. Trailers are counted and dropped."""
        self.header_size += len(name) + len(value)
        if self.header_size > self.shared.limits.max_head:
            self.refuse(self._head_too_large())
        elif self.stage == HEAD:
            add_header(self.request.headers, name.lower(), value)

    def on_headers_complete(self) -> None:
        """Settle which way the request goes, and have the gate admit it if it is inline."""
        if self.refusing:
            return
        parser, request = self.parser, self.request
        version = parser.get_http_version()
        fault = self._fault(version)
        if len(self.pipeline) == PIPELINE_DEPTH:
            fault = HTTPError(503, "Too many requests are pipelined.")
        if fault is not None:
            self.refuse(fault)
            return
        self.keep_alive = (
            self.keep_alive and version == "1.1" and parser.should_keep_alive() and not parser.should_upgrade()
        )
        request.method = parser.get_method().decode()
        request.path, _, request.query = self.url.partition(b"?")
        self.call = self.routes.find(request.method, request.path)
        self.inline = self.call.is_inline and not self._busy() and not self.flow.write_paused
        has_body = request.headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in request.headers
        if not self.inline:
            self._hand_over()
        else:
            self._admit(has_body=has_body)
        if has_body and not self.refusing:
            self._expect_body()

    def _admit(self, *, has_body: bool) -> None:
        """Pass the gate. Who is refused keeps the connection, unless a body would have to be read first."""
        try:
            self.routes.admit(self.call, self.request)
        except Exception as error:  # noqa: BLE001 - an adapter's outermost part
            if has_body:
                self._refuse_with(failure(error))
            else:
                self.call.problem = error

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if self.refusing:
            return
        if not self.inline:
            super().on_body(body)
            return
        request = self.request
        if not request.body:
            request.body = body
        else:
            request.body = bytearray(request.body) if isinstance(request.body, bytes) else request.body
            request.body += body
        if len(request.body) > self.call.body_limit:
            self.refuse(too_large(self.call.body_limit))

    def on_message_complete(self) -> None:
        """Answer, at once if that takes no waiting."""
        if self.refusing:
            return
        self.stage = WAITING
        if not self.inline:
            super().on_message_complete()
            return
        call, request = self.call, self.request
        self.call, self.request = NO_CALL, NO_REQUEST  # a connection that rests keeps no body
        start(self, self.shared.fast, call, request)

    # One request's way

    def hold(self, call: InlineCall) -> None:
        """Keep the connection's place for a request that waits."""
        self.stage = WAITING
        self.cycle = self.running = call

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self.running = cycle

        async def run(scope: Any, receive: Any, send: Any) -> None:
            if not cycle.disconnected:  # it may have been refused before its task began
                await app(scope, receive, send)

        # Pipelined requests are started by the task that answered the one before, whose context they must not copy.
        self.shared.fast.new_context().run(super()._start_asgi_task, cycle, run)

    @staticmethod
    def _abandon(cycle: Any) -> None:
        """Let a request know that nobody waits for its answer, or for the rest of it."""
        cycle.disconnected = True
        cycle.message_event.set()

    def _is_streaming(self) -> bool:
        """Return whether an answer of uvicorn's way is under way that waits for nothing but its next part."""
        cycle = self.running
        return self._busy() and getattr(cycle, "response_started", False) and not self.flow.write_paused

    def on_response_complete(self) -> None:
        """Go on with what was pipelined behind the request just answered, or rest."""
        if self.pipeline and not self.transport.is_closing():
            self.flow.resume_reading()
            self._start_asgi_task(*self.pipeline.pop())
        elif self.stage == WAITING:
            self.flow.resume_reading()
            self.stage = IDLE
            self.since = self.shared.now
        elif self.stage == BODY and not self.inline and not self.transport.is_closing():
            self._linger()  # it was refused before its body was there

    def refuse(self, error: HTTPError) -> None:
        """Answer with an error and read no more. What was asked before is still answered first."""
        self._refuse_with(problem(error))

    def _refuse_with(self, response: Response) -> None:
        if self.refusing:
            return
        self.refusing = True
        if not self._busy():
            self._start_lingering_close(response)
        elif self._body_still_expected():
            self._abandon(self.cycle)
            self._start_lingering_close(response)
        elif self.stage != BODY:
            self.cycle.keep_alive = False
        elif self.pipeline:
            self.pipeline.popleft()  # the one that is refused; those before it are still answered
            self.cycle = self.pipeline[0][0] if self.pipeline else self.running
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    def _start_lingering_close(self, response: Response) -> None:
        request, seconds = self.request, time.monotonic() - self.began
        response = self.routes.gate.release(request, self.call.route, request.method, response, seconds)
        self.shared.outbox.flush()
        body = b"" if request.method == "HEAD" else response.body
        self.transport.write(self._head(response, keep_alive=False) + body)
        self._linger()

    def _linger(self) -> None:
        """Say that no more answers come, and read for a moment what the client still sends."""
        self.refusing = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.stage = LINGERING
            self.since = self.shared.now
        else:
            self.transport.close()

    def _busy(self) -> bool:
        return bool(self.cycle) and not self.cycle.response_complete

    def _body_still_expected(self) -> bool:
        """Return whether the only request under way is one of uvicorn's, unanswered, whose body is still to come."""
        return self.stage == BODY and self.cycle is self.running and not self.cycle.response_started

    def _fault(self, version: str) -> HTTPError | None:
        headers, url = self.request.headers, self.url
        host, coding = headers.get(b"host"), headers.get(b"transfer-encoding", CHUNKED)
        is_plain = coding == CHUNKED and url.startswith(b"/") and b"#" not in url
        if is_plain and version == "1.1" and host is not None and b"," not in host:
            return None
        return self._version_fault(version) or self._head_fault(version, host, coding)

    def _version_fault(self, version: str) -> HTTPError | None:
        if version not in {"1.0", "1.1"}:
            return HTTPError(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
        if version == "1.0" and b"transfer-encoding" in self.request.headers:
            return HTTPError(400, "HTTP/1.0 has no Transfer-Encoding: send a Content-Length.")
        return None

    def _head_fault(self, version: str, host: bytes | None, coding: bytes) -> HTTPError | None:
        if coding.rstrip(b" ").lower() != CHUNKED:  # llhttp takes no other space
            return _other_coding()
        if (host is None and version == "1.1") or (host is not None and b"," in host):
            return HTTPError(400, "A request has exactly one Host header.")
        self.url = _ABSOLUTE.sub(b"/", self.url, count=1)
        if not self.url.startswith(b"/") or b"#" in self.url:
            return HTTPError(400, "The target is no path, or has a fragment: a number sign in a name is %23.")
        return None

    def _hand_over(self) -> None:
        """Let uvicorn take the request, as if it had parsed it itself."""
        url = self.url
        super().on_message_begin()
        super().on_url(url)
        for name, value in self.request.headers.items():
            super().on_header(name, value)
        super().on_headers_complete()
        self.cycle.keep_alive = self.keep_alive

    def _expect_body(self) -> None:
        self.stage = BODY
        self.since = self.shared.now
        if not self.inline:
            return
        headers, limit = self.request.headers, self.call.body_limit
        if int(headers.get(b"content-length", b"0")) > limit:
            self.refuse(too_large(limit))
        elif headers.get(b"expect", b"").lower() == b"100-continue":
            self.shared.outbox.put(self, CONTINUE)

    def _head_too_large(self) -> HTTPError:
        return HTTPError(431, f"The headers are larger than {format_size(self.shared.limits.max_head)}.")

    def write(self, response: Response, keep_alive: bool, bodiless: bool) -> None:  # noqa: FBT001
        """Write a response of any kind."""
        data = self._head(response, keep_alive=keep_alive) + (b"" if bodiless else response.body)
        if keep_alive:
            self.shared.outbox.put(self, data)
        else:
            self.shared.outbox.flush()
            self.transport.write(data)
            self.transport.close()
            self.refusing = True

    def _head(self, response: Response, *, keep_alive: bool) -> bytes:
        status = response.status
        lines = [STATUS_LINE.get(status, b"HTTP/1.1 %d \r\n" % status), self.shared.date]
        lines.extend([b"%b: %b\r\n" % header for header in response.headers])
        if response.body:
            lines.append(b"content-type: %b\r\n" % response.content_type)
        if response.status != HTTPStatus.NO_CONTENT:
            lines.append(b"content-length: %d\r\n" % len(response.body))
        lines.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
        return b"".join(lines)
