"""A node: the calls of this process to one server, over one connection.

All calls of one turn of the event loop are written to it at once. What is sent and not answered is bounded; so is what
waits, by the budget in the settings. If changes wait for replicas, those of the next turns gather meanwhile.

**When the server is gone.** A connection that is lost is made again at once, and calls wait for that. If that fails,
calls are refused from then on without any waiting, and one attempt after another, each a moment later, finds out when
the server is back. Calls that were surely never sent, and reads, are done again; what a change came to is not known.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Protocol, cast

from laurels.errors import AnswerLost, StoreUnavailable
from laurels.stores.redis.calls import Aside, Look, pack
from laurels.stores.redis.connection import Connection
from laurels.stores.redis.durability import QUESTIONS, Facts, read_facts
from laurels.stores.redis.errors import code_of
from laurels.stores.redis.replicas import Changes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from laurels.stores.redis.calls import Reply
    from laurels.stores.redis.connection import Sent
    from laurels.stores.redis.handshake import Handshake
    from laurels.stores.redis.settings import RedisSettings
    from laurels.stores.redis.troubles import Troubles
    from laurels.stores.redis.url import Address

UNDER_WAY = 1024
"""Calls that are sent and not answered."""
FIRST_DELAY, LONGEST_DELAY = 0.05, 1.0
"""Between two attempts to connect, in seconds."""
CHECKS = 4
"""How often, in the time that an answer may take, it is looked whether one took that long."""

LATE = "not in time"
ROUTINE = {"NOSCRIPT", "MOVED", "ASK"}
"""What a server says as it must: no error of it."""
CLOSING_SECONDS = 0.005
"""How long to wait at a time until all is answered."""

_log = logging.getLogger("laurels.stores")


class Router(Protocol):
    """What knows which node a call goes to; ``interrupted`` is called when a connection is lost."""

    interrupted: Callable[[], object]
    troubles: Troubles

    async def find(self, node: Node) -> Address:
        """Return where a node is now; raise StoreUnavailable if that cannot be found out."""

    def check(self, facts: Facts) -> None:
        """Raise StoreUnavailable if a server with these facts is not to be used."""

    def refused(self, node: Node, reply: Reply, text: str) -> None:
        """Know that a server refuses a call, and what it says."""

    def undone(self, reply: Reply, problem: str) -> None:
        """Know that a call was not done, or does no harm if it is done again, and why it was not."""

    def lost(self, node: Node) -> None:
        """Know that a node cannot be reached."""


class Node:
    """The calls to one server."""

    def __init__(self, router: Router, handshake: Handshake, settings: RedisSettings) -> None:
        self.facts = Facts()
        self.trouble: StoreUnavailable | None = None
        """Why it could not be connected to, until it can."""
        self.waiting: deque[Reply] = deque()
        self.connection: Connection | None = None
        self._router = router
        self._troubles = router.troubles
        self._server = ""  # where it was last
        self._handshake = handshake
        self._settings = settings
        self._opening: asyncio.Task[None] | None = None
        self._check: asyncio.TimerHandle | None = None
        self._changes: Changes | None = None
        self._is_due = False
        self._was_connected = False
        self._is_closed = False

    def send(self, reply: Reply) -> None:
        """Send a call at the end of this turn of the loop; fail it if it cannot be."""
        if self.trouble is not None:
            self._refuse(reply, self.trouble)
            return
        if self.unanswered >= self._settings.waiting:
            reply.fail(too_many_waiting(self._settings.waiting))
            return
        loop = reply.get_loop()
        reply.at = loop.time()
        self.waiting.append(reply)
        if not self._is_due:
            self._is_due = True
            loop.call_soon(self._flush)

    @property
    def unanswered(self) -> int:
        """How many calls wait, sent or not."""
        connection = self.connection
        return len(self.waiting) + (len(connection.unanswered) if connection is not None else 0)

    def _flush(self) -> None:
        self._is_due = False
        connection, waiting = self.connection, self.waiting
        if connection is None:
            self.open()
            return
        room = UNDER_WAY - len(connection.unanswered)
        is_held = self._changes is not None and not self._changes.is_done
        if not waiting or room <= 0 or connection.is_congested or is_held:
            return
        if len(waiting) <= room:
            replies, self.waiting = list(waiting), deque()
        else:
            replies = [waiting.popleft() for _ in range(room)]
        now = monotonic()  # the loop's clock, which may have milliseconds only
        for reply in replies:
            reply.at = now
        self._write(connection, replies, now)
        if self._check is None:
            self._check = replies[0].get_loop().call_later(self._settings.timeout / CHECKS, self._look)

    def _write(self, connection: Connection, replies: list[Reply], now: float) -> None:
        lacking = [reply for reply in replies if reply.needs_script]
        changes = [reply for reply in replies if not reply.reads] if self._settings.wait else []
        if not (lacking or changes or any(reply.is_asking for reply in replies)):
            connection.send(replies)
            return
        bodies = {reply.script.body for reply in lacking if reply.script is not None}
        aside = Aside(now, lacking)
        sent: list[tuple[Sent, bytes]] = [(aside, pack(("SCRIPT", "LOAD", body))) for body in bodies]
        for reply in replies:
            if reply.is_asking:
                sent.append((Aside(now), pack(("ASKING",))))
            sent.append((cast("Sent", reply), reply.pack()))
        if changes:
            on_disk = self.facts.is_durable and self.facts.knows_waitaof
            held = self._changes = Changes(self._settings.wait, at=now, on_disk=on_disk)
            touch, wait = held.commands(changes[-1].key, self._settings.timeout)
            for reply in changes:
                reply.turn = held
            sent += [(Aside(now), pack(touch)), (held, pack(wait))]
        connection.write(sent)

    # Connecting

    def open(self) -> None:
        """Connect, unless that is being tried."""
        if self._opening is None and self.connection is None and not self._is_closed:
            self._opening = asyncio.ensure_future(self._connect())
            self._opening.add_done_callback(self._opened)

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening = None
        if not task.cancelled():
            task.result()

    async def _connect(self) -> None:
        delay = FIRST_DELAY
        while True:
            try:
                connection = await self._try()
            except StoreUnavailable as error:
                self._fail(error)
                await asyncio.sleep(delay * random.uniform(0.5, 1))  # noqa: S311 - not a secret
                delay = min(2 * delay, LONGEST_DELAY)
            else:
                break
        if self.trouble is not None:
            _log.info("Redis answers again")
        _log.debug("Connected to Redis at %s", self._server)
        self.connection, self.trouble, self._was_connected = connection, None, True
        self.progress()

    async def _try(self) -> Connection:
        address = await self._router.find(self)
        self._server = str(address)
        self._troubles.know(self._server)
        connection = Connection(self)
        answers = await self._handshake.open(connection, address, *QUESTIONS)
        facts = read_facts(*answers)
        try:
            self._router.check(facts)
        except StoreUnavailable:
            await connection.end("it is not used")
            raise
        self.facts = facts
        return connection

    def _fail(self, error: StoreUnavailable) -> None:
        """Refuse what waits, and all that comes until there is a connection."""
        if self.trouble is None and self._was_connected:
            _log.warning("%s", error)
        self._troubles.add(self._server, "unreachable")
        self.trouble = error
        waiting, self.waiting = self.waiting, deque()
        for reply in waiting:
            self._refuse(reply, error)
        self._router.lost(self)

    def _refuse(self, reply: Reply, error: StoreUnavailable) -> None:
        reply.fail(error.with_traceback(None))  # or it would grow with each that raises it

    # What a connection tells

    def refused(self, reply: Reply, text: str) -> None:
        """Have the router decide what to do with it."""
        reply.turn = None
        text = reply.refusal if isinstance(reply, Look) and reply.refusal else text
        if code_of(text) not in ROUTINE:
            self._troubles.add(self._server, "refused")
        self._router.refused(self, reply, text)

    def answered(self, seconds: float) -> None:
        """Count how long the server took."""
        self._troubles.answer_seconds.add(seconds)

    def lost(self, connection: Connection, reason: str, calls: Sequence[Reply]) -> None:
        """Connect again. Calls that read are made again."""
        if connection is not self.connection:
            return
        self.connection = None
        self._router.interrupted()
        for reply in calls:
            reply.turn = None
            if reply.reads:
                self._router.undone(reply, "Redis was gone")
            else:
                reply.fail(AnswerLost(f"Redis did not answer: {reason}"))
        if not self._is_closed:
            self._troubles.add(self._server, "timeout" if reason == LATE else "lost")
            _log.warning("The connection to Redis is lost: %s", reason)
            self.open()

    def progress(self) -> None:
        """Send what waits, as far as there is room."""
        if self.waiting and not self._is_due:
            self._flush()

    def reconnect(self, reason: str) -> None:
        """Give up a connection to a server that is not the one any more that is meant."""
        if self.connection is not None:
            self.connection.abort(reason)

    async def rest(self) -> None:
        """Close the connection, if nothing waits for an answer; if there is none, let the next call find out itself.

        A loop that stands still between calls, as on Lambda, would never get to the end of an attempt to connect.
        """
        if self.trouble is not None and self._opening is not None:
            await end(self._opening)
            self.trouble = None
        connection = self.connection
        if connection is not None and not connection.unanswered:
            self.connection = None
            await connection.end("it rests")

    def _look(self) -> None:
        """Give up a connection on which an answer takes too long, and what could not be sent in that time."""
        self._check = None
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._settings.timeout
        connection = self.connection
        if connection is not None and connection.unanswered and connection.unanswered[0].at <= oldest:
            connection.abort(LATE)
        while self.waiting and self.waiting[0].at <= oldest:
            self._troubles.add(self._server, "timeout")
            self.waiting.popleft().fail(StoreUnavailable("Redis is too slow"))
        if self.unanswered:
            self._check = loop.call_later(self._settings.timeout / CHECKS, self._look)

    async def close(self) -> None:
        """Wait for what is under way, and close the connection."""
        while self.unanswered and self.trouble is None:  # noqa: ASYNC110 - the hot path sets no event
            await asyncio.sleep(CLOSING_SECONDS)
        self._is_closed = True
        if self._opening is not None:
            await end(self._opening)
        if self._check is not None:
            self._check.cancel()
        if self.connection is not None:
            await self.connection.end("it is closed")


def too_many_waiting(most: int) -> StoreUnavailable:
    """Return the error for a call that would be one more than may wait."""
    return StoreUnavailable(f"{most:,} calls wait for Redis already", setting="--redis-waiting")


async def end(task: asyncio.Task[None]) -> None:
    """Cancel a task, and wait until it has ended."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
