"""Every call against a real service, by the client that blocks, which drives the other one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from laurels import errors
from laurels.client import (
    BadRequest,
    BoardMissing,
    Client,
    Definition,
    DefinitionStale,
    KeyReused,
    NameMissing,
    NewEntry,
    NotFound,
    Period,
    RequestRefused,
    ScoreRefused,
    Standing,
)
from tests.cli.conftest import board
from tests.conftest import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Server

__all__ = ["board"]
THEN = datetime(2026, 11, 20, 10, 0, 0, 123456, UTC)


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    """Return a client of the service."""
    with Client(server.url) as client:
        yield client


def test_submit_and_standing(client: Client, board: str) -> None:
    """A score that was submitted has a standing; a name without one has none."""
    client.submit(board, "v", 2077)
    assert client.standing(board, "v") == Standing(2077, 0)
    assert client.standing(board, "nobody") is None


def test_receipt(client: Client, board: str) -> None:
    """A receipt has the standing before."""
    client.submit(board, "v", 1)
    receipt = client.submit_with_receipt(board, "v", 2)
    assert receipt is not None
    assert (receipt.score, receipt.rank, receipt.previous, receipt.changed) == (2, 0, Standing(1, 0), True)


def test_options_of_a_submit(client: Client, board: str) -> None:
    """Metadata, time, operator and key go along; the key counts once, and is not for another score."""
    client.define(board, {"operator": "increment", "ties": "earliest"})
    for _ in range(2):
        client.submit(board, "v", 5, metadata={"car": "é"}, submitted_at=THEN, key="once")
    client.submit(board, "v", 7, metadata={"car": 2}, operator="best", submitted_at="2026-11-21T10:00:00Z")
    found = client.standing_in_full(board, "v")
    assert (found.score, found.metadata, found.rank, found.total, found.is_there) == (7, {"car": 2}, 0, 1, True)
    with pytest.raises(KeyReused):
        client.submit(board, "v", 6, key="once")


def test_batches(client: Client, board: str) -> None:
    """Many scores go in as many batches as they need; what is refused has its index among all."""
    client.define(board, {"operator": "increment", "scores": {"min": 0}})
    scores = [(f"v{index}", index if index != 1500 else -1) for index in range(2500)]
    first, again = (client.submit_many(board, scores, key="run") for _ in range(2))
    assert first == again
    assert (first.accepted, [(each.index, each.name) for each in first.refused]) == (2499, [(1500, "v1500")])
    assert client.standing(board, "v2499") == Standing(2499, 0)
    assert client.submit_many(board, {}).accepted == 0
    assert client.submit_many(board, [NewEntry("w", 1, {"a": 1}, THEN)]).accepted == 1
    assert client.names(board, ["w"], include=["metadata"])[0].metadata == {"a": 1}


def test_reads(client: Client, board: str) -> None:
    """Pages, neighbours, names, scores: each is a sequence of entries with ranks."""
    client.submit_many(board, {f"v{index}": index for index in range(10)})
    page = client.page(board, 2, 4, include=["place", "submitted_at", "metadata"], total=True)
    assert [(each.name, each.rank, each.place, each.metadata) for each in page] == [
        ("v7", 2, 2, None),
        ("v6", 3, 3, None),
    ]
    assert (page.total, len(page), page[1].name) == (10, 2, "v6")
    assert datetime.now(UTC) - (page[0].submitted_at or THEN) < timedelta(minutes=5)
    assert [each.name for each in client.around(board, "v5", span=1)] == ["v6", "v5", "v4"]
    assert [each.name for each in client.around(board, "v9", limit=3)] == ["v9", "v8", "v7"]
    assert [each.name for each in client.between(board, 3, limit=2, total=True)] == ["v9", "v8"]
    assert (client.names(board, ["v3", "x", "v4"]).missing, client.names(board, []).missing) == (("x",), ())
    assert (client.rank_of(board, 8.5).rank, client.summary(board, percentiles=[50], buckets=2).count) == (1, 10)


def test_whole_boards(client: Client, board: str) -> None:
    """A whole board is read in pages, by cursor or by place; more names than one request takes are asked in parts."""
    client.submit_many(board, {f"v{index}": index for index in range(2100)})
    names = [f"v{index}" for index in range(2099, -1, -1)]
    assert [each.name for each in client.entries(board)] == names
    assert [len(page) for page in client.pages(board, size=900)] == [900, 900, 300]
    assert [len(page) for page in client.pages(board, by_cursor=False)] == [1000, 1000, 100]
    found = client.names(board, [*names[:150], "x" * 256, "é" * 128], total=True)
    assert ([each.name for each in found], found.total) == (names[:150], 2100)
    assert found.missing == ("x" * 256, "é" * 128)


def test_entry_in_words(client: Client, board: str) -> None:
    """An entry shows what it has, and its metadata as they read."""
    client.submit(board, "v", 0, metadata={"a": 1})
    assert repr(client.page(board, include=["metadata"])[0]) == "Entry(name='v', score=0, rank=0, metadata={'a': 1})"
    assert repr(client.page(board)[0]) == "Entry(name='v', score=0, rank=0)"


def test_windows(client: Client, board: str) -> None:
    """Windows and periods go with reads, and with what is removed."""
    client.define(board, Definition(windows=("daily",)))
    client.submit(board, "v", 3)
    (period,) = client.periods(board)
    assert isinstance(period, Period)
    assert (period.window, period.stop - period.start, period.count) == ("daily", timedelta(days=1), 1)
    assert client.standing_in_full(board, "v").windows == {"daily": Standing(3, 0)}
    assert client.standing_in_full(board, "v", window="daily", period=period.period).windows is None
    client.set_metadata(board, "v", [1], window="daily")
    client.remove(board, "v", window="daily")
    assert (client.standing(board, "v", window="daily"), client.standing(board, "v")) == (None, Standing(3, 0))
    client.drop(board)
    assert client.standing(board, "v") is None


def test_definitions(client: Client, board: str) -> None:
    """A definition is changed only from the one that was read."""
    client.define(board, b'{"order":"ascending"}')
    definition, tag = client.definition_and_tag(board)
    assert (definition.order, client.definition(board)) == ("ascending", definition)
    client.define(board, {"order": "descending"}, if_match=tag)
    with pytest.raises(DefinitionStale):
        client.define(board, {}, if_match=tag)
    assert [each.count for each in client.boards(board, count=True)] == [0]
    client.undefine(board)
    with pytest.raises(BoardMissing):
        client.definition(board)


def test_moderation(client: Client, board: str) -> None:
    """Names are hidden and shown, held scores released or rejected."""
    client.define(board, {"guard": {"hold_above": 10}})
    client.submit_many(board, {"v": 11, "w": 12, "x": 1})
    assert [(each.name, each.score, each.metadata) for each in client.held(board)] == [("w", 12, None), ("v", 11, None)]
    held = client.standing_in_full(board, "v", held=True).held
    assert held
    assert held.score == 11
    client.release(board, "v")
    client.reject(board, "w")
    with pytest.raises(NameMissing):
        client.release(board, "w")
    client.hide(board, "v")
    assert [(each.name, each.score) for each in client.hidden(board)] == [("v", 11)]
    assert client.standing(board, "v") == Standing(11, None, hidden=True)
    client.show(board, "v")
    assert client.standing(board, "v") == Standing(11, 0)


def test_restore(client: Client, board: str) -> None:
    """Entries are restored with their times, whatever the operator."""
    client.submit(board, "v", 9)
    assert client.restore(board, [NewEntry("v", 3, None, THEN), NewEntry("w", 4)]).accepted == 2
    (entry,) = [each for each in client.entries(board, include=["submitted_at"]) if each.name == "v"]
    assert (entry.score, entry.submitted_at) == (3, THEN)
    refused = client.restore(board, [NewEntry("v", 3, "x" * 2000)]).refused
    assert [each.index for each in refused] == [0]


def test_service(client: Client) -> None:
    """The service says what it is, whether it is well, and who asks."""
    assert (client.service().service, client.ready().status, client.whoami().who) == ("laurels", "ok", "anybody")
    client.health()
    assert "laurels" in client.metrics()
    assert client.openapi()["openapi"].startswith("3.")
    with pytest.raises(NotFound):
        client.give_anonymous_token()


def test_refusals(client: Client, board: str) -> None:
    """A refusal is of the class of its problem, with its facts; the same is raised where a store is opened."""
    with pytest.raises(ScoreRefused, match="score") as refusal:
        client.submit(board, "v", 2**53 + 1)
    error = refusal.value
    assert (error.status, error.title, error.pointer) == (422, "Unprocessable Content", "/score")
    assert str(error) == f"{error.title}: {error.detail}"
    assert issubclass(type(error), errors.ScoreRefused)
    assert issubclass(type(error), RequestRefused)
    with pytest.raises(BadRequest) as bad:
        client.page(board, 5, 5)
    assert bad.value.parameter == "endRank"
    with pytest.raises(errors.NotOnBoard):
        client.around(board, "nobody")
    with pytest.raises(errors.BadName):
        client.standing("-", "..")


@pytest.mark.slow
def test_declared_only(tmp_path: Path) -> None:
    """A board that must be declared first is missing."""
    (tmp_path / "boards.toml").write_text("declared_only = true\n")
    with (
        running(tmp_path / "data", "--boards", str(tmp_path / "boards.toml")) as server,
        Client(server.url) as client,
        pytest.raises(BoardMissing),
    ):
        client.submit("b", "v", 1)
