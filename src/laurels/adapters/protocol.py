"""uvicorn's HTTP protocol, with requests answered inside the parser's last callback.

uvicorn owns the sockets, TLS, signals and the shutdown; httptools (llhttp) parses. An inline request needs no task, no
ASGI scope and no queue: if it can be answered from memory, the response is written before the parser returns. One that
must wait for the store is run on by the future it waits for (:mod:`laurels.adapters.fast_path`).

**One at a time.** While an inline request waits, ``cycle`` holds its :class:`~laurels.adapters.fast_path.InlineCall`,
which uvicorn takes for an unfinished request of its own. What is pipelined behind a request that waits, or comes while
the client does not read, is held back as bytes (``rest``), and nothing more is read. So answers keep their order,
memory stays bounded, and every request takes the same way. An operation that is not inline goes uvicorn's way: through
its queue to the ASGI application, which has the same routes.

**Pieces.** The parser cannot be stopped, so it is fed up to the end of one head or one body at a time. Only the last
byte of a head may complete two requests, if it comes in a segment of its own: the second then goes uvicorn's way.

**Offers to upgrade** are passed over (RFC 9110, 7.8), but for a WebSocket of the feed. The parser takes what follows
such a head for another protocol, and leaves out the body. So a new parser gets the head again, without the offer, and
goes on from there.

**An answer that goes on** is sent by the hub of the feed to what the connection has become
(:mod:`laurels.adapters.listeners`); it takes no other request.

**Once through the gate.** Which way a request goes is settled when its head is complete. An inline one passes the gate
right then, before its body is read; any other passes it in the ASGI application.

**Stages.** A connection is in one :class:`Stage`. After a refusal it lingers: it reads for a moment what the client
still sends, because closing at once would take the refusal from it (RFC 9112, 9.6). Each stage but waiting has a time
limit. The server's :class:`~laurels.adapters.shared.Shared` looks at all connections once a second; no request pays for
a timer.
"""

from __future__ import annotations

