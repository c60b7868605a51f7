"""Every store against a dictionary, through any sequence of acts; the embedded one also through restarts and folds."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis.stateful import precondition, rule

from laurels.stores.embedded import EmbeddedStore
from laurels.stores.fold import fold
from laurels.stores.momento import FixedKey, MomentoStore
from tests.stores import disk
from tests.stores.machine import StoreMachine, define

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.momento import Momento


class EmbeddedMachine(StoreMachine):
    """An embedded store, which may be closed and folded at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = Path(tempfile.mkdtemp())
        self.begin()

    def begin(self) -> None:
        """Open the store."""
        self.store = self.runner.run(EmbeddedStore.open(self.directory, define))

    def teardown(self) -> None:
        """Close the store and leave nothing."""
        self.runner.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.directory)

    @rule()
    def reopen(self) -> None:
        """Close the store and open it again."""
        self.runner.run(self.store.close())
        self.begin()

    @precondition(lambda self: disk.last(self.directory) > 0)
    @rule()
    def fold(self) -> None:
        """Fold the journal, as the child process would."""
        fold(self.directory, disk.last(self.directory))


TestEmbedded = EmbeddedMachine.TestCase
TestEmbedded.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


class MomentoMachine(StoreMachine):
    """A Momento store, over a new cache each time; one loop for all, as gRPC wants it."""

    momento: Momento

    def __init__(self) -> None:
        super().__init__()
        endpoint = f"http://{self.momento.host}:{self.momento.port}"
        self.store = MomentoStore(self.momento.new_cache(), FixedKey(""), endpoint)

    def teardown(self) -> None:
        """Close the store."""
        self.runner.run(self.store.close())


@pytest.fixture(scope="module")
def one_loop(momento: Momento) -> Iterator[None]:
    """Give the machine its server, and a loop."""
    MomentoMachine.momento = momento
    with asyncio.Runner() as MomentoMachine.runner:
        yield


TestMomento = pytest.mark.usefixtures("one_loop")(MomentoMachine.TestCase)
TestMomento.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
