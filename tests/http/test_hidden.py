"""Hidden names as clients see them, over both adapters: for everybody else it is as if they had never been there."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.asking import ask

if TYPE_CHECKING:
    from tests.conftest import Server

SCORES = {"v": 9, "cheat": 99, "judy": 5, "panam": 5, "t-bug": 9, "rogue": 5}
HIDDEN = ("cheat", "t-bug", "rogue")
PREFER = {"prefer": "return=representation"}
READS = [
    "/{board}",
    "/{board}?startRank=1&endRank=2",
    "/{board}?include=rank",
    "/{board}?around=judy&span=1",
    "/{board}?around=cheat",
    "/{board}?name=judy&name=cheat&name=v",
    "/{board}?minScore=5&maxScore=9&limit=2",
    "/{board}/v",
    "/{board}/judy",
    "/-/boards/{board}/summary",
    "/-/boards/{board}/rank?score=5",
    "/-/boards/{board}/rank?score=100",
    "/-/boards/{board}/periods",
]
WINDOWED = [f"{read}{'&' if '?' in read else '?'}window=daily" for read in READS[:-1]]


def hide(service: Server, board: str, *names: str) -> None:
    """Hide names."""
    for name in names:
        reply = ask(service, "PUT", f"/-/boards/{board}/hidden/{name}")
        assert (reply.status, reply.body) == (204, b"")


def fill(service: Server, board: str, definition: dict[str, Any], *names: str) -> None:
    """Define a board, and submit the scores of these names."""
    assert ask(service, "PUT", f"/-/boards/{board}", definition).status == 201
    entries = [{"name": name, "score": SCORES[name]} for name in names]
    assert ask(service, "POST", f"/{board}", {"entries": entries}).json["accepted"] == len(names)


def read_all(service: Server, board: str) -> list[tuple[str, int, bytes]]:
    """Return the answers to all reads of a board, without its name in them."""
    replies = [(read, ask(service, "GET", read.format(board=board))) for read in READS + WINDOWED]
    return [(read, reply.status, reply.body.replace(board.encode(), b"")) for read, reply in replies]


@pytest.mark.parametrize(
    ("ranking", "ties", "order"),
    [*product(["ordinal", "competition", "dense"], ["name", "latest"], ["descending"]), ("dense", "name", "ascending")],
)
def test_others_see_nothing(service: Server, board: str, ranking: str, ties: str, order: str) -> None:
    """Every read, of a window too, is to the byte that of a board on which the hidden names never were."""
    definition = {"ranking": ranking, "ties": ties, "order": order, "windows": ["daily"]}
    fill(service, board, definition, *SCORES)
    hide(service, board, *HIDDEN)
    ask(service, "POST", f"/{board}/cheat", {"score": 7})
    fill(service, f"{board}-twin", definition, *(name for name in SCORES if name not in HIDDEN))
    assert read_all(service, board) == read_all(service, f"{board}-twin")


def test_shown_again(service: Server, board: str) -> None:
    """Shown again, they stand where they would if they had never been hidden: their time counts among ties."""
    definition = {"ties": "earliest", "windows": ["daily"]}
    for name in (board, f"{board}-twin"):
        fill(service, name, definition, *SCORES)
    hide(service, board, *HIDDEN)
    assert read_all(service, board) != read_all(service, f"{board}-twin")
    for name in HIDDEN:
        assert ask(service, "DELETE", f"/-/boards/{board}/hidden/{name}").status == 204
    assert read_all(service, board) == read_all(service, f"{board}-twin")


def test_its_own_standing(service: Server, board: str) -> None:
    """Its own standing says so, with its score, on the board and in windows; without an entry, too."""
    fill(service, board, {"windows": ["daily"]}, "v")
    hide(service, board, "v", "nobody")
    for query in ("", "?window=daily"):
        assert ask(service, "GET", f"/{board}/v{query}").body == b'{"score":9,"rank":null,"hidden":true}'
        assert ask(service, "GET", f"/{board}/nobody{query}").body == b'{"score":0,"rank":null,"hidden":true}'


def test_its_submits(service: Server, board: str) -> None:
    """It may go on submitting, by the board's operator; a representation says that it is hidden."""
    fill(service, board, {"operator": "increment"}, "v")
    hide(service, board, "v", "new")
    path = f"/{board}/v"
    assert ask(service, "POST", path, {"score": 2}).status == 202
    assert ask(service, "POST", path, {"score": 3}, PREFER).body == (
        b'{"score":14,"rank":null,"previous":{"score":11,"rank":null},"changed":true,"hidden":true}'
    )
    assert ask(service, "POST", f"/{board}/new", {"score": 3}, PREFER).body == (
        b'{"score":3,"rank":null,"previous":null,"changed":true,"hidden":true}'
    )
    assert ask(service, "GET", f"/{board}").json == {"leaderboard": []}


