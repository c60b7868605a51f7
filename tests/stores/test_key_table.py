"""The table of known keys against a dictionary, with so few bits of each key that most of them collide."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from laurels.stores.embedded.key_table import KeyTable
from tests.length import times

ALL = [number.to_bytes(16, "little") for number in range(41)]
KEYS = st.sampled_from(ALL)
ROWS = st.lists(KEYS, max_size=9)
TICKS = st.integers(1, 6)


def pairs(keys: list[bytes]) -> bytes:
    """Return keys, each with a fingerprint."""
    return b"".join(key + b"f" * 16 for key in keys)


class TableMachine(RuleBasedStateMachine):
    """A table, and how often each key was added with each tick."""

    @initialize(bits=st.sampled_from([0, 1, 3, 64]))
    def begin(self, bits: int) -> None:
        """Begin with an empty table."""
        self.table = KeyTable(bits)
        self.model = Counter[tuple[bytes, int]]()
        alone = KeyTable(bits)
        for place, key in enumerate(ALL):
            alone.add(pairs([key]), len(ALL) - place)
        self.alike = {key: ALL[len(ALL) - alone.find(key)[0]] for key in ALL}

    def known(self, key: bytes) -> bytes:
        """Return the first of the keys that the table does not tell from this one."""
        return self.alike[key]

    @rule(keys=ROWS, tick=TICKS)
    def add(self, keys: list[bytes], tick: int) -> None:
        """Add the keys of a row."""
        self.table.add(pairs(keys), tick)
        self.model.update((self.known(key), tick) for key in keys)

    @rule(keys=ROWS, tick=TICKS)
    def remove(self, keys: list[bytes], tick: int) -> None:
        """Remove keys, some of which are not there."""
        self.table.remove(pairs(keys), tick)
        for key in keys:
            if self.model[self.known(key), tick]:
                self.model[self.known(key), tick] -= 1

    @invariant()
    def same(self) -> None:
        """Each key has the rows that it was added with, the newest first."""
        assert len(self.table) == self.model.total()
        for key in ALL:
            expected = [tick for tick in range(6, 0, -1) if self.model[self.known(key), tick]]
            assert self.table.find(key) == tuple(expected)


TestTable = TableMachine.TestCase
TestTable.settings = settings(max_examples=times(50), stateful_step_count=40)


def test_keys_with_a_half_in_common() -> None:
    """Keys are told apart by either half."""
    table = KeyTable()
    for number in range(1, 200):
        half = number.to_bytes(8, "big")
        table.add(pairs([half + bytes(8), bytes(8) + half]), number)
    assert [len(table.find(n.to_bytes(8, "big") + bytes(8))) for n in range(1, 200)] == [1] * 199


@pytest.mark.parametrize("count", [100_000, 130_000, 170_000])
def test_memory(count: int) -> None:
    """A key costs no more than 40 bytes, and what is removed is given back."""
    table = KeyTable()
    empty = table.nbytes
    rows = [pairs([(number * 2**64 // count).to_bytes(16, "little")]) for number in range(count)]
    for row in rows:
        table.add(row, 1)
    assert table.nbytes <= 40 * count
    for row in rows:
        table.remove(row, 1)
    assert (len(table), table.nbytes < empty + 2 * 2**20) == (0, True)
