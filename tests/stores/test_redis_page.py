"""What docs/redis.md says is in Redis."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from laurels.stores.contract import Board, Entry, Submission
from laurels.stores.redis.details import page_of
from laurels.stores.redis.keys import read_score
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


@pytest.mark.parametrize("name", ["v", "Зоя", 'a "quoted" \\ one', "\x7f", "\x1f", "\ufffd"])
@pytest.mark.parametrize("score", [b"0", b"2077", b"999999999999999", b"9007199254740994", b"-34", b"0.5", b"1e+20"])
def test_joined_page(name: str, score: bytes) -> None:
    """A page is to the byte what its entries are as JSON, joined or not."""
    entries = [Entry(name, read_score(score)), Entry("silverhand", 1)]
    assert page_of([name.encode(), score, b"silverhand", b"1"]) == msgspec.json.encode(entries)
    assert page_of([]) == b"[]"


def test_joined_page_of_no_text() -> None:
    """What is no UTF-8 does not become so beside another name."""
    pairs = [b"\xc3", b"1", b"\xa9", b"1"]
    assert page_of(pairs) == msgspec.json.encode([Entry("\ufffd", 1), Entry("\ufffd", 1)])