def test_replay(service: Server, board: str) -> None:
    """A replay gets the first answer, whatever has become of the name since."""
    headers = PREFER | {"idempotency-key": "lap-1"}
    first = ask(service, "POST", f"/{board}/v", {"score": 2}, headers)
    hide(service, board, "v")
    assert ask(service, "POST", f"/{board}/v", {"score": 2}, headers).body == first.body
    second = ask(service, "POST", f"/{board}/v", {"score": 3}, headers | {"idempotency-key": "lap-2"})
    ask(service, "DELETE", f"/-/boards/{board}/hidden/v")
    assert ask(service, "POST", f"/{board}/v", {"score": 3}, headers | {"idempotency-key": "lap-2"}).body == second.body
    assert second.json["hidden"]


def test_metadata(service: Server, board: str) -> None:
    """Metadata and time of a hidden name may change, and are kept until it is shown."""
    ask(service, "POST", f"/{board}/v", {"score": 2, "metadata": 1, "submittedAt": "2026-11-20T10:00:00Z"})
    hide(service, board, "v")
    assert ask(service, "PATCH", f"/{board}/v", {"metadata": {"car": "porsche"}}).status == 204
    entry = {"name": "v", "score": 2, "metadata": {"car": "porsche"}, "submittedAt": "2026-11-20T10:00:00.000000Z"}
    listed = ask(service, "GET", f"/-/boards/{board}/hidden?include=metadata,submittedAt").json
    assert listed == {"hidden": [entry], "next": None}
    ask(service, "DELETE", f"/-/boards/{board}/hidden/v")
    assert ask(service, "GET", f"/{board}?include=metadata,submittedAt").json == {"leaderboard": [entry]}


def test_list(service: Server, board: str) -> None:
    """The list of hidden names is in the order of their bytes and in pages; scores are those of the board or period."""
    fill(service, board, {"windows": ["daily"]}, "v", "judy")
    ask(service, "DELETE", f"/{board}/judy?window=daily")
    hide(service, board, "judy", "%C3%A9", "a%2Fb", "v", "%F0%9F%98%80")
    found: list[Any] = []
    query = "?limit=2"
    while query:
        page = ask(service, "GET", f"/-/boards/{board}/hidden{query}").json
        found += page["hidden"]
        query = page["next"] and f"?limit=2&after={quote(page['next'], safe='')}"
    names = {"a/b": None, "judy": 5, "v": 9, "é": None, "😀": None}
    assert found == [{"name": name, "score": score} for name, score in names.items()]
    daily = ask(service, "GET", f"/-/boards/{board}/hidden?window=daily").json["hidden"]
    assert {each["name"]: each["score"] for each in daily} == names | {"judy": None}
    everything = ask(service, "GET", f"/-/boards/{board}/hidden?window=daily&period=2020-01-01&include=metadata")
    assert [each["score"] for each in everything.json["hidden"]] == [None] * 5


def test_marks_stay(service: Server, board: str) -> None:
    """The removal of the entry and that of the board leave a name hidden, and a definition comes and goes."""
    hide(service, board, "v")
    for path in (f"/{board}/v", f"/{board}", f"/-/boards/{board}"):
        ask(service, "POST", f"/{board}/v", {"score": 2})
        assert ask(service, "DELETE", path).status == 204
        assert ask(service, "GET", f"/{board}/v").json["hidden"]
        assert ask(service, "GET", f"/{board}").json == {"leaderboard": []}


def test_board_of_hidden_names_alone(service: Server, board: str) -> None:
    """A board on which all names are hidden looks like one that does not exist, but its entries bind its definition."""
    ask(service, "POST", f"/{board}/v", {"score": 2})
    hide(service, board, "v")
    assert ask(service, "GET", f"/-/boards/{board}").status == 404
    listed = ask(service, "GET", "/-/boards?limit=1000").json["boards"]
    assert board not in {each["name"] for each in listed}
    assert ask(service, "PUT", f"/-/boards/{board}", {"order": "ascending"}).status == 409
    assert ask(service, "PUT", f"/-/boards/{board}", {"scores": {"max": 1}}).status == 409
    assert ask(service, "PUT", f"/-/boards/{board}", {"scores": {"max": 2}}).status == 201


@pytest.mark.parametrize("name", ["a%00", "%ff", "n" * 257], ids=["control character", "no UTF-8", "too long"])
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_bad_names(service: Server, board: str, method: str, name: str) -> None:
    """A name that no entry may have is a 400."""
    assert ask(service, method, f"/-/boards/{board}/hidden/{name}").status == 400
