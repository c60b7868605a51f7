"""What the tests of every store share."""

from __future__ import annotations

import pytest

from tests.clock import clock

__all__ = ["clock"]


@pytest.fixture
def anyio_backend() -> str:
    """Run the coroutines of tests on asyncio."""
    return "asyncio"
