"""Rights that go by more than an operation's scope: names, boards, and what a body asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from laurels.access.principal import ANYBODY, SCOPES, Principal
from laurels.http.access import find_problem
from laurels.http.handlers import submit
from laurels.http.operation import Operation
from laurels.http.operations import OPERATIONS, STANDING, SUBMIT
from tests.access.ways import bearer
from tests.asking import ask, send_bytes

if TYPE_CHECKING:
    from tests.access.conftest import Guarded

NEW: dict[str, Any] = {"name": "new", "method": "GET", "path": "/-/new", "tag": "", "title": "", "about": ""}
NEW |= {"answers": (), "handler": submit}
THEN = "2026-11-20T10:00:00Z"
BATCH = next(operation for operation in OPERATIONS if operation.name == "submit_many")
PLAYER = Principal(kind="player", name="é/v", scopes=frozenset({"read", "submit:self"}), boards=("mario-*",))


def entries(*times: str | None) -> dict[str, Any]:
    """Return a batch of entries with these times."""
    return {"entries": [{"name": f"n{i}", "score": 1} | ({"submittedAt": t} if t else {}) for i, t in enumerate(times)]}


@pytest.mark.parametrize(
    ("path", "body", "statuses"),
    [
        ("/kart/v", {"score": 1}, (202, 403)),
        ("/kart/v", {"score": 1, "submittedAt": None}, (202, 403)),
        ("/kart/v", {"score": 1, "submittedAt": THEN}, (403, 202)),
        ("/kart/v", {"score": 1, "operator": "latest"}, (403, 202)),
        ("/kart/v", {"score": 1, "submittedAt": THEN, "operator": "best"}, (403, 202)),
        ("/kart", entries(None, None), (200, 403)),
        ("/kart", entries(THEN, THEN), (403, 200)),
        ("/kart", entries(None, THEN), (403, 403)),
    ],
    ids=str,
)
def test_what_takes_a_moderator(guarded: Guarded, path: str, body: object, statuses: tuple[int, int]) -> None:
    """Times and operators are a moderator's to give, and nothing else is, in one submit and in a batch."""
    secrets = guarded.secrets
    sent = [ask(guarded.server, "POST", path, body, bearer(secrets[scope])) for scope in ("submit", "moderate")]
    assert tuple(reply.status for reply in sent) == statuses
    assert ask(guarded.server, "POST", path, body, bearer(secrets["some"])).status in {200, 202}
    assert ask(guarded.server, "POST", path, body).status == 401


def test_nothing_of_a_refused_batch_is_kept(guarded: Guarded) -> None:
    """One entry that its sender may not submit, and the whole batch is refused."""
    reply = ask(guarded.server, "POST", "/refused", entries(None, THEN), bearer(guarded.secrets["submit"]))
    assert reply.status == 403
    assert ask(guarded.server, "GET", "/refused").json == {"leaderboard": []}


def test_moderator_may_not_set_metadata(guarded: Guarded) -> None:
    """Only submits that carry a time or an operator are a moderator's."""
    moderate = bearer(guarded.secrets["moderate"])
    assert ask(guarded.server, "PATCH", "/kart/v", {"metadata": 1}, moderate).status == 403


@pytest.mark.parametrize(
    ("board", "status"),
    [
        ("kart", 202),
        ("Kart", 403),
        ("kart2", 403),
        ("mario-", 202),
        ("mario-%2A", 202),
        ("%6Dario-x", 202),
        ("mario", 403),
    ],
)
def test_patterns(guarded: Guarded, board: str, status: int) -> None:
    """A pattern is of the whole name, decoded, and case counts."""
    assert ask(guarded.server, "POST", f"/{board}/v", {"score": 1}, bearer(guarded.secrets["some"])).status == status


def test_list_has_ones_own_boards(guarded: Guarded) -> None:
    """The boards of others are not listed, nor where the list goes on."""
    for board in ("a", "kart", "mario-1", "mario-2", "z"):
        ask(guarded.server, "POST", f"/{board}/v", {"score": 1}, bearer(guarded.secrets["submit"]))
    some = bearer(guarded.secrets["some"])
    names: list[str] = []
    after: str | None = ""
    while after is not None:
        page = ask(guarded.server, "GET", f"/-/boards?limit=2&after={after}", headers=some).json
        names += [board["name"] for board in page["boards"]]
        after = page["next"]
        assert after is None or after == names[-1]
    assert {"kart", "mario-1", "mario-2"} <= {*names}
    assert all(name == "kart" or name.startswith("mario-") for name in names)


def test_key_has_no_name_of_its_own(guarded: Guarded) -> None:
    """submit:self is for tokens: a key was made for nobody, not even for a player of its name."""
    own = bearer(guarded.secrets["own"])
    assert [ask(guarded.server, "POST", f"/kart/{name}", {"score": 1}, own).status for name in ("own", "v", "%00")] == [
        403
    ] * 3


@pytest.mark.parametrize(
    ("board", "name", "problem"),
    [
        ("mario-1", "é/v", None),
        ("mario-1", "e\u0301/v", "alone, whose token"),
        ("mario-1", "É/v", "alone, whose token"),
        ("mario-1", "é/v ", "alone, whose token"),
        ("mario-1", "", "alone, whose token"),
        ("luigi", "é/v", "on the board 'luigi'"),
    ],
)
def test_name_of_a_player(board: str, name: str, problem: str | None) -> None:
    """It is compared to the letter: nothing is folded, trimmed or composed."""
    found = find_problem(PLAYER, SUBMIT, (board, name))
    assert (found is None) if problem is None else (problem in str(found))


def test_player_sends_no_batch() -> None:
    """A batch may have any names."""
    assert find_problem(PLAYER, BATCH, ("mario-1",)) == "this cannot be done: it takes the scope submit"


def test_token_of_another_name_that_may_moderate() -> None:
    """Who may moderate is let in for another name, and then only with what is a moderator's."""
    player = Principal(kind="player", name="v", scopes=frozenset({"submit:self", "moderate"}))
    assert find_problem(player, SUBMIT, ("kart", "w")) is None
    assert [player.may_submit_for(name) for name in ("v", "w")] == [True, False]


def test_anybody_may_do_everything() -> None:
    """Without an access file there is no right that is not had."""
    assert all(ANYBODY.may(scope) for scope in SCOPES)
    assert ANYBODY.has_every_board


def test_operation_that_says_nothing_of_boards() -> None:
    """One that takes a right and has no board in its path must say which boards it concerns."""
    with pytest.raises(TypeError, match="which boards does it concern"):
        Operation(**NEW, scope="read")
    with pytest.raises(TypeError, match="scope"):
        Operation(**NEW)


def test_bad_name_is_refused_after_the_right(guarded: Guarded) -> None:
    """A path that cannot be decoded tells nothing to who may not ask, and is a 400 for who may."""
    request = b"POST /kart/%%ff HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nX: %b\r\n\r\n"
    lines = [b"1", *(b"1\r\nAuthorization: Bearer " + guarded.secrets[name].encode() for name in ("read", "submit"))]
    assert [send_bytes(guarded.server, request % line)[0].status for line in lines] == [401, 403, 400]
    assert find_problem(PLAYER, STANDING, ("%ff", "v")) is not None


def test_preflight_is_open(guarded: Guarded) -> None:
    """A browser shows no credentials in its preflight, and what is asked there is no secret."""
    assert ask(guarded.server, "OPTIONS", "/kart/v").status == 204
