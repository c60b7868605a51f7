from typing import Any

STANDING: int
PAGE: int
SUBMIT: int

def read(data: bytes, at: int = 0) -> tuple[int, int, str, Any, Any] | None: ...
