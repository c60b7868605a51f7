"""The embedded store after an error that nobody expects: writes fail at once, reads go on, a restart mends it."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from typing import TYPE_CHECKING

import pytest

from laurels.definition import Definition
from laurels.errors import RestartNeeded, StoreUnavailable
from laurels.stores.contract import Board, Standing, Submission
from laurels.stores.embedded import commits
from laurels.stores.embedded.batch import Batch
from laurels.stores.embedded.compaction import Compaction
from laurels.stores.embedded.idempotency import FirstAnswers
from laurels.stores.embedded.journal import Journal
from laurels.stores.embedded.records import Put
from laurels.stores.embedded.store import EmbeddedStore
from tests.stores.guarantees import KART, ONCE, submit_for_change

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio

SUMS = Board("sums", Definition(operator="increment"))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedStore]:
    """Open a store in which one score was submitted."""
    opened = await EmbeddedStore.open(tmp_path / "data")
    await opened.submit(KART, Submission("before", 1))
    yield opened
    async with asyncio.timeout(10):
        await opened.close()


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Callable[[type, str, BaseException], None]:
    """Let a method raise from now on."""

    def fail(owner: type, method: str, error: BaseException) -> None:
        def failing(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(owner, method, failing)

    return fail


async def broken(store: EmbeddedStore, *, count: int = 1) -> list[BaseException | None]:
    """Submit ``count`` scores at once, which may take no longer than a moment, and return how they ended."""
    submits = (store.submit(KART, Submission(f"v-{number}", 2, b"{}" if number else None)) for number in range(count))
    async with asyncio.timeout(10):
        return await asyncio.gather(*submits, return_exceptions=True)  # type: ignore[return-value]


async def stopped(store: EmbeddedStore) -> None:
    """Wait until the store takes no more writes: the thread may get that far only after an answer."""
    async with asyncio.timeout(10):
        while True:
            try:
                await store.ready()
            except RestartNeeded:
                return
            await asyncio.sleep(0.001)


POINTS = {
    "describing": (Batch, "describe", MemoryError()),
    "applying": (Put, "apply", MemoryError()),
    "handing over": (commits.Ticks, "take", RuntimeError("the clock")),
    "settling": (FirstAnswers, "leave_to_disk", RuntimeError("settling")),
    "appending: memory": (Journal, "append", MemoryError()),
    "appending: system": (Journal, "append", OSError("a disk that is gone")),
    "compacting": (Compaction, "step", RuntimeError("no thread")),
    "counting": (Compaction, "grew", RuntimeError("counting")),
}
"""The steps of a batch, on the loop and in the thread, each with an error that it is not known to raise."""


@pytest.mark.parametrize(("owner", "method", "error"), POINTS.values(), ids=POINTS)
async def test_no_submit_waits_for_ever(
    store: EmbeddedStore, fail: Callable[..., None], owner: type, method: str, error: BaseException
) -> None:
    """Whatever fails, each submit ends: those under way, and all later ones with the advice to restart."""
    fail(owner, method, error)
    await broken(store, count=20)
    await stopped(store)
    later = await broken(store, count=20)
    assert {type(end) for end in later} == {RestartNeeded}
    assert {str(end).partition(". ")[2] for end in later} == {"Nothing was counted: restart the service."}


@pytest.mark.parametrize(("owner", "method", "error"), POINTS.values(), ids=POINTS)
async def test_broken_store_is_not_ready(
    store: EmbeddedStore, fail: Callable[..., None], owner: type, method: str, error: BaseException
) -> None:
    """A store that takes no more writes says so, and answers reads."""
    fail(owner, method, error)
    await broken(store, count=2)
    await broken(store)
    with pytest.raises(RestartNeeded, match="restart the service"):
        await store.ready()
    assert (await store.standing(KART, "before")) is not None


@pytest.mark.parametrize(("owner", "method", "error"), POINTS.values(), ids=POINTS)
async def test_unexpected_error_is_logged(
    store: EmbeddedStore,
    fail: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
    owner: type,
    method: str,
    error: BaseException,
) -> None:
    """The log has the error once, with its traceback, whatever fails after it."""
    fail(owner, method, error)
    for _ in range(3):
        await broken(store, count=20)
    (record,) = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert record.name == "laurels.stores"
    assert record.exc_info is not None
    assert record.exc_info[1] is error


async def test_restart_mends_it(
    store: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail: Callable[..., None]
) -> None:
    """What was durable before it could be applied is there after a restart, and its caller was told that it may be."""
    fail(Put, "apply", MemoryError())
    (end,) = await broken(store)
    assert type(end) is RestartNeeded
    assert "may have been done all the same: restart the service" in str(end)
    assert await store.standing(KART, "v-0") is None
    await store.close()
    monkeypatch.undo()
    again = await EmbeddedStore.open(tmp_path / "data")
    assert await again.standing(KART, "v-0") == Standing(2, 0)
    await again.close()


async def test_answer_that_cannot_be_kept(
    store: EmbeddedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail: Callable[..., None]
) -> None:
    """A first answer that is lost with the process is found again in the journal; others with the key do not wait."""
    await store.define(SUMS.name, SUMS.definition)
    fail(FirstAnswers, "add", MemoryError())
    async with asyncio.timeout(10):
        submits = (submit_for_change(store, SUMS, Submission("v", 5), ONCE) for _ in range(3))
        ends = await asyncio.gather(*submits, return_exceptions=True)
    assert {type(end) for end in ends} == {RestartNeeded}
    await store.close()
    monkeypatch.undo()
    again = await EmbeddedStore.open(tmp_path / "data")
    assert (await submit_for_change(again, SUMS, Submission("v", 5), ONCE)).previous is None
    assert await again.standing(SUMS, "v") == Standing(5, 0)
    await again.close()


async def test_batches_behind_it(store: EmbeddedStore, fail: Callable[..., None]) -> None:
    """The batches that gather and are written while one fails end, too."""
    first = [asyncio.ensure_future(store.submit(KART, Submission(f"first-{number}", 1))) for number in range(40)]
    for _ in range(2):
        await asyncio.sleep(0)
    fail(Put, "apply", MemoryError())
    second = [asyncio.ensure_future(store.submit(KART, Submission(f"second-{number}", 1))) for number in range(40)]
    async with asyncio.timeout(10):
        ends = await asyncio.gather(*first, *second, return_exceptions=True)
    assert {type(end) for end in ends} == {RestartNeeded}


async def test_broken_while_applying_in_portions(
    store: EmbeddedStore, fail: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that is applied in portions ends when one of them fails, and so do those that are durable behind it."""
    monkeypatch.setattr(commits, "APPLY_BYTES", 1)
    submits = [asyncio.ensure_future(store.submit(KART, Submission(f"v-{number}", 1))) for number in range(500)]
    deadline = time.monotonic() + 20
    while await store.count(KART) < 50 and time.monotonic() < deadline:
        submits += [asyncio.ensure_future(store.submit(KART, Submission(f"v-{len(submits)}", 1)))]
        await asyncio.sleep(0)
    fail(Put, "apply", MemoryError())
    async with asyncio.timeout(10):
        ends = await asyncio.gather(*submits, return_exceptions=True)
    assert {type(end) for end in ends} == {RestartNeeded}
    assert await store.count(KART) >= 50


