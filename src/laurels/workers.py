"""Several processes that serve one address: the parent that starts, watches and ends them, and what they share.

The parent forks before there is a loop or a thread, and serves nothing itself. The first worker starts alone: if it
cannot, the parent ends as that did, as one process would. Then come the others. One that ends later is started again,
after a pause that grows while it does not live long.

uvicorn's own supervisor starts processes anew to reload them, at once and without end if they fail, and leaves them
behind if it is killed. So this one is our own.

**Channels.** Each worker has a socket to the parent. Its end says that the other side has ended: the parent finds out
so about workers, and workers about the parent, and finish what is under way. Signals reach the parent, which passes
them on; workers are in process groups of their own, or a terminal's Ctrl-C would reach them twice.

**Said once.** What each worker logs alike (:data:`laurels.logs.alike`), at the start and at a reload, goes to the
parent, which writes each line as often as the worker does that said it the most often.

**Shared memory.** Counters are in memory that all have mapped before the fork (:class:`RequestCounts
<laurels.adapters.request_counts.RequestCounts>`), so that any of them answers for all, and who is started again goes
on counting. Each worker writes its figures to :class:`SharedFigures` once a second.
"""

from __future__ import annotations

import asyncio
import logging
import mmap
import os
import signal
import socket
import struct
import sys
import time
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from select import POLLIN, poll
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from zlib import crc32

import msgspec
from msgspec import Struct

from laurels.figures import Histogram

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from contextlib import AbstractContextManager

    from laurels.figures import Figures

log = logging.getLogger(__name__)

SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 30.0
"""Seconds until a worker that has ended is started again: twice as many each time, up to the second."""
LONG_LIFE = 60.0
"""Who has lived for so many seconds is started again after the shortest pause."""
ACKNOWLEDGED_SECONDS = 1.0
"""How long what one worker tells the others is waited for."""
FIGURES_BYTES = 256 * 1024
"""Room for the figures of one worker; only what is written of it takes memory."""
FIGURES_SECONDS = 1.0
_HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_HEAD = struct.Struct("<II")
_PIECE = 65536


class Ready(Struct, tag=True):
    """A worker listens."""


class Said(Struct, tag=True):
    """A worker logs what the others log as well."""

    logger: str
    level: int
    message: str


class Told(Struct, tag=True):
    """A worker tells the others something; ``number`` is the message's own."""

    number: int
    what: str


class Heard(Struct, tag=True):
    """A worker has done what it was told; or, to who told it, all have."""

    number: int


Message: TypeAlias = Ready | Said | Told | Heard
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Message).decode
_decode_figures = msgspec.json.Decoder(
    tuple[int, dict[str, float | Histogram | dict[str, float | dict[str, float]]]]
).decode


class SharedFigures:
    """What each worker last said of itself, in memory that all of them share."""

    def __init__(self, count: int) -> None:
        """Make room for so many, before they are forked."""
        self._count = count
        self._memory = mmap.mmap(-1, count * FIGURES_BYTES)

    def write(self, number: int, figures: Figures) -> None:
        """Take the figures of a worker in place of those before; without those by label if there are too many."""
        body = _encode((os.getpid(), figures))
        if len(body) > FIGURES_BYTES - _HEAD.size:  # as of errors by server in a cluster of thousands
            body = _encode((os.getpid(), {name: each for name, each in figures.items() if not isinstance(each, dict)}))
        self._put(number, body)

    def clear(self, number: int) -> None:
        """Forget a worker that has ended."""
        self._put(number, b"")

    def read(self) -> dict[int, tuple[int, Figures]]:
        """Return the process and the figures of each worker that has written some, by its number."""
        found: dict[int, tuple[int, Figures]] = {}
        for number in range(self._count):
            body = self._get(number)
            if body:
                found[number] = _decode_figures(body)
        return found

    def _put(self, number: int, body: bytes) -> None:
        start = number * FIGURES_BYTES
        self._memory[start : start + _HEAD.size + len(body)] = _HEAD.pack(len(body), crc32(body)) + body

    def _get(self, number: int) -> bytes:
        start = number * FIGURES_BYTES
        while True:  # until it is whole: its worker may be writing
            size, checksum = _HEAD.unpack_from(self._memory, start)
            body = self._memory[start + _HEAD.size : start + _HEAD.size + size]
            if crc32(body) == checksum:
                return body


