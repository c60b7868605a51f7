"""A submit by another operator than the board's, as a moderator corrects a score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from laurels.access.principal import Principal, Scope
from laurels.boards import Boards
from laurels.errors import Forbidden
from laurels.http.bodies import parse_batch, parse_submit
from laurels.http.gate import Context
from laurels.http.handlers import submit, submit_batch
from laurels.stores.embedded.store import EmbeddedStore
from tests.asking import ask

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Server

REPRESENTATION = {"Prefer": "return=representation"}


@pytest.mark.parametrize("own", ["latest", "best", "increment"])
@pytest.mark.parametrize(("operator", "score"), [("latest", 3), ("best", 10), ("increment", 13)])
def test_operator_of_one_submit(service: Server, board: str, own: str, operator: str, score: int) -> None:
    """One submit counts by its own operator, on the board and in its windows; the next one by the board's again."""
    ask(service, "PUT", f"/-/boards/{board}", {"operator": own, "windows": ["daily"]})
    ask(service, "POST", f"/{board}/v", {"score": 10})
    reply = ask(service, "POST", f"/{board}/v", {"score": 3, "operator": operator}, REPRESENTATION)
    standings = [{"score": score, "rank": 0}, {"score": 10, "rank": 0}]
    assert reply.json == {**standings[0], "previous": standings[1], "changed": score != 10}
    assert ask(service, "GET", f"/{board}/v?window=daily").json == standings[0]
    ask(service, "POST", f"/{board}/v", {"score": 1})
    assert ask(service, "GET", f"/{board}/v").json["score"] == {"latest": 1, "best": score, "increment": score + 1}[own]


def test_null_is_the_operator_of_the_board(service: Server, board: str) -> None:
    """An operator of null is the board's own."""
    ask(service, "PUT", f"/-/boards/{board}", {"operator": "best"})
    for score in (10, 3):
        assert ask(service, "POST", f"/{board}/v", {"score": score, "operator": None}).status == 202
    assert ask(service, "GET", f"/{board}/v").json["score"] == 10


@pytest.mark.parametrize(("operator", "score"), [("latest", 11), ("best", 11), ("increment", 2), ("increment", 0.5)])
def test_bounds_hold(service: Server, board: str, operator: str, score: float) -> None:
    """The bounds of a board hold for every operator, for sums if it adds."""
    ask(service, "PUT", f"/-/boards/{board}", {"operator": "best", "scores": {"max": 10, "integer": True}})
    ask(service, "POST", f"/{board}/v", {"score": 9})
    assert ask(service, "POST", f"/{board}/v", {"score": score, "operator": operator}).status == 422
    assert ask(service, "GET", f"/{board}/v").json["score"] == 9


def test_correction_with_all_that_goes_with_a_submit(service: Server, board: str) -> None:
    """An operator goes with metadata, a time and a key, whose replay gets the first answer."""
    ask(service, "PUT", f"/-/boards/{board}", {"operator": "best"})
    ask(service, "POST", f"/{board}/v", {"score": 9, "submittedAt": "2026-01-01T00:00:00Z"})
    sent = {"score": 5, "operator": "latest", "metadata": {"by": "mod"}, "submittedAt": "2026-01-02T00:00:00.5Z"}
    first, again = (
        ask(service, "POST", f"/{board}/v", sent, REPRESENTATION | {"Idempotency-Key": "k"}) for _ in range(2)
    )
    assert (first.status, first.body) == (200, again.body)
    (entry,) = ask(service, "GET", f"/{board}?include=metadata,submittedAt").json["leaderboard"]
    assert entry == {"name": "v", "score": 5, "metadata": {"by": "mod"}, "submittedAt": "2026-01-02T00:00:00.500000Z"}


@pytest.mark.parametrize("other", ["best", None], ids=str)
def test_another_operator_is_another_request(service: Server, board: str, other: str | None) -> None:
    """The same key with another operator, or without one, is refused."""
    ask(service, "POST", f"/{board}/v", {"score": 5, "operator": "latest"}, {"Idempotency-Key": "k"})
    reply = ask(service, "POST", f"/{board}/v", {"score": 5, "operator": other}, {"Idempotency-Key": "k"})
    assert (reply.status, reply.json["parameter"]) == (422, "Idempotency-Key")


@pytest.mark.parametrize(
    ("operator", "pointer", "says"),
    [
        ("bset", "/operator", 'operator is "bset": it must be "latest" or "best" or "increment"; perhaps you mean "be'),
        ("", "/operator", 'operator is "": it must be "latest"'),
        (5, "/operator", "operator must be a string, and is a whole number"),
    ],
    ids=str,
)
def test_no_operator(service: Server, board: str, operator: object, pointer: str, says: str) -> None:
    """Anything that is no operator is refused."""
    reply = ask(service, "POST", f"/{board}/v", {"score": 5, "operator": operator})
    assert (reply.status, reply.json["pointer"]) == (422, pointer)
    assert says in reply.json["detail"]


def test_operator_twice(service: Server, board: str) -> None:
    """An operator that stands twice is malformed."""
    body = b'{"score": 5, "operator": "best", "operator": "latest"}'
    assert ask(service, "POST", f"/{board}/v", body).status == 400


def test_not_in_batches(service: Server, board: str) -> None:
    """A batch has no operator, nor has an entry of it: the problem says where one goes."""
    entry = {"name": "v", "score": 5, "operator": "latest"}
    (refusal,) = ask(service, "POST", f"/{board}", {"entries": [entry]}).json["refused"]
    reply = ask(service, "POST", f"/{board}", {"entries": [], "operator": "latest"})
    assert reply.status == 422
    for problem in (refusal["problem"], reply.json["detail"]):
        assert 'no field "operator"' in problem
        assert "to POST /{board}/{name}" in problem


@pytest.mark.anyio
@pytest.mark.parametrize(
    "body", [b'{"score":1,"operator":"latest"}', b'{"score":1,"submittedAt":"2026-01-01T00:00:00Z"}'], ids=str
)
@pytest.mark.parametrize("scope", ["submit", "submit:self", "moderate", "admin"])
async def test_right_to_moderate(tmp_path: Path, body: bytes, scope: Scope) -> None:
    """An operator, and a time, need the right to moderate, and no other."""
    store = await EmbeddedStore.open(tmp_path)
    context = Context(Boards(store), principal=Principal(kind="key", name="k", scopes=frozenset({scope})))
    submitting = submit(context, "kart", "v", parse_submit(body), False, None)  # noqa: FBT003 - as routes call it
    if scope in {"moderate", "admin"}:
        assert (await submitting).status == 202
    else:
        with pytest.raises(Forbidden, match="they take the scope moderate"):
            await submitting
    await store.close()


@pytest.mark.anyio
async def test_right_to_moderate_in_a_batch(tmp_path: Path) -> None:
    """A batch with a time needs the right to moderate, one without does not."""
    store = await EmbeddedStore.open(tmp_path)
    context = Context(Boards(store), principal=Principal(kind="key", name="k", scopes=frozenset({"submit"})))
    dated = b'{"entries":[{"name":"v","score":1,"submittedAt":"2026-01-01T00:00:00Z"}]}'
    assert (
        await submit_batch(context, "kart", parse_batch(b'{"entries":[{"name":"v","score":1}]}'), None)
    ).status == 200
    with pytest.raises(Forbidden, match="they take the scope moderate"):
        await submit_batch(context, "kart", parse_batch(dated), None)
    await store.close()