import logging
import time
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from laurels.adapters.fast_path import start
from laurels.adapters.limits import SLICE_SECONDS, SMALL_BYTES
from laurels.adapters.listeners import ChunkedStream, PlainStream, WebSocket
from laurels.adapters.strictness import describe_error, find_fault, split_target
from laurels.http.handshake import asks_for_websocket
from laurels.http.live import Live
from laurels.http.messages import BODILESS, Request, add_header
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
    from laurels.adapters.listeners import Listener
    from laurels.adapters.shared import Shared
    from laurels.http.messages import Response

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

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HEAD_END = b"\r\n\r\n"
PIECE_BYTES = 8192
"""Of a head, or of a chunked body, that the parser is fed at a time."""
ALONE_BYTES = 2048
"""A longer piece may hold many requests; if a turn has done much already, it waits for its own."""
FEWEST_PIECES = 2
"""In one turn, however long they take: a head, and the body behind it."""
LINGERING_AT_ONCE = 16
"""How many connections beyond the limit linger; further ones are closed behind their refusal, for their descriptors."""
NO_CALL = Call()
NO_REQUEST = Request("", b"", b"", {})
_ARRIVING = {HEAD: "The head of the request", BODY: "The body of the request"}


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
        self.answer_fast = shared.fast.answer  # looked up once: each request needs it
        self.routes = shared.routes
        self.hub = shared.routes.hub
        self.stage = IDLE
        self.since = shared.now
        self.stalled_since = shared.now
        self.refusing = False  # a refusal is on its way or due: nothing more is read
        self.inline = True  # the way of the newest request
        self.is_passed_over = False  # the newest request offers to upgrade, and its head is to be read again
        self.keep_alive = True
        self.version = "1.1"  # of the newest request
        self.address = ""  # of the client
        self.meter_key: int | None = None  # of the address, once it is needed
        self.began = shared.now  # of the newest request, for the gate's observers
        self.call = NO_CALL
        self.request = NO_REQUEST
        self.header_size = 0
        self.head_bytes = 0
        self.body_left = 0  # of the newest request, if it said how long its body is
        self.rest = b""  # held back: what is not read yet begins at rest_start
        self.rest_start = 0
        self.is_waiting_for_turn = False
        self.is_reading = False
        self.is_ending = False  # to be closed once what was asked has been answered
        self.is_lost = False
        self.arrived = 0  # bytes of requests that are not answered yet, as far as the parser has had them
        self.unsent = 0  # bytes of answers that the client has not taken
        self.held = 0  # bytes of memory that are counted for this connection
        self.listener: Listener | None = None  # what the connection has become
        self.running: Any = None  # the cycle whose answer is next; ``cycle`` is the newest of the pipeline

    # The transport's side

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Join the server's connections, or be refused if there are too many."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self.shared.run(self.loop, self.connections)
        self.since = self.stalled_since = self.shared.now
        transport.set_write_buffer_limits(0)  # what the socket does not take at once is counted, and stops the reading
        limit = self.shared.limits.max_connections
        if len(self.connections) > limit:
            self.shared.refused += 1
            full = f"There are as many connections as --max-connections allows: {limit:,}."
            self.refuse(overloaded(full, "--max-connections"))
            if len(self.connections) > limit + LINGERING_AT_ONCE:
                self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request that is running, because uvicorn tells only the newest.

        A write goes on all the same, and takes memory for as long.
        """
        running, self.is_lost, self.rest = self.running, True, b""
        if self.listener is not None:
            self.hub.leave(self.listener)
        if running is not None:
            self._abandon(running)
        super().connection_lost(exc)
        if running is None or running.response_complete:
            self.arrived = 0
        self._count()

    def data_received(self, data: bytes) -> None:
        """Answer at once if the fast path can; else feed the parser, which calls the ``on_`` methods below."""
        if self.refusing:
            if self.listener is not None:
                self._receive(self.listener, data)
            elif self.stage != LINGERING:
                self.flow.pause_reading()
            return
        if self.rest:
            self._hold_back(self.rest[self.rest_start :] + data, 0)
            return
        start, is_long = 0, len(data) > ALONE_BYTES
        if self.stage == IDLE and not self.flow.write_paused and not (is_long and self.shared.outbox.is_over):
            start = self.answer_fast(self, data, 0)
            if start == len(data):
                return
        self._read(data, start, is_served=start > 0 or is_long)

    def read_on(self) -> None:
        """Go on with what was held back: it is this connection's turn."""
        data, start, self.rest = self.rest, self.rest_start, b""
        self.is_waiting_for_turn = False
        if data:
            if self.stage == IDLE and not self.flow.write_paused:
                start = self.shared.fast.answer(self, data, start)
            self._read(data, start, is_served=start > self.rest_start)
        if not self.rest and not self.is_waiting_for_turn:
            self._go_on()

    def _read(self, data: bytes, start: int, *, is_served: bool) -> None:
        """Answer what begins at ``start``, as far as this connection's turn goes, and hold back the rest.

        The fast path has looked there already. If it has served a request, there may be no time left for another.
        """
        fast, outbox, end = self.shared.fast, self.shared.outbox, time.monotonic() + SLICE_SECONDS
        outbox.begin_turn(self.loop)
        parsed, pieces = start, 0
        self.is_reading = True
        while start < len(data) and not self.refusing and not self._must_wait():
            may_stop = is_served if self.stage == IDLE else pieces >= FEWEST_PIECES
            if may_stop and (outbox.is_over or time.monotonic() > end):
                break
            pieces, is_served = pieces + 1, True
            answered = fast.answer(self, data, start) if self.stage == IDLE and start != parsed else start
            start = parsed = answered if answered > start else self._parse(data, start)
        self.is_reading = False
        if start < len(data) and not self.refusing:
            self._hold_back(data, start)
            self._go_on()
        elif self.stage == BODY and outbox.is_over:
            self.flow.pause_reading()
            self._wait_for_turn()

    def _must_wait(self) -> bool:
        """Return whether the next request must wait: for the answer to another, or for the client to read."""
        return self.stage == WAITING or (self.stage == IDLE and self.flow.write_paused)

    def _hold_back(self, data: bytes, start: int) -> None:
        self.rest, self.rest_start = data, start
        self.flow.pause_reading()
        self._count()
        if self.held > SMALL_BYTES and not self.shared.fast.has_room(0):
            self.refuse(self.shared.full)

    def _go_on(self) -> None:
        """Wait for the turn of what was held back; without any, read what the client sends, or end."""
        if not self.rest:
            self.flow.resume_reading()
            if self.is_ending:
                self.shutdown()
        elif not self._must_wait():
            self._wait_for_turn()

    def _wait_for_turn(self) -> None:
        if not self.is_waiting_for_turn:
            self.is_waiting_for_turn = True
            self.shared.wait_for_turn(self)

    def _parse(self, data: bytes, start: int) -> int:
        """Feed the parser one piece; return where it ends."""
        end = self._end_of_piece(data, start)
        try:
            end = start + self._feed(data[start:end])
        except httptools.HttpParserCallbackError:
            log.exception("Failed to read a request")
            self.refusing = True
            self.transport.abort()
        except httptools.HttpParserError as error:
            self.refuse(describe_error(error))
        if self.stage != IDLE and not self.refusing:
            self._count_arrived(end - start)
        return end

    def _feed(self, piece: bytes) -> int:
        """Return how much of a piece the parser has taken: less than all if it ends in an offer to upgrade."""
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as offer:
            if self.is_passed_over:
                head = self._head_without_offer()
                self.parser = httptools.HttpRequestParser(self)  # the old one takes no more if the connection is to end
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
                self.parser.feed_data(head)
            else:
                self.refusing = True  # CONNECT: what follows is no HTTP
            taken: int = offer.args[0]
            return taken
        return len(piece)

    def _head_without_offer(self) -> bytes:
        lines = [b"%b: %b\r\n" % line for line in self.request.headers.items() if line[0] != b"upgrade"]
        version = self.parser.get_http_version().encode()
        return b"%b %b HTTP/%b\r\n%b\r\n" % (self.parser.get_method(), self.url, version, b"".join(lines))

    def _end_of_piece(self, data: bytes, start: int) -> int:
        if self.stage == BODY and self.body_left:
            return min(start + self.body_left, len(data))
        end = data.find(HEAD_END, start, start + PIECE_BYTES)
        return min(len(data), start + PIECE_BYTES) if end < 0 else end + len(HEAD_END)

    def _count_arrived(self, size: int) -> None:
        """Count a piece of a request that is not answered yet, and refuse one that is too much."""
        self.arrived += size
        if self.stage == HEAD:
            # The parser reports a header line only when it is whole: this bounds one without an end.
            self.head_bytes += size
            if self.head_bytes > self.shared.limits.max_head + self.shared.limits.max_target:
                self.refuse(self._head_too_large())
        if self.arrived > SMALL_BYTES:
            self._count()
            if self.stage in _ARRIVING and not self.shared.fast.has_room(0):
                self.refuse(self.shared.full)

    def _count(self) -> None:
        """Count anew the memory that this connection needs."""
        held = self.arrived + len(self.rest)
        if self.flow.write_paused:
            held += self.unsent
        self.shared.fast.held += held - self.held
        self.held = held

    def pause_writing(self) -> None:
        """Remember since when the client does not read."""
        super().pause_writing()
        self.stalled_since = self.shared.now
        if self.listener is not None:
            self.listener.is_slow = True
        self.unsent = max(self.transport.get_write_buffer_size(), self.shared.outbox.piece_bytes)
        self._count()

    def count_unsent(self, size: int) -> None:
        """Count an answer more that the client has not taken."""
        self.unsent += size
        self._count()

    def resume_writing(self) -> None:
        """Go on with what was held back."""
        super().resume_writing()
        self._count()
        if self.listener is not None:
            self.listener.is_slow = False
            self.hub.rejoin(self.listener)
            return
        if self.stage == IDLE:
            self.since = self.shared.now
        if self.rest:
            self._go_on()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Stay open if an answer is due: the client has only said that it sends no more. TLS closes both directions."""
        self.shared.outbox.flush()
        if not self.transport.can_write_eof() or self.listener is not None:
            return False
        if self.rest:
            self.is_ending = True
            return True
        if not self._busy():
            return False
        self.cycle.keep_alive = False
        return True

    def shutdown(self) -> None:
        """Close once what was asked has been answered; a body on its way may still arrive."""
        self.shared.outbox.flush()
        if self.listener is not None:
            self.hub.dismiss(self.listener)
            return
        if self.rest:
            self.is_ending = True
            return
        self.keep_alive = False
        if self._is_streaming():  # a stream may have no end of its own
            self._abandon(self.running)
            if self.flow.write_paused:
                self.transport.abort()
            else:
                self.transport.close()
            return
        if self.stage != BODY or not self.inline:
            super().shutdown()

    def check_time(self) -> None:
        """Close, or refuse, if a stage has lasted too long; called once a second."""
        seconds = self.shared.seconds[self.stage]
        if self.flow.write_paused:
            if self.shared.now - self.stalled_since > self.shared.limits.send_timeout:
                self.transport.abort()
        elif self.shared.now - self.since > seconds:
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
        self.request = Request("", b"", b"", {}, b"", self.address, self.scheme or "http")
        self.header_size = self.head_bytes = self.body_left = 0
        self.stage = HEAD
        self.since = self.shared.now
        if self.shared.fast.is_observed:
            self.began = time.monotonic()  # the clock of fast_path.pyx

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
        self.is_passed_over = parser.should_upgrade() and parser.get_method() != b"CONNECT" and not self._may_upgrade()
        if self.is_passed_over:
            return
        version = parser.get_http_version()
        self.url, authority = split_target(self.url)
        fault = find_fault(version, self.url, authority, request.headers)
        if fault is not None:
            self.refuse(fault)
            return
        if authority is not None:
            request.headers[b"host"] = authority  # what the header says does not count (RFC 9112, 3.2.2)
        self.version = version
        self.keep_alive = (
            self.keep_alive and version == "1.1" and parser.should_keep_alive() and not parser.should_upgrade()
        )
        request.method = parser.get_method().decode()
        request.path, _, request.query = self.url.partition(b"?")
        self.call = self.routes.find(request.method, request.path)
        self.inline = self.call.is_inline and not self._busy() and not self.flow.write_paused
        has_body = request.headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in request.headers
        if self.inline:
            self._admit(has_body=has_body)
        elif not self.shared.fast.has_room(self.call.body_limit):
            self.refuse(self.shared.full)
        else:
            self._hand_over()
        if has_body and not self.refusing:
            self._expect_body()

    def _may_upgrade(self) -> bool:
        """Return whether the offer to upgrade is one to be accepted: a WebSocket, where there is one."""
        path = split_target(self.url)[0].partition(b"?")[0]
        operation = self.routes.find(self.parser.get_method().decode(), path).operation
        return operation is not None and operation.is_live and asks_for_websocket(self.request.headers)

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
        self.body_left -= min(len(body), self.body_left)
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
        if self.refusing or self.is_passed_over:
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
            async def send_last(message: Any) -> None:
                """Say of an answer that comes before its body that it is the last; the connection then lingers."""
                keep_alive = cycle.keep_alive
                if message["type"] == "http.response.start" and cycle.more_body:
                    cycle.keep_alive = False
                await send(message)
                cycle.keep_alive = keep_alive

            try:
                if not cycle.disconnected:  # it may have been refused before its task began
                    await app(scope, receive, send_last)
            finally:
                if cycle.disconnected:  # of its end uvicorn says nothing
                    cycle.response_complete = True
                    if self.is_lost:
                        self.on_response_complete()

        # Pipelined requests are started by the task that answered the one before, whose context they must not copy.
        self.shared.fast.new_context().run(super()._start_asgi_task, cycle, run)

    @staticmethod
    def _abandon(cycle: Any) -> None:
        """Let a request know that nobody waits for its answer, or for the rest of it."""
        cycle.disconnected = True
        cycle.message_event.set()

    def _is_streaming(self) -> bool:
        """Return whether an answer is under way that is sent as it is made: one of uvicorn's way, without a length."""
        return self._busy() and bool(getattr(self.running, "chunked_encoding", False))

    def on_response_complete(self) -> None:
        """Go on with what was pipelined behind the request just answered, or rest."""
        if self.listener is not None:
            return
        if self.is_lost:
            self.arrived = 0
            self._count()
        elif self.pipeline and not self.transport.is_closing():
            self._start_asgi_task(*self.pipeline.pop())
        elif self.stage == WAITING:
            self.stage = IDLE
            self.since = self.shared.now
            if self.arrived:
                self.arrived = 0
                self._count()
            if (self.rest or self.flow.read_paused) and not self.is_reading:
                self._go_on()
        elif self.stage == BODY and not self.inline and not self.transport.is_closing():
            self._linger()  # it was refused before its body was there

    def refuse(self, error: HTTPError) -> None:
        """Answer with an error and read no more. What was asked before is still answered first."""
        self._refuse_with(problem(error))

    def _refuse_with(self, response: Response) -> None:
        if self.refusing:
            return
        self.refusing = True
        self.rest = b""
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
        response = self.routes.gate.release(request, self.call, response, seconds)
        self.shared.outbox.flush()
        body = b"" if request.method == "HEAD" else response.body
        self.transport.write(self._head(response, keep_alive=False) + body)
        self._linger()

    def _linger(self) -> None:
        """Say that no more answers come, and read for a moment what the client still sends."""
        self.refusing = True
        self.request = NO_REQUEST
        self.arrived = 0
        self._count()
        self.flow.resume_reading()
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
        headers, limit = self.request.headers, self.call.body_limit
        self.stage = BODY
        self.since = self.shared.now
        self.body_left = int(headers.get(b"content-length", b"0"))
        if not self.inline:
            return
        if self.body_left > limit:
            self.refuse(too_large(limit))
        elif self.body_left > SMALL_BYTES and not self.shared.fast.has_room(self.body_left):
            self.refuse(self.shared.full)
        elif headers.get(b"expect", b"").lower() == b"100-continue":
            self.shared.outbox.put(self, CONTINUE)

    def _head_too_large(self) -> HTTPError:
        return HTTPError(431, f"The headers are larger than {format_size(self.shared.limits.max_head)}.")

    def write(self, response: Response, keep_alive: bool, bodiless: bool) -> None:  # noqa: FBT001
        """Write a response of any kind."""
        if isinstance(response, Live) and not bodiless:
            self._listen(response)
            return
        data = self._head(response, keep_alive=keep_alive) + (b"" if bodiless else response.body)
        if keep_alive:
            self.shared.outbox.put(self, data)
        else:
            self.shared.outbox.flush()
            self.transport.write(data)
            self.transport.close()
            self.refusing = True

    def _listen(self, response: Live) -> None:
        """Begin an answer that goes on: the connection is for nothing else from here on."""
        listener = WebSocket if response.is_websocket else ChunkedStream if self.version == "1.1" else PlainStream
        self.shared.outbox.flush()
        self.transport.write(self.shared.head(response) + listener.HEADERS + b"\r\n")
        self.listener = listener(self.transport)
        self.refusing, self.stage, self.arrived, self.rest = True, WAITING, 0, b""
        self._count()
        self.flow.resume_reading()
        response.listening.join(self.listener)

    def _receive(self, listener: Listener, data: bytes) -> None:
        listener.receive(data)
        if listener.is_over:
            self.hub.leave(listener)
            self.transport.close()

    def _head(self, response: Response, *, keep_alive: bool) -> bytes:
        has_length = not (response.status in BODILESS or isinstance(response, Live))
        length = b"content-length: %d\r\n" % len(response.body) if has_length else b""
        return self.shared.head(response) + length + (b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
