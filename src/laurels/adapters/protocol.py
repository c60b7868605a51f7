"""The fast way in: uvicorn's HTTP protocol, with our routes answered inside the parser's last callback.

uvicorn owns the sockets, TLS, signals and the shutdown; httptools (llhttp) parses. A request of ours needs no task, no
ASGI scope and no queue: where the routes answer from memory the response is written before the parser returns. A
request that must wait for the store is driven by the future it waits for.

**One at a time.** While a request waits, ``cycle`` holds its :class:`~laurels.adapters.fast_path.Turn`, which looks to
uvicorn like an unfinished request of its own. Whatever is pipelined behind it, comes while the client does not read,
or is no route of ours, goes uvicorn's way: through its queue to the ASGI application, which has the same routes. So
answers keep their order, memory stays bounded, and the short way has no special cases. Where a store needs a task for
its acts (``inline`` is false), everything goes that way, within the same limits.

**Stages.** A connection is idle, in a head, in a body, waiting, or leaving: after a refusal it hears out what the
client still sends, for a moment, because closing before would take the refusal from it (RFC 9112, 9.6). Each stage but
waiting has a time limit. One :class:`Clock` a server looks at all connections once a second; no request pays for a
timer.

**Strictness.** llhttp refuses two lengths, a length beside chunks, bare CR or LF and folded lines. Refused here,
because llhttp lets them pass: chunks under HTTP/1.0, versions other than 1.0 and 1.1, a Host that is missing or given
twice, a target that is no path or has a fragment (which uvicorn would take off it).
"""

from __future__ import annotations

import logging
import re
import time
from email.utils import formatdate
from http import HTTPStatus
from math import inf
from typing import TYPE_CHECKING, Any

import httptools
from msgspec import Struct
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from laurels.adapters.fast_path import Outbox, Turn, answer
from laurels.http.messages import PHRASES, Request, add_header
from laurels.http.problems import HTTPError, problem
from laurels.http.routes import body_limit, too_large

if TYPE_CHECKING:
    import asyncio

    from uvicorn._types import ASGI3Application
    from uvicorn.config import Config
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
    from uvicorn.server import ServerState

    from laurels.adapters.asgi import Application
    from laurels.http.messages import Headers, Response

log = logging.getLogger(__name__)

IDLE, HEAD, BODY, WAITING, LEAVING = range(5)

STATUS_LINE = {status: b"HTTP/1.1 %d %b\r\n" % (status, phrase.encode()) for status, phrase in PHRASES.items()}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PIPELINE_DEPTH = 100
_ASKING = {HEAD: "The head of the request", BODY: "The body of the request"}
_ABSOLUTE = re.compile(rb"^https?://[^/?#]*/?", re.IGNORECASE)


class Limits(Struct, frozen=True):
    """What a client may take: bytes, connections, and seconds in each stage of a connection."""

    target_bytes: int = 8 * 1024
    head_bytes: int = 16 * 1024
    connections: int = 10_000
    seconds: tuple[float, ...] = (75, 10, 30, inf, 2)
    """How long each stage may last: idle, head, body, waiting, leaving."""
    write_seconds: float = 60


