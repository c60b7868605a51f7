import asyncio
from contextvars import Context
from typing import Any

from laurels.http import Request, Routes
from laurels.http.routes import Call

class Outbox:
    def put(self, connection: Any, data: bytes) -> None: ...
    def flush(self) -> None: ...

class InlineCall:
    keep_alive: bool
    disconnected: bool
    response_complete: bool

class FastPath:
    ok: bytes
    accepted: bytes
    outbox: Outbox
    is_observed: bool
    def __init__(self, routes: Routes, target_limit: int, head_limit: int) -> None: ...
    def run_in(self, loop: asyncio.AbstractEventLoop) -> None: ...
    def new_context(self) -> Context: ...
    def answer(self, connection: Any, data: bytes) -> int: ...

def start(connection: Any, fast: FastPath, call: Call, request: Request) -> None: ...