class Worker:
    """A worker, as it knows itself."""

    def __init__(self, number: int, count: int, channel: socket.socket, *, is_first: bool) -> None:
        """``is_first`` if the service has not been up yet: then what keeps it from starting ends the parent too."""
        self.number = number
        self.count = count
        self.is_first = is_first
        self._channel = channel
        self._sending = Lock()
        self._buffer = b""
        self._numbers = 0
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._hear: Callable[[str], Awaitable[object]] | None = None

    def share(self, whole: int) -> int:
        """Return this worker's part of a budget, at least 1."""
        return max(1, whole // self.count + (self.number < whole % self.count))

    def relay(self, record: logging.LogRecord) -> bool:
        """Let the parent log a record, and return whether it will."""
        if record.exc_info:
            return False
        try:
            self._send(Said(record.name, record.levelno, record.getMessage()))
        except OSError:
            return False
        return True

    def be_ready(self) -> None:
        """Tell the parent that this worker listens."""
        self._send(Ready())

    def hear(self, act: Callable[[str], Awaitable[object]]) -> None:
        """Do this with what other workers tell."""
        self._hear = act

    async def tell(self, what: str) -> None:
        """Tell the other workers something; return when they have acted on it, or a second has passed."""
        self._numbers += 1
        number = self._numbers
        done = self._waiting[number] = asyncio.get_running_loop().create_future()
        with suppress(OSError):  # the parent has ended, and so do all
            self._send(Told(number, what))
            await asyncio.wait([done], timeout=ACKNOWLEDGED_SECONDS)
        del self._waiting[number]

    @asynccontextmanager
    async def listening(self, measure: Callable[[], Figures], figures: SharedFigures) -> AsyncIterator[None]:
        """Listen to the parent, and write figures; if the parent ends, end as by SIGTERM."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._channel.fileno(), self._receive, loop)
        timer: asyncio.TimerHandle

        def write() -> None:
            nonlocal timer
            figures.write(self.number, measure())
            timer = loop.call_later(FIGURES_SECONDS, write)

        write()
        try:
            yield
        finally:
            timer.cancel()
            loop.remove_reader(self._channel.fileno())
            await asyncio.gather(*self._tasks)

    def _receive(self, loop: asyncio.AbstractEventLoop) -> None:
        data = _read(self._channel)
        if not data:
            loop.remove_reader(self._channel.fileno())
            signal.raise_signal(signal.SIGTERM)
            return
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for message in map(_decode, lines):
            if isinstance(message, Told):
                task = loop.create_task(self._obey(message))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            elif isinstance(message, Heard) and (waiting := self._waiting.get(message.number)):
                waiting.set_result(None)

    async def _obey(self, told: Told) -> None:
        assert self._hear is not None  # noqa: S101 - who tells has an access file, and so have all
        await self._hear(told.what)
        with suppress(OSError):
            self._send(Heard(told.number))

    def _send(self, message: Message) -> None:
        with self._sending:  # threads log, too
            self._channel.sendall(_encode(message) + b"\n")


class _Process(Struct, eq=False):
    """A worker, as the parent knows it."""

    number: int
    pid: int
    channel: socket.socket
    begun: float
    buffer: bytes = b""
    is_ready: bool = False


class _Telling(Struct):
    """What a worker tells the others."""

    by: _Process
    number: int
    left: set[int]
    """The processes that have not acted on it yet."""


class Greetings(NamedTuple):
    """What the parent calls when all workers listen for the first time, and, with the reason, when all have ended."""

    hello: Callable[[], object]
    goodbye: Callable[[str], object]


class Workers:
    """The parent of all workers."""

    def __init__(
        self, count: int, writing: AbstractContextManager[None], figures: SharedFigures, greetings: Greetings
    ) -> None:
        """Make the parent of so many; inside of ``writing`` its log is written."""
        self._count = count
        self._writing = writing
        self._figures = figures
        self._greetings = greetings
        self._ended_by = ""
        self._running: dict[int, _Process] = {}
        self._due: dict[int, float] = {}
        self._pauses: dict[int, float] = {}
        self._said: dict[tuple[str, int, str], dict[int, int]] = {}
        self._tellings: dict[int, _Telling] = {}
        self._numbers = 0
        self._is_up = False
        self._is_ending = False
        self._status = 0

    def run(self) -> Worker:
        """Return in each worker; the parent raises SystemExit when all of them have ended."""
        with ExitStack() as stack:
            wakened = stack.enter_context(_catching_signals())
            stack.enter_context(self._writing)
            self._due[0] = 0
            while self._running or self._due:
                for number in [number for number, when in self._due.items() if when <= time.monotonic()]:
                    worker = self._start(number)
                    if worker is not None:
                        return worker
                self._wait(wakened)
            self._greetings.goodbye(self._ended_by)
        sys.exit(self._status)

    def _start(self, number: int) -> Worker | None:
        """Fork, and return the worker in it; None in the parent."""
        del self._due[number]
        if self._is_up:
            self._said.clear()
        ours, theirs = socket.socketpair()
        signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)  # a worker must not take them as the parent does
        try:
            pid = os.fork()
        except OSError as error:  # for lack of memory, or of processes
            log.error("Worker %d cannot be started: %s.", number + 1, os.strerror(error.errno or 0))  # noqa: TRY400
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
            ours.close()
            theirs.close()
            self._due[number] = time.monotonic() + LONGEST_PAUSE
            return None
        if pid == 0:
            for channel in (ours, *(each.channel for each in self._running.values())):
                channel.close()  # or none would see the parent's end
            os.setpgid(0, 0)
            return Worker(number, self._count, theirs, is_first=not self._is_up)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
        theirs.close()
        self._running[number] = _Process(number, pid, ours, time.monotonic())
        return None

    def _wait(self, wakened: socket.socket) -> None:
        """Wait for something to do, and do it."""
        ready = poll()
        processes = {process.channel.fileno(): process for process in self._running.values()}
        for descriptor in (wakened.fileno(), *processes):
            ready.register(descriptor, POLLIN)
        until = min(self._due.values(), default=None)
        for descriptor, _ in ready.poll(None if until is None else max(0, 1000 * (until - time.monotonic()) + 1)):
            if descriptor in processes:
                self._receive(processes[descriptor])
            else:
                for number in wakened.recv(1000):
                    self._pass_on(signal.Signals(number))

    def _pass_on(self, number: signal.Signals) -> None:
        if number == signal.SIGHUP:
            self._said.clear()
        else:
            self._is_ending, self._ended_by = True, number.name
            self._due.clear()
        self._signal(number)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._running.values():  # none of which has been waited for
            os.kill(process.pid, number)

    def _receive(self, process: _Process) -> None:
        data = _read(process.channel)
        if not data:
            process.channel.close()
            self._end(process, os.waitstatus_to_exitcode(os.waitpid(process.pid, 0)[1]))
            return
        *lines, process.buffer = (process.buffer + data).split(b"\n")
        for message in map(_decode, lines):
            if isinstance(message, Ready):
                self._welcome(process)
            elif isinstance(message, Said):
                self._repeat(process, message)
            elif isinstance(message, Told):
                self._tell(process, message)
            else:
                self._acknowledge(process, message.number)

    def _welcome(self, process: _Process) -> None:
        process.is_ready = True
        if self._is_up or self._is_ending:
            return
        self._is_up = sum(each.is_ready for each in self._running.values()) == self._count
        if self._is_up:
            self._greetings.hello()
        elif len(self._running) == 1:
            self._due = dict.fromkeys(range(1, self._count), 0.0)

    def _repeat(self, process: _Process, said: Said) -> None:
        """Log what a worker says, unless others have said it as often."""
        counts = self._said.setdefault((said.logger, said.level, said.message), {})
        most = max(counts.values(), default=0)
        counts[process.number] = counts.get(process.number, 0) + 1
        if counts[process.number] > most:
            logging.getLogger(said.logger).log(said.level, "%s", said.message)

    def _tell(self, by: _Process, told: Told) -> None:
        self._numbers += 1
        others = [each for each in self._running.values() if each is not by]
        self._tellings[self._numbers] = _Telling(by, told.number, {each.pid for each in others})
        for each in others:
            _send(each.channel, Told(self._numbers, told.what))
        self._acknowledge(by, self._numbers)

    def _acknowledge(self, process: _Process, number: int) -> None:
        telling = self._tellings[number]
        telling.left.discard(process.pid)
        if not telling.left:
            _send(telling.by.channel, Heard(telling.number))
            del self._tellings[number]

    def _end(self, process: _Process, status: int) -> None:
        """Start a worker that has ended again, unless all are to end."""
        del self._running[process.number]
        self._figures.clear(process.number)
        for number in list(self._tellings):
            self._acknowledge(process, number)
        if self._is_ending:
            self._status = self._status or int(status not in _GOOD)
        elif not self._is_up:
            self._status = status if status >= 0 else _KILLED - status
            self._is_ending = True
            self._due.clear()
            self._signal(signal.SIGTERM)
        else:
            self._start_later(process, status)

    def _start_later(self, process: _Process, status: int) -> None:
        is_old = time.monotonic() - process.begun > LONG_LIFE
        pause = SHORTEST_PAUSE if is_old else min(LONGEST_PAUSE, self._pauses.get(process.number, SHORTEST_PAUSE))
        self._pauses[process.number] = 2 * pause
        self._due[process.number] = time.monotonic() + pause
        how = f"ended with status {status}" if status >= 0 else f"was killed by {signal.Signals(-status).name}"
        log.warning(
            "Worker %d (process %d) %s; it is started again in %.1f s.", process.number + 1, process.pid, how, pause
        )


_GOOD = {0, -signal.SIGINT, -signal.SIGTERM}
"""Exit statuses of a worker that was told to end."""
_KILLED = 128
"""What shells add to the number of the signal that a process was killed by."""


@contextmanager
def _catching_signals() -> Iterator[socket.socket]:
    """Yield a socket with the number of each signal that comes, and let them be what they were after that."""
    wakened, waking = socket.socketpair()
    with wakened, waking:
        waking.settimeout(0)
        before_fd = signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
        before = {each: signal.signal(each, lambda *_: None) for each in _HANDLED}
        try:
            yield wakened
        finally:
            signal.set_wakeup_fd(before_fd)
            for each, handler in before.items():
                signal.signal(each, handler)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)


def _read(channel: socket.socket) -> bytes:
    """Return what has come; nothing if the other side has ended."""
    try:
        return channel.recv(_PIECE, socket.MSG_DONTWAIT)
    except ConnectionResetError:  # with something from here unread
        return b""


def _send(channel: socket.socket, message: Message) -> None:
    """Send to a worker, unless it has ended or takes nothing."""
    with suppress(OSError):
        channel.send(_encode(message) + b"\n", socket.MSG_DONTWAIT)
