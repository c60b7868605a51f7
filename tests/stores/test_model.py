"""Every store against a dictionary, in any sequence of operations, the embedded one with restarts and compactions."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from laurels.clock import SETTLE_SECONDS, Clock
from laurels.errors import DefinitionConflict
from laurels.stores.embedded.compact import compact
from laurels.stores.embedded.store import EmbeddedStore
from laurels.stores.momento.connection import FixedKey
from laurels.stores.momento.store import MomentoStore
from tests.length import times
from tests.stores import disk
from tests.stores.machine import DEFINITIONS, NAMES_OF_BOARDS, StoreMachine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from laurels.definition import Definition
    from tests.momento import Momento


class EmbeddedMachine(StoreMachine):
    """An embedded store, which may be closed or killed at any time, and compacted then."""

    store: EmbeddedStore

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = Path(tempfile.mkdtemp())
        self.begin()

    def begin(self) -> None:
        """Open the store."""
        begun = [self.model.now - SETTLE_SECONDS]  # long enough ago for the clock to be settled
        clock = Clock(lambda: begun[-1] or self.model.now, lambda: begun[-1] or self.model.now, earliest=0)
        begun.append(0)
        self.store = self.runner.run(EmbeddedStore.open(self.directory, self.model.default, clock=clock))

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

    @rule(is_compacted=st.booleans())
    def crash(self, *, is_compacted: bool) -> None:
        """Go on with what is on the disk just now, or with what a compaction makes of that."""
        left, self.directory = self.directory, Path(tempfile.mkdtemp())
        shutil.copytree(left, self.directory, dirs_exist_ok=True)
        if is_compacted and (last := disk.last(self.directory)):
            compact(self.directory, last)
        self.runner.run(self.store.close())
        shutil.rmtree(left)
        self.begin()

    @rule(default=DEFINITIONS)
    def change_default(self, default: Definition) -> None:
        """Restart, and set another default definition, which the boards that are not declared may contradict."""
        undeclared = [name for name in NAMES_OF_BOARDS if name not in self.model.declared]
        is_wrong = any(self.model.contradicts(name, default) for name in undeclared)
        self.reopen()
        if is_wrong:
            with pytest.raises(DefinitionConflict):
                self.runner.run(self.store.declare({}, default))
        else:
            self.runner.run(self.store.declare({}, default))
            self.model.default = default
            for name in undeclared:
                self.model.adapt(name)


@pytest.fixture
def small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell few keys apart in memory, put few answers into a row, and forget one row at a time."""
    monkeypatch.setattr("laurels.stores.embedded.recovery.KEY_BITS", 1)
    monkeypatch.setattr("laurels.stores.embedded.answers.ROW_ANSWERS", 2)
    monkeypatch.setattr("laurels.stores.embedded.journal.FORGET_ROWS", 1)


TestEmbedded = pytest.mark.slow(pytest.mark.usefixtures("small_tables")(EmbeddedMachine.TestCase))
TestEmbedded.settings = settings(max_examples=times(30), stateful_step_count=50)


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
    """Set the machine's server and its loop."""
    MomentoMachine.momento = momento
    with asyncio.Runner() as MomentoMachine.runner:
        yield


TestMomento = pytest.mark.usefixtures("one_loop")(MomentoMachine.TestCase)
TestMomento.settings = settings(max_examples=times(15), stateful_step_count=20)
