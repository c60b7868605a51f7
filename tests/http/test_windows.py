"""Windows of boards and their periods as a client sees them, over both adapters. test_model moves the clock."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.asking import ask

if TYPE_CHECKING:
    from tests.conftest import Server

YEARLY = "0 0 1 1 *"
WINDOWS = ["daily", "monthly", "weekly", YEARLY]
READS = ["", "include=rank", "around=v", "name=v&name=w&name=nobody", "minScore=2", "include=cursor&endRank=1"]


@pytest.fixture
def kart(service: Server, board: str) -> str:
    """Return a board with windows and two entries, of which ``w`` is not in the yearly window."""
    definition = {"windows": WINDOWS, "keep": {"daily": 3}, "time_zone": "Asia/Kolkata"}
    assert ask(service, "PUT", f"/-/boards/{board}", definition).status == 201
    for name, score in (("v", 2), ("w", 3)):
        ask(service, "POST", f"/{board}/{name}", {"score": score})
    ask(service, "DELETE", f"/{board}/w?window={YEARLY.replace(' ', '%20')}")
    return board


def periods(service: Server, board: str) -> dict[str, Any]:
    """Return the periods of a board by window; each window has one."""
    found = ask(service, "GET", f"/-/boards/{board}/periods").json["periods"]
    return {period["window"]: period for period in found}


def test_periods_are_listed(service: Server, kart: str) -> None:
    """Every window has one period, listed by window, and all are current."""
    found = periods(service, kart)
    assert [(window, period["count"], period["current"]) for window, period in found.items()] == [
        (YEARLY, 1, True),
        ("daily", 2, True),
        ("monthly", 2, True),
        ("weekly", 2, True),
    ]
    assert set(found["daily"]) == {"window", "period", "start", "stop", "count", "current"}
    assert found["daily"]["start"] == f"{found['daily']['period']}T00:00:00+05:30"


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_of_periods(service: Server, kart: str, limit: int) -> None:
    """Periods come in pages, each with what to go on after, but for the last."""
    path, pages = f"/-/boards/{kart}/periods?limit={limit}", list[Any]()
    while not pages or "next" in pages[-1]:
        after = f"&after={quote(pages[-1]['next'])}" if pages else ""
        pages.append(ask(service, "GET", f"{path}{after}").json)
    assert [len(page["periods"]) for page in pages] == [limit] * (4 // limit) + [4 % limit] * (4 % limit > 0)
    assert {one["window"]: one for page in pages for one in page["periods"]} == periods(service, kart)


@pytest.mark.parametrize(("after", "count"), [("", 4), ("nothing", 4), ("daily 1970-01-01", 3), ("weekly 9", 0)])
def test_periods_after_what_is_not_there(service: Server, kart: str, after: str, count: int) -> None:
    """What is listed after need not be there."""
    assert len(ask(service, "GET", f"/-/boards/{kart}/periods?after={quote(after)}").json["periods"]) == count


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("named", [False, True], ids=["current", "named"])
def test_reads_of_a_window(service: Server, kart: str, read: str, *, named: bool) -> None:
    """Every read takes a window; its period defaults to the current one."""
    period = f"&period={periods(service, kart)['daily']['period']}" if named else ""
    all_time, daily = (ask(service, "GET", f"/{kart}?{read}{more}") for more in ("", f"&window=daily{period}"))
    assert daily.json | {"next": 0} == all_time.json | {"next": 0}
    assert [entry["name"] for entry in daily.json["leaderboard"]][-1:] == ["w" if "cursor" in read else "v"]


def test_window_of_a_cron_expression(service: Server, kart: str) -> None:
    """A window may be a cron expression; its periods are named by the instant at which they begin."""
    period = periods(service, kart)[YEARLY]["period"]
    assert period.endswith("-12-31T18:30Z")
    for query in ("window=0+0+1+1+*", f"window=0%200%201%201%20*&period={period}"):
        assert ask(service, "GET", f"/{kart}?{query}").json == {"leaderboard": [{"name": "v", "score": 2}]}


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/{board}/v?window=monthly", {"score": 2, "rank": 1}),
        ("/{board}/w?window=0+0+1+1+*", {"score": 0, "rank": None}),
        ("/-/boards/{board}/rank?score=2.5&window=weekly", {"rank": 1, "percentile": 50}),
        ("/-/boards/{board}/rank?window=0+0+1+1+*&score=2.5", {"rank": 0, "percentile": 100}),
    ],
)
def test_standing_and_rank_in_a_window(service: Server, kart: str, path: str, answer: dict[str, Any]) -> None:
    """A standing and the rank of a score refer to the window that is named."""
    assert ask(service, "GET", path.format(board=kart)).json == answer


def test_summary_of_a_window(service: Server, kart: str) -> None:
    """A window has a summary of its own."""
    counts = [
        ask(service, "GET", f"/-/boards/{kart}/summary{more}").json["count"] for more in ("", "?window=0+0+1+1+*")
    ]
    assert counts == [2, 1]


@pytest.mark.parametrize("period", ["1999-12-31", "2999-01-01"], ids=["not kept", "future"])
def test_period_without_entries(service: Server, kart: str, period: str) -> None:
    """A period that is no longer kept, or is in the future, reads as a board that does not exist."""
    query = f"window=daily&period={period}"
    assert ask(service, "GET", f"/{kart}?{query}").json == {"leaderboard": []}
    assert ask(service, "GET", f"/{kart}/v?{query}").json == {"score": 0, "rank": None}
    assert ask(service, "GET", f"/-/boards/{kart}/summary?{query}").json["count"] == 0
    assert ask(service, "DELETE", f"/{kart}?{query}").status == 204


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("window=hourly", "window"),
        ("window=Daily", "window"),
        ("window=0+0+2+1+*", "window"),
        ("window=%FF", "window"),
        ("period=2026-11-22", "period"),
        ("window=daily&period=", "period"),
        ("window=daily&period=2026-W47", "period"),
        ("window=daily&period=2026-02-30", "period"),
        ("window=daily&period=2026-11-22%0A", "period"),
        ("window=weekly&period=2026-W54", "period"),
        ("window=monthly&period=2026-13", "period"),
        ("window=0+0+1+1+*&period=2026", "period"),
        ("window=daily&period=2026-11-22&period=2026-11-23", "period"),
    ],
)
@pytest.mark.parametrize("path", ["/{board}", "/{board}/v", "/-/boards/{board}/summary"])
def test_bad_window(service: Server, kart: str, path: str, query: str, parameter: str) -> None:
    """A window that the board does not have, or an invalid period of it, is a 400 that names the parameter."""
    methods = ["GET"] if path.startswith("/-/") else ["GET", "DELETE"]
    replies = [ask(service, method, f"{path.format(board=kart)}?{query}") for method in methods]
    assert {(reply.status, reply.json["parameter"]) for reply in replies} == {(400, parameter)}


def test_cursor_stays_in_its_period(service: Server, kart: str) -> None:
    """A cursor knows its window and period; the query may repeat them, but not name others."""
    read = f"/{kart}?window=monthly&endRank=1&include=cursor"
    cursor = ask(service, "GET", read).json["next"]
    period = periods(service, kart)["monthly"]["period"]
    for more in ("", "&window=monthly", f"&window=monthly&period={period}"):
        reply = ask(service, "GET", f"/{kart}?cursor={cursor}{more}")
        assert reply.json == {"leaderboard": [{"name": "v", "score": 2}]}
    others = {"window": "window=daily", "period": "window=monthly&period=2000-01"}
    replies = [ask(service, "GET", f"/{kart}?cursor={cursor}&{more}") for more in others.values()]
    assert [(reply.status, reply.json["parameter"]) for reply in replies] == [(400, "window"), (400, "period")]


def test_cursor_and_its_window_with_more_spaces(service: Server, kart: str) -> None:
    """A cron expression next to a cursor may have more spaces, as in every read."""
    ask(service, "POST", f"/{kart}/x", {"score": 1})
    window = "window=0++0+1+1+*"
    cursor = ask(service, "GET", f"/{kart}?{window}&endRank=1&include=cursor").json["next"]
    reply = ask(service, "GET", f"/{kart}?cursor={cursor}&{window}")
    assert reply.json == {"leaderboard": [{"name": "x", "score": 1}]}


def test_cursor_of_all_time(service: Server, kart: str) -> None:
    """A cursor of the all-time board is refused in a window."""
    cursor = ask(service, "GET", f"/{kart}?endRank=1&include=cursor").json["next"]
    reply = ask(service, "GET", f"/{kart}?cursor={cursor}&window=daily")
    assert reply.status == 400
    assert "all time" in reply.json["detail"]


def test_removal_from_one_period(service: Server, kart: str) -> None:
    """DELETE with a window removes a name, or all, from one period only."""
    assert ask(service, "DELETE", f"/{kart}/w?window=daily").status == 204
    assert ask(service, "DELETE", f"/{kart}?window=weekly").status == 204
    assert {window: period["count"] for window, period in periods(service, kart).items()} == {
        YEARLY: 1,
        "daily": 1,
        "monthly": 2,
    }
    assert ask(service, "GET", f"/{kart}/w").json == {"score": 3, "rank": 0}


@pytest.mark.parametrize("path", ["/{board}/w", "/{board}"])
def test_removal_from_all_periods(service: Server, kart: str, path: str) -> None:
    """DELETE without a window removes from all periods."""
    ask(service, "DELETE", path.format(board=kart))
    counts = {window: period["count"] for window, period in periods(service, kart).items()}
    assert counts == ({} if path == "/{board}" else dict.fromkeys([YEARLY, "daily", "monthly", "weekly"], 1))


def test_window_removed_from_the_definition(service: Server, kart: str) -> None:
    """A window can be removed from the definition only when it has no periods left."""
    definition = ask(service, "GET", f"/-/boards/{kart}").json
    fewer = definition | {"windows": ["daily", "monthly", YEARLY]}
    refused = ask(service, "PUT", f"/-/boards/{kart}", fewer)
    assert refused.status == 409
    assert "weekly" in refused.json["detail"]
    ask(service, "DELETE", f"/{kart}?window=weekly")
    assert ask(service, "PUT", f"/-/boards/{kart}", fewer).status == 200


def test_batch_feeds_all_windows(service: Server, kart: str) -> None:
    """A batch goes to every window."""
    entries = [{"name": f"p{number}", "score": number, "metadata": {"n": number}} for number in range(100)]
    assert ask(service, "POST", f"/{kart}", {"entries": entries}).json["accepted"] == 100
    assert {period["count"] for period in periods(service, kart).values()} == {101, 102}
    (entry,) = ask(service, "GET", f"/{kart}?window=weekly&name=p7&include=metadata").json["leaderboard"]
    assert json.dumps(entry["metadata"]) == '{"n": 7}'


def test_periods_of_no_board(service: Server, board: str) -> None:
    """A board that does not exist has no periods."""
    assert ask(service, "GET", f"/-/boards/{board}/periods").json == {"periods": []}
