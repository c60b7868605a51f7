"""The log of a process that serves: lines on standard error, as text or as JSON.

Lines are written by a thread of their own, so that a reader of standard error who stops cannot stop the service. At
most WAITING_LINES wait for it; further ones are dropped. A process that forks has no such thread: it writes by itself,
and drops what would wait.

A line that is logged for a request names the trace that the request is part of (:mod:`laurels.tracing`).

**Levels** are those of our own loggers. Other packages log warnings and worse alone, whatever is asked for: on other
levels some of them show what they send.
"""

from __future__ import annotations

import logging
import os
import queue
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import QueueHandler
from select import POLLOUT, poll
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from laurels.tracing import current_trace
from laurels.visible import escape, escape_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)
REQUESTS = "laurels.requests"
"""The logger of the request log. Whoever asks for that gets it, whatever the level is."""
WAITING_LINES = 10_000
STOP_SECONDS = 2.0
STDERR = 2
TEXT = "%(asctime)s %(levelname)s %(message)s"
alike: ContextVar[bool] = ContextVar("alike", default=False)
"""Whether the other workers of a service log now what this one logs."""


class JSONFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message; fields of the record's own; and a traceback, if any."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if (trace := getattr(record, "trace", None)) is not None:
            line |= {"trace_id": trace.trace_id, "span_id": trace.span_id}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return escape_json(msgspec.json.encode(line).decode())


class TextFormatter(logging.Formatter):
    """Time, level and message on one line, whatever is in the message, and a traceback below, if there is any."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is the library's
        """Return the line."""
        trace = getattr(record, "trace", None)
        of = "" if trace is None else f" trace_id={trace.trace_id} span_id={trace.span_id}"
        return escape(super().formatMessage(record)) + of

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """Return the lines of the traceback."""
        return "\n".join(map(escape, super().formatException(ei).split("\n")))


class _BoundedHandler(QueueHandler):
    def enqueue(self, record: logging.LogRecord) -> None:
        """Hand a record to the thread that writes, or drop it."""
        with suppress(queue.Full):
            self.queue.put_nowait(record)

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Return the record, with its trace: the writing thread formats it, traceback included."""
        if not hasattr(record, "trace"):
            record.trace = current_trace()
        return record


@contextmanager
def writing_logs(
    kind: LogFormat, level: LogLevel = "info", relay: Callable[[logging.LogRecord], bool] | None = None
) -> Iterator[None]:
    """Write the logs of the process on standard error, from a level on; what waits at the end is still written.

    What other workers log as well goes to ``relay``, unless that returns that it does not take it.
    """
    lines: queue.Queue[logging.LogRecord | None] = queue.Queue(WAITING_LINES)
    handler = _BoundedHandler(lines)
    if relay is not None:
        handler.addFilter(lambda record: not (alike.get() and relay(record)))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    thread = Thread(target=_write, args=(lines, _formatter(kind)), name="laurels-log", daemon=True)
    thread.start()
    try:
        with _levels(level):
            yield
    finally:
        with suppress(queue.Full):
            lines.put(None, timeout=STOP_SECONDS)
        thread.join(STOP_SECONDS)


@contextmanager
def writing_at_once(kind: LogFormat, level: LogLevel = "info") -> Iterator[None]:
    """Write the logs of the process without a thread, for a process that forks; what would wait is dropped."""
    root = logging.getLogger()
    handler = _PromptHandler(_formatter(kind))
    root.addHandler(handler)
    try:
        with _levels(level):
            yield
    finally:
        root.removeHandler(handler)


@contextmanager
def _levels(level: LogLevel) -> Iterator[None]:
    """Log from a level on; whoever runs a service in its own process has its levels back then."""
    wanted: dict[str, int | str] = {"laurels": level.upper(), REQUESTS: logging.INFO}
    before = {name: logging.getLogger(name).level for name in wanted}
    try:
        for name, least in wanted.items():
            logging.getLogger(name).setLevel(least)
        yield
    finally:
        for name, least in before.items():
            logging.getLogger(name).setLevel(least)


class _PromptHandler(logging.Handler):
    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.formatter = formatter

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, if it can be written now."""
        ready = poll()
        ready.register(STDERR, POLLOUT)
        assert self.formatter is not None  # noqa: S101 - it was given
        with suppress(OSError):
            if ready.poll(0):
                os.write(STDERR, f"{_format(record, self.formatter)}\n".encode(errors="backslashreplace"))


def _formatter(kind: LogFormat) -> logging.Formatter:
    return JSONFormatter() if kind == "json" else TextFormatter(TEXT)


def _write(lines: queue.Queue[logging.LogRecord | None], formatter: logging.Formatter) -> None:
    # Past sys.stderr and logging's own handlers: their locks would be waited for at the end of the process.
    with suppress(OSError):
        while (record := lines.get()) is not None:
            line = f"{_format(record, formatter)}\n".encode(errors="backslashreplace")
            while line:
                line = line[os.write(STDERR, line) :]


def _format(record: logging.LogRecord, formatter: logging.Formatter) -> str:
    try:
        return formatter.format(record)
    except Exception as error:  # noqa: BLE001 - one bad line must not end the log
        return f"A line of the log cannot be formatted: {record.msg!r}: {error!r}"
