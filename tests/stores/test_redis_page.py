"""What docs/redis.md says is in Redis."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from laurels.stores.contract import Board, Submission
from laurels.stores.redis.store import RedisStore

if TYPE_CHECKING:
    from tests.redis_servers import Node

PAGE = (Path(__file__).parent.parent.parent / "docs" / "redis.md").read_text()


@pytest.mark.anyio
async def test_commands(redis_server: Node) -> None:
    """Each command has the answer that stands beside it."""
    store = RedisStore(redis_server.url)
    await store.submit(Board("kart"), Submission("silverhand", 2077, b'{"car":"pipe"}'))
    await store.submit(Board("kart"), Submission("v", 34))
    await store.close()
    rows = re.findall(r"^\| `([A-Z].*)` \| `(.*)` \|$", PAGE, re.MULTILINE)
    with redis_server.client() as client:
        for command, answer in rows:
            found = client.eval("return redis.call(unpack(ARGV))", 0, *command.split())
            words = sorted(found) if command.startswith("HKEYS") else found if isinstance(found, list) else [found]
            assert " ".join(each.decode() if isinstance(each, bytes) else str(each) for each in words) == answer
    assert len(rows) == 6
