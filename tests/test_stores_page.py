"""The tables of docs/stores.md say what the stores can do."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from contextlib import ExitStack
from typing import TYPE_CHECKING, get_args, get_type_hints

import msgspec
import pytest

from laurels.definition import Definition
from laurels.errors import NotKept
from laurels.stores.contract import Capabilities
from laurels.stores.embedded.store import EmbeddedStore
from laurels.stores.momento.store import MomentoStore
from laurels.stores.redis.store import RedisStore
from tests.asking import ask
from tests.conftest import started
from tests.test_docs import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from laurels.stores.contract import Store
    from tests.conftest import Server
    from tests.momento import Momento
    from tests.redis_servers import Servers

STORES: list[type[Store]] = [EmbeddedStore, MomentoStore, RedisStore]
ROW = re.compile(r"^\| (`.*) \| (yes|no) \| (yes|no) \| (yes|no|as set) \|$", re.MULTILINE)
SECTIONS = (ROOT / "docs" / "stores.md").read_text().split("\n## ")
CAPABILITIES, DEFINITIONS, REQUESTS = (
    {first: cells for first, *cells in ROW.findall(section)} for section in SECTIONS[1:4]
)
"""The three tables: what stands in the first cell, and in those of the stores."""
WORDS = {True: "yes", False: "no"}


def quoted(cell: str) -> list[str]:
    """Return what is between backticks."""
    return re.findall(r"`([^`]+)`", cell)


def is_kept(store: type[Store], definition: Definition) -> bool:
    """Return whether a store accepts a definition."""
    try:
        store.capabilities.check(definition)
    except NotKept:
        return False
    return True


def test_capabilities() -> None:
    """Every capability has its row, in the order of the contract, with what each store declares."""
    flags = [name for name, kind in get_type_hints(Capabilities).items() if kind is bool]
    declared = {name: [WORDS[getattr(store.capabilities, name)] for store in STORES] for name in flags}
    declared["durable"][-1] = "as set"  # which the server tells: tests/stores/
    assert [(quoted(cell)[0], kept) for cell, kept in CAPABILITIES.items()] == list(declared.items())


@pytest.mark.parametrize("cell", DEFINITIONS)
def test_definitions(cell: str) -> None:
    """A definition is taken or refused by each store as its row says."""
    definition = msgspec.convert(tomllib.loads("\n".join(quoted(cell))), Definition)
    assert [WORDS[is_kept(store, definition)] for store in STORES] == DEFINITIONS[cell]


@pytest.mark.parametrize(("name", "kind"), get_type_hints(Definition).items())
def test_every_part_of_a_definition_has_its_row(name: str, kind: object) -> None:
    """Each field of a definition, and each value of an enumeration, is in the table."""
    lines = {line for cell in DEFINITIONS for line in quoted(cell) if line.startswith(f"{name} = ")}
    values = {f'{name} = "{value}"' for value in get_args(kind) if isinstance(value, str)}
    assert lines
    assert values <= lines


@pytest.fixture(scope="module")
def services(server: Server, momento: Momento, redis_servers: Servers) -> Iterator[list[Server]]:
    """Start a service over each store."""
    urls = f"momento:{momento.new_cache()}", redis_servers.node("redis").url
    environment = os.environ | {"MOMENTO_ENDPOINT": f"http://{momento.host}:{momento.port}"}
    commands = ([sys.executable, "-m", "laurels", "serve", "--port", "0", "--store", url] for url in urls)
    with ExitStack() as stack:
        yield [server, *(stack.enter_context(started(command, environment)) for command in commands)]


@pytest.mark.parametrize("cell", REQUESTS)
def test_requests(services: list[Server], cell: str) -> None:
    """A request is answered, or refused because the store cannot, as its row says."""
    request, *parts = quoted(cell)
    method, _, path = request.partition(" ")
    board = f"row-{list(REQUESTS).index(cell)}"
    body = next((part.encode() for part in parts if part.startswith("{")), None)
    headers = dict(part.split(": ") for part in parts if not part.startswith("{"))
    for service, answers in zip(services, REQUESTS[cell], strict=True):
        ask(service, "POST", f"/{board}/v", {"score": 1})
        reply = ask(service, method, path.format(board=board), body, headers)
        assert reply.status in ({200, 201, 202, 204} if answers == "yes" else {422}), reply.body
