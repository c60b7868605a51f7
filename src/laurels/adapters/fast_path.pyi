import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any

from laurels.adapters.limits import Limits
from laurels.http import Request, Response, Routes
from laurels.http.routes import Call

class Outbox:
    is_over: bool
    piece_bytes: int
    """The size of the newest piece that was written: a transport keeps it whole until all of it is sent."""
    def begin_turn(self, loop: asyncio.AbstractEventLoop) -> None: ...
    def put(self, connection: Any, data: bytes) -> None: ...
    def flush(self) -> None: ...

class InlineCall:
    keep_alive: bool
    disconnected: bool
    response_complete: bool

class FastPath:
    outbox: Outbox
    is_observed: bool
    held: int
    """The bytes of memory that are counted for all connections."""
    def __init__(self, routes: Routes, limits: Limits, full: Response) -> None: ...
    def renew(self, format_head: Callable[[Response], bytes]) -> None: ...
    def has_room(self, size: int) -> bool: ...
    def run_in(self, loop: asyncio.AbstractEventLoop) -> None: ...
    def new_context(self) -> Context: ...
    def answer(self, connection: Any, data: bytes, start: int) -> int: ...

def start(connection: Any, fast: FastPath, call: Call, request: Request) -> None: ...