async def test_batch_that_was_handed_over_already(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that comes to the thread after its error is not written, and its callers do not wait."""
    appended: list[int] = []
    handed_over = threading.Event()

    def step(_: Compaction) -> None:
        if appended:
            handed_over.wait(10)
            raise RuntimeError

    monkeypatch.setattr(Compaction, "grew", lambda _, size: appended.append(size))
    monkeypatch.setattr(Compaction, "step", step)
    store = await EmbeddedStore.open(tmp_path / "data")
    await store.submit(KART, Submission("last", 2))
    late = asyncio.ensure_future(store.submit(KART, Submission("late", 2)))
    for _ in range(2):
        await asyncio.sleep(0)
    handed_over.set()
    async with asyncio.timeout(10):
        (end,) = await asyncio.gather(late, return_exceptions=True)
    assert type(end) is RestartNeeded
    await store.close()
    monkeypatch.undo()
    again = await EmbeddedStore.open(tmp_path / "data")
    assert await again.standing(KART, "last") is not None
    assert await again.standing(KART, "late") is None
    await again.close()


async def test_interrupt_while_applying_in_portions(store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an interrupt the rest of a batch is not applied, and its callers do not wait for that."""
    monkeypatch.setattr(commits, "APPLY_BYTES", 1)
    submits = [asyncio.ensure_future(store.submit(KART, Submission(f"v-{number}", 1))) for number in range(500)]
    deadline = time.monotonic() + 20
    while await store.count(KART) < 50 and time.monotonic() < deadline:  # noqa: ASYNC110 - nothing reports it
        await asyncio.sleep(0)
    with pytest.raises(KeyboardInterrupt):
        store._commits._guard(interrupt, Batch())  # noqa: SLF001 - pytest would end at one from the loop
    async with asyncio.timeout(10):
        ends = await asyncio.gather(*submits, return_exceptions=True)
    assert {type(end) for end in ends} == {RestartNeeded}
    assert await store.count(KART) < 500


async def test_probe_that_fails_otherwise(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch, fail: Callable[..., None]
) -> None:
    """A journal that could not be written, and then fails in a way that is not known, is not tried for ever."""
    monkeypatch.setattr(commits, "PROBE_SECONDS", 0.01)
    fail(Journal, "append", sqlite3.OperationalError("disk I/O error"))
    (end,) = await broken(store)
    assert type(end) is StoreUnavailable
    fail(Journal, "append", MemoryError())
    deadline = time.monotonic() + 20
    while store._commits.broken is None and time.monotonic() < deadline:  # noqa: ASYNC110, SLF001 - nothing reports it
        await asyncio.sleep(0.01)
    with pytest.raises(RestartNeeded):
        await store.ready()


async def test_interrupt(store: EmbeddedStore) -> None:
    """An interrupt goes on to where it is handled, and nobody waits for the batch that is under way."""
    submit = asyncio.ensure_future(store.submit(KART, Submission("v", 2)))
    await asyncio.sleep(0)
    with pytest.raises(KeyboardInterrupt):
        store._commits._guard(interrupt, Batch())  # noqa: SLF001 - pytest would end at one from the loop
    async with asyncio.timeout(10):
        assert type((await asyncio.gather(submit, return_exceptions=True))[0]) is RestartNeeded


def interrupt(_: Batch) -> None:
    """Be interrupted."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("method", ["stop", "grew"])
async def test_close_of_what_cannot_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail: Callable[..., None], method: str
) -> None:
    """A store whose thread fails at its end, or before, closes all the same, and lets its directory go."""
    store = await EmbeddedStore.open(tmp_path / "data")
    fail(Compaction, method, RuntimeError(method))
    await broken(store)
    async with asyncio.timeout(10):
        (end,) = await asyncio.gather(store.close(), return_exceptions=True)
    assert type(end) is (RuntimeError if method == "stop" else type(None))
    monkeypatch.undo()
    await (await EmbeddedStore.open(tmp_path / "data")).close()