class Clock:
    """The time of one server's connections, kept once a second, and the limits they are held to."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.now = time.monotonic()
        self.date = b""
        self.ok = b""
        self.accepted = b""
        self.outbox = Outbox()
        self._runs = False

    def run(self, loop: asyncio.AbstractEventLoop, connections: set[Any]) -> None:
        """Tick for as long as there are connections, if it does not tick already."""
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
        self.ok = STATUS_LINE[200] + self.date + b"content-type: application/json\r\ncontent-length: "
        self.accepted = STATUS_LINE[202] + self.date + b"content-length: 0\r\n\r\n"


class BoardProtocol(HttpToolsProtocol):
    """One connection."""

    app: Application
    cycle: Any  # uvicorn's own, or our Turn
    url: bytes

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        clock: Clock,
        inline: bool = True,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.routes = self.app.routes
        self.clock = clock
        self.inline = inline
        self.stage = IDLE
        self.since = clock.now
        self.stalled_since = clock.now
        self.deaf = False
        self.ours = True
        self.keep_alive = True
        self.fields: Headers = {}
        self.content: bytes | bytearray = b""
        self.head_size = 0
        self.held = 0
        self.limit = 0
        self.running: Any = None  # the cycle whose answer is next; ``cycle`` is the newest of the pipeline

    # The transport's side

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Join the server's connections, or be turned away where there are too many."""
        super().connection_made(transport)
        self.clock.run(self.loop, self.connections)
        self.since = self.stalled_since = self.clock.now
        if len(self.connections) > self.clock.limits.connections:
            self.refuse(HTTPError(503, "There are too many connections.", headers=((b"retry-after", b"1"),)))

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the request that is running know; uvicorn tells only the newest."""
        if self.running is not None:
            self.running.disconnected = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which calls the ``on_`` methods below."""
        if self.deaf:
            if self.stage != LEAVING:
                self.flow.pause_reading()
            return
        if self.stage == IDLE and self.inline and not self.flow.write_paused:
            end = answer(self, data)
            if end == len(data):
                return
            data = data[end:]
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.deaf = True
        except httptools.HttpParserCallbackError:
            log.exception("Failed to read a request")
            self.transport.abort()
        except httptools.HttpParserError as error:
            self.refuse(HTTPError(400, f"This is not HTTP/1.1: {error}."))
        if self.stage == HEAD:
            self.held = 0 if self.held < 0 else self.held + len(data)
            if self.held > self.clock.limits.head_bytes:
                self.refuse(self._head_too_large())

    def pause_writing(self) -> None:
        """Note since when the client does not read."""
        super().pause_writing()
        self.stalled_since = self.clock.now

    def eof_received(self) -> bool:  # type: ignore[override]
        """Stay open, where the client has only said that it sends no more and an answer is due."""
        self.clock.outbox.flush()
        if not self._busy():
            return False
        self.cycle.keep_alive = False
        return True

    def shutdown(self) -> None:
        """Close once what was asked has been answered; a body on its way may still arrive."""
        self.clock.outbox.flush()
        self.keep_alive = False
        if self.stage != BODY or not self.ours:
            super().shutdown()

    def check_time(self) -> None:
        """Close, or refuse, where a stage has lasted too long; called once a second."""
        limits = self.clock.limits
        if self.flow.write_paused and self.clock.now - self.stalled_since > limits.write_seconds:
            self.transport.abort()
        if self.clock.now - self.since > limits.seconds[self.stage]:
            if self.stage in _ASKING:
                self.refuse(
                    HTTPError(408, f"{_ASKING[self.stage]} took longer than {limits.seconds[self.stage]:g} seconds.")
                )
            else:
                self.transport.close()

    # The parser's side

    def on_message_begin(self) -> None:
        """Begin a head."""
        if self.deaf:
            return
        self.url = b""
        self.fields = {}
        self.content = b""
        self.head_size = 0
        self.held = -1
        self.stage = HEAD
        self.since = self.clock.now

    def on_url(self, url: bytes) -> None:
        """Take the target, or a part of it."""
        self.url += url
        if len(self.url) > self.clock.limits.target_bytes:
            self.refuse(HTTPError(414, f"The target is longer than {self.clock.limits.target_bytes:,} bytes."))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header line. Trailers are counted and dropped."""
        self.head_size += len(name) + len(value)
        if self.head_size > self.clock.limits.head_bytes:
            self.refuse(self._head_too_large())
        elif self.stage == HEAD:
            add_header(self.fields, name.lower(), value)

    def on_headers_complete(self) -> None:
        """Settle which way the request goes."""
        if self.deaf:
            return
        parser = self.parser
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
        path = self.url.partition(b"?")[0]
        self.ours = self.inline and not self._busy() and not self.flow.write_paused and self.routes.has(path)
        if not self.ours:
            self._hand_over()
        if b"content-length" in self.fields or b"transfer-encoding" in self.fields:
            self._expect_body(path)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if self.deaf:
            return
        if not self.ours:
            super().on_body(body)
        elif not self.content:
            self.content = body
        else:
            self.content = bytearray(self.content) if isinstance(self.content, bytes) else self.content
            self.content += body
        if len(self.content) > self.limit:
            self.refuse(too_large(self.limit))

    def on_message_complete(self) -> None:
        """Answer, at once where the routes can."""
        if self.deaf:
            return
        self.stage = WAITING
        if not self.ours:
            super().on_message_complete()
            return
        path, _, query = self.url.partition(b"?")
        method = self.parser.get_method().decode()
        request = Request(method, path, query, self.fields, self.content)
        Turn(self, self.routes.answer(request), self.keep_alive, method == "HEAD")()

    # One request's way

    def hold(self, turn: Turn) -> None:
        """Keep the connection's place for a request that waits."""
        self.stage = WAITING
        self.cycle = self.running = turn

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self.running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Go on with what was pipelined behind the request just answered, or rest."""
        if self.pipeline and not self.transport.is_closing():
            self.flow.resume_reading()
            self._start_asgi_task(*self.pipeline.pop())
        elif self.stage == WAITING:
            self.flow.resume_reading()
            self.stage = IDLE
            self.since = self.clock.now

    def refuse(self, error: HTTPError) -> None:
        """Answer with an error and hear no more. What was asked before is still answered first."""
        if self.deaf:
            return
        self.deaf = True
        if not self._busy() or self._listens():
            self._leave(problem(error))
        elif self.stage == BODY:
            self.transport.close()
        else:
            self.cycle.keep_alive = False

    def _leave(self, response: Response) -> None:
        self.clock.outbox.flush()
        self.transport.write(self._head(response, keep_alive=False) + response.body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.stage = LEAVING
            self.since = self.clock.now
        else:
            self.transport.close()

    def _busy(self) -> bool:
        return bool(self.cycle) and not self.cycle.response_complete

    def _listens(self) -> bool:
        """Tell whether the only request under way is one of uvicorn's, unanswered, whose body is still to come."""
        return self.stage == BODY and self.cycle is self.running and not self.cycle.response_started

    def _fault(self, version: str) -> HTTPError | None:
        host, url = self.fields.get(b"host"), self.url
        if version == "1.1" and host is not None and b"," not in host and url.startswith(b"/") and b"#" not in url:
            return None
        if version not in {"1.0", "1.1"}:
            return HTTPError(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
        if version == "1.0" and b"transfer-encoding" in self.fields:
            return HTTPError(400, "HTTP/1.0 has no Transfer-Encoding: send a Content-Length.")
        if (host is None and version == "1.1") or (host is not None and b"," in host):
            return HTTPError(400, "A request has exactly one Host header.")
        self.url = _ABSOLUTE.sub(b"/", url, count=1)
        if not self.url.startswith(b"/") or b"#" in self.url:
            return HTTPError(400, "The target is no path, or has a fragment: a number sign in a name is %23.")
        return None

    def _hand_over(self) -> None:
        """Let uvicorn take the request, as if it had parsed it itself."""
        url = self.url
        super().on_message_begin()
        super().on_url(url)
        for name, value in self.fields.items():
            super().on_header(name, value)
        super().on_headers_complete()
        self.cycle.keep_alive = self.keep_alive

    def _expect_body(self, path: bytes) -> None:
        self.stage = BODY
        self.since = self.clock.now
        self.limit = body_limit(path)
        if not self.ours:
            return
        if int(self.fields.get(b"content-length", b"0")) > self.limit:
            self.refuse(too_large(self.limit))
        elif self.fields.get(b"expect", b"").lower() == b"100-continue":
            self.clock.outbox.put(self, CONTINUE)

    def _head_too_large(self) -> HTTPError:
        return HTTPError(431, f"The headers are larger than {self.clock.limits.head_bytes:,} bytes.")

    def write(self, response: Response, keep_alive: bool, bodiless: bool) -> None:  # noqa: FBT001
        """Write a response of any kind."""
        data = self._head(response, keep_alive=keep_alive) + (b"" if bodiless else response.body)
        if keep_alive:
            self.clock.outbox.put(self, data)
        else:
            self.clock.outbox.flush()
            self.transport.write(data)
            self.transport.close()
            self.deaf = True

    def _head(self, response: Response, *, keep_alive: bool) -> bytes:
        lines = [STATUS_LINE[response.status], self.clock.date]
        lines.extend([b"%b: %b\r\n" % header for header in response.headers])
        if response.body:
            lines.append(b"content-type: %b\r\n" % response.content_type)
        if response.status != HTTPStatus.NO_CONTENT:
            lines.append(b"content-length: %d\r\n" % len(response.body))
        lines.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
        return b"".join(lines)
