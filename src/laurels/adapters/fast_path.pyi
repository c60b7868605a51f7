from collections.abc import Coroutine
from typing import Any

from laurels.http.messages import Response

class Outbox:
    def put(self, connection: Any, data: bytes) -> None: ...
    def flush(self) -> None: ...

class Turn:
    keep_alive: bool
    disconnected: bool
    response_complete: bool
    def __init__(
        self, connection: Any, coroutine: Coroutine[Any, None, Response], keep_alive: bool, bodiless: bool
    ) -> None: ...
    def __call__(self, future: object = None) -> None: ...

def answer(connection: Any, data: bytes) -> int: ...
