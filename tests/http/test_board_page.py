"""A board as a page for people, over both adapters."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote

import pytest

from tests.asking import ask, send_bytes
from tests.http.pages import BROWSER, browse, show
from tests.http.test_reads import fill

if TYPE_CHECKING:
    from tests.conftest import Server

HOSTILE = {
    "element": "<script>alert(1)</script>",
    "attribute": '" onmouseover="alert(1)" x="',
    "single quote": "' autofocus onfocus='alert(1)",
    "entity": "&lt;b&gt; &amp;#39;",
    "end": "</table></main><h1>gone",
    "comment": "<!--",
    "URL": "javascript:alert(1)?a=b&c=d#e%2F/../",
    "plus": "a+b c%20",
    "right to left": "\u202eabc\u05d0",
    "long": "é" * 128,
    "letters and digits": "\u0661\u0662 İ ß 日本 🏳️‍🌈",
}


def define(service: Server, board: str, **fields: Any) -> None:
    """Define a board."""
    assert ask(service, "PUT", f"/-/boards/{board}", fields).status in {200, 201}


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/*, application/*", "application/json"),
        ("application/json, text/html", "application/json"),
        ("text/html;q=0.8, application/json;q=0.9", "application/json"),
        ("text/html;q=0", None),
        ("image/png", None),
        ("text/html", "text/html; charset=utf-8"),
        ("text/html, */*;q=0.8", "text/html; charset=utf-8"),
        ("TEXT/HTML", "text/html; charset=utf-8"),
        (BROWSER["accept"], "text/html; charset=utf-8"),
    ],
)
def test_page_only_if_it_is_preferred(service: Server, board: str, accept: str | None, kind: str | None) -> None:
    """HTML is sent only to who ranks it above JSON; each answer says that Accept was asked."""
    fill(service, board, {"v": 1})
    reply = ask(service, "GET", f"/{board}", headers={} if accept is None else {"accept": accept})
    assert (reply.status, reply.headers["content-type"]) == (
        (406, "application/problem+json") if kind is None else (200, kind)
    )
    assert reply.headers["vary"] == "accept"


def test_bytes_of_json_stay(server: Server, board: str) -> None:
    """What is not asked for as a page is what it was, by either parser."""
    fill(server, board, {"v": 1})
    plain = f"GET /{board} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    for request in (plain, plain.replace(b"\r\n", b"\r\nX-Odd: 1\r\n", 1)):
        (reply,) = send_bytes(server, request)
        assert (reply.body, reply.headers["vary"]) == (b'{"leaderboard":[{"name":"v","score":1}]}', "accept")
        (page,) = send_bytes(server, request.replace(b"\r\n", b"\r\nAccept: text/html\r\n", 1))
        assert page.body.startswith(b"<!doctype html>")


def test_rows(service: Server, board: str) -> None:
    """A page shows rank, name and score of each entry, how many there are, and is headed by the board's name."""
    fill(service, board, {"silverhand": 2077, "v": 1234.5, "johnny": -3})
    page = browse(service, f"/{board}")
    assert page.rows == [("1", "silverhand", "2,077"), ("2", "v", "1,234.5"), ("3", "johnny", "-3")]
    assert (page.text("h1"), page.text("span[@id='total']"), page.text("caption")) == (
        board,
        "3 players",
        "Ranks 1 to 3",
    )
    assert [each.get("value") for each in page.all("tbody//data")] == ["2077", "1234.5", "-3"]


@pytest.mark.parametrize(("ranking", "ranks"), [("competition", "1 1 3"), ("dense", "1 1 2"), ("ordinal", "1 2 3")])
def test_ranks_of_ties(service: Server, board: str, ranking: str, ranks: str) -> None:
    """Ranks are the board's, also on a page that begins at a place below them; that goes back by places."""
    define(service, board, ranking=ranking)
    fill(service, board, {"a": 5, "b": 5, "c": 3})
    assert " ".join(rank for rank, _, _ in browse(service, f"/{board}").rows) == ranks
    page = browse(service, f"/{board}?startRank=1&endRank=2")
    assert [rank for rank, _, _ in page.rows] == ranks.split()[1:2]
    following = browse(service, f"/{board}{page.links('nav')['Next']}")
    assert following.links("nav")["Previous"] == "?startRank=1&endRank=2"


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_names_break_nothing(service: Server, board: str, name: str) -> None:
    """Whatever a name is, it is shown as it is, apart from what is around it, and its link finds it."""
    fill(service, board, {name: 1, "v": 0})
    page = browse(service, f"/{board}")
    assert page.names == [name, "v"]
    assert page.rows[0] == ("1", name, "1")
    assert [show(each) for each in page.all("th/a/bdi")] == [name, "v"]
    found = browse(service, f"/{board}{page.links('tbody')[name]}")
    assert (found.text("p[@class='who']"), found.one("input[@id='player']").get("value")) == (name, name)
    assert [row.get("data-name") for row in found.all("tr[@class='mine']")] == [name]
    assert {each.tag for each in found.root.iter()} == {
        each.tag for each in browse(service, f"/{board}?player=v").root.iter()
    }


@pytest.mark.parametrize("board_name", HOSTILE.values(), ids=HOSTILE)
def test_names_of_boards_break_nothing(service: Server, board_name: str) -> None:
    """So it is with the name of a board."""
    page = browse(service, f"/{quote(board_name, safe='')}?player=nobody")
    assert (page.text("h1"), page.one("main").get("data-board")) == (board_name, board_name)
    assert page.text("title") == f"{board_name} · Laurels"


@pytest.mark.parametrize(
    ("name", "shown"),
    [(" ", "␣"), ("\u3164\u200b", "\\u3164\\u200b"), ("\u2800", "\\u2800"), ("\u202e", "\\u202e")],
    ids=["space", "zero width", "blank", "mark"],
)
def test_names_that_nobody_sees(service: Server, board: str, name: str, shown: str) -> None:
    """A name of nothing that can be seen is written out."""
    fill(service, board, {name: 1})
    assert browse(service, f"/{board}").rows == [("1", shown, "1")]


def test_player_among_neighbours(service: Server, board: str) -> None:
    """A player is found by name: the page shows who stands next to it, and marks it."""
    fill(service, board, {f"p{place:02}": -place for place in range(60)})
    page = browse(service, f"/{board}?player=p30")
    assert page.names == [f"p{place:02}" for place in range(21, 40)]
    assert page.text("section[@id='card']/dl") == "Rank31Score-30"
    assert page.one("main").get("data-live") == "around=p30&span=9"
    assert page.links("nav") == {"From the top": "?"}


def test_player_beside_a_read(service: Server, board: str) -> None:
    """Another read shows what it asks for, and the player's standing above it."""
    fill(service, board, {f"p{place:02}": -place for place in range(60)})
    page = browse(service, f"/{board}?player=p30&startRank=0&endRank=2")
    assert (page.names, page.text("section[@id='card']/dl")) == (["p00", "p01"], "Rank31Score-30")
    following = browse(service, f"/{board}{page.links('nav')['Next']}")
    assert (following.names, following.text("p[@class='who']")) == (["p02", "p03"], "p30")


@pytest.mark.parametrize("hidden", [False, True], ids=["nobody", "hidden"])
def test_player_who_is_not_there(service: Server, board: str, *, hidden: bool) -> None:
    """For a name that is not on the board the first page is shown, and says so; a hidden one looks the same."""
    fill(service, board, {"v": 1, "x": 77777} if hidden else {"v": 1})
    if hidden:
        assert ask(service, "PUT", f"/-/boards/{board}/hidden/x").status < 300
    page = browse(service, f"/{board}?player=x")
    assert (page.text("p[@role='status']"), page.names) == ("x is not on this board.", ["v"])
    assert "77,777" not in show(page.one("main"))


def test_held_score(service: Server, board: str) -> None:
    """A score that is held is on no page."""
    define(service, board, guard={"hold_above": 10})
    fill(service, board, {"v": 1, "x": 99})
    assert browse(service, f"/{board}?player=x").names == ["v"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("around=c&span=1", "b c d"),
        ("around=a&limit=2", "a b"),
        ("name=e&name=b", "b e"),
        ("minScore=-3&maxScore=-1&limit=2", "b c"),
        ("startRank=4", "e"),
        ("include=rank,metadata,submittedAt,cursor,total,place", "a b c d e"),
    ],
)
def test_reads(service: Server, board: str, query: str, names: str) -> None:
    """A page takes the queries of all reads, and looks the same at the side of a stage."""
    fill(service, board, {name: -score for score, name in enumerate("abcde")})
    for look in ("", "&view=stage", "&view=embed"):
        assert browse(service, f"/{board}?{query}{look}").names == names.split()


def test_missing_names(service: Server, board: str) -> None:
    """Names that were asked for and are not there are named."""
    fill(service, board, {"v": 1})
    page = browse(service, f"/{board}?name=x&name=v&name=%3Ci%3E")
    assert page.text("p[@class='missing']") == "Not on this board: x, <i>."


def test_to_any_depth(service: Server, board: str) -> None:
    """Links lead from page to page, to the last and back to the first, whatever is submitted meanwhile."""
    fill(service, board, {f"p{place:02}": -place for place in range(50)})
    page = browse(service, f"/{board}")
    names = page.names
    for number in range(2):
        ask(service, "POST", f"/{board}/new{number}", {"score": 9})
        page = browse(service, f"/{board}{page.links('nav')['Next']}")
        names += page.names
    assert names == [f"p{place:02}" for place in range(50)]
    assert page.text("caption") == "Ranks 43 to 52"
    assert list(page.links("nav")) == ["Previous", "From the top"]
    back = browse(service, f"/{board}{page.links('nav')['Previous']}")
    assert back.names[-1] == "p39"
    assert browse(service, f"/{board}?startRank=1000&endRank=1010").links("nav") == {
        "Previous": "?startRank=42&endRank=52",
        "From the top": "?",
    }


def test_nobody(service: Server, board: str) -> None:
    """A board that is not there yet looks like one that is empty."""
    page = browse(service, f"/{board}")
    assert (page.reply.status, page.text("p[@class='empty']"), page.rows) == (200, "Nobody is on this board yet.", [])
    assert page.text("span[@id='total']") == "0 players"
    assert page.all("svg") == []
    assert page.one("main").get("data-live") == "startRank=0&endRank=20"


def test_windows_and_past_periods(service: Server, board: str) -> None:
    """Windows and past periods are links that keep the player and the view; that of what is shown is marked."""
    define(service, board, windows=["daily", "0 6 * * 1"], title="Kart & Co")
    fill(service, board, {"v": 7})
    page = browse(service, f"/{board}?window=daily&player=v")
    tabs = page.links("nav[@class='tabs']")
    assert [*tabs][:2] == ["All time", "Today"]
    assert re.fullmatch(r"Since \d+ \w{3} \d{4}, 06:00 UTC", [*tabs][2])
    assert tabs["All time"] == "?player=v"
    assert page.text("nav[@class='tabs']//a[@aria-current]") == "Today"
    assert page.text("span[@id='period']") == "Today"
    past = page.links("nav[@class='tabs past']")
    assert len(past) == 5
    yesterday = browse(service, f"/{board}{next(iter(past.values()))}&view=embed")
    assert (yesterday.text("p[@class='empty']"), yesterday.one("main").get("data-live")) == (
        "Nobody is on this board yet.",
        None,
    )
    assert yesterday.text("nav[@class='tabs past']//a[@aria-current]") == next(iter(past))
    assert "view=embed" in yesterday.links("nav[@class='tabs']")["Today"]
    assert browse(service, f"/{board}{tabs[[*tabs][2]]}").rows == [("1", "v", "7")]
    assert page.text("h1") == "Kart & Co"


def test_far_back(service: Server, board: str) -> None:
    """From a period long ago links lead in both directions; one that is not kept is empty."""
    define(service, board, windows=["daily", "monthly", "weekly"])
    past = browse(service, f"/{board}?window=daily&period=2024-03-01").links("nav[@class='tabs past']")
    assert [*past] == ["3 Mar 2024", "2 Mar 2024", "1 Mar 2024", "29 Feb 2024", "28 Feb 2024"]
    first = browse(service, f"/{board}?window=monthly&period=1970-01").links("nav[@class='tabs past']")
    assert [*first] == ["March 1970", "February 1970", "January 1970"]
    weeks = browse(service, f"/{board}?window=weekly&period=2020-W53").links("nav[@class='tabs past']")
    assert [*weeks][1:3] == ["Week 1, 2021", "Week 53, 2020"]
    define(service, board, windows=["daily"], keep={"daily": 2})
    kept = browse(service, f"/{board}?window=daily&period=2024-03-01")
    assert (len(kept.links("nav[@class='tabs past']")), kept.text("span[@id='period']")) == (0, "1 Mar 2024")


@pytest.mark.parametrize("period", ["1000-01-01", "1969-12-31", "9999-12-31"])
def test_periods_beyond_all(service: Server, board: str, period: str) -> None:
    """No period is so far away that the page of it fails."""
    define(service, board, windows=["daily"])
    assert browse(service, f"/{board}?window=daily&period={period}").reply.status == 200


def test_next_page_of_a_window(service: Server, board: str) -> None:
    """A cursor goes on in its window, and refuses another."""
    define(service, board, windows=["daily", "weekly"])
    fill(service, board, {f"p{place:02}": -place for place in range(30)})
    following = browse(service, f"/{board}?window=daily").links("nav[@class='pages']")["Next"]
    page = browse(service, f"/{board}{following}")
    assert page.names == [f"p{place}" for place in range(20, 30)]
    assert page.text("nav[@class='tabs']//a[@aria-current]") == "Today"
    assert page.one("main").get("data-live") == "startRank=20&endRank=40&window=daily"
    alone = browse(service, f"/{board}?cursor={parse_qs(following[1:])['cursor'][0]}")
    assert alone.text("span[@id='period']") == "Today"
    wrong = browse(service, f"/{board}{following.replace('daily', 'weekly')}")
    assert (wrong.reply.status, "it goes on there only" in show(wrong.root)) == (400, True)


def test_stage(service: Server, board: str) -> None:
    """On a stage there are the heading and the table, of 50 entries; in a frame, no link to the stage."""
    fill(service, board, {f"p{place:02}": -place for place in range(60)})
    page = browse(service, f"/{board}?view=stage")
    assert (page.one("body").get("class"), page.all("form"), page.all("nav"), page.all("svg")) == ("stage", [], [], [])
    assert len(page.rows) == 50
    assert "For a large screen" not in browse(service, f"/{board}?view=embed").links("footer")
    assert browse(service, f"/{board}").links("footer")["For a large screen"] == "?view=stage"


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("startRank=x", 400, "startRank"),
        ("view=wall", 400, "it must be stage or embed"),
        ("view=stage&view=embed", 400, "stands twice"),
        ("player=%00", 400, "a control character"),
        ("player=" + "x" * 257, 400, "256 bytes"),
        ("player=a&player=b", 400, "stands twice"),
        ("around=nobody", 404, "is not on this board"),
        ("around=%3Cb%3E", 404, "'<b>' is not on this board"),
        ("window=daily", 400, "window"),
        ("cursor=x", 400, "cursor"),
        ("endRank=5000", 400, "1,000"),
        ("palyer=v", 400, 'perhaps you mean "player"'),
        ("a%00b=1", 400, "parameter"),
    ],
)
def test_problems(service: Server, board: str, query: str, status: int, words: str) -> None:
    """A browser gets its errors as pages, too, with the status and the words of the problem document."""
    page = browse(service, f"/{board}?{query}")
    assert page.reply.status == status
    assert words in page.text("main//bdi")
    problem = ask(service, "GET", f"/{board}?{query}", headers={"accept": "application/problem+json, application/json"})
    if not re.search("view|play|paly|b=", query):  # what JSON does not take, or calls by other names
        assert problem.json["detail"] == page.text("main//bdi")
    assert (page.reply.headers["vary"], problem.headers["vary"]) == ("accept", "accept")


@pytest.mark.parametrize("parameter", ["view=stage", "player=v"])
def test_what_is_for_people_alone(service: Server, board: str, parameter: str) -> None:
    """A client of JSON is told what these are for."""
    reply = ask(service, "GET", f"/{board}?{parameter}")
    assert (reply.status, "the page for people (Accept: text/html)" in reply.json["detail"]) == (400, True)


def test_paths_that_people_try(service: Server) -> None:
    """A path that is guessed is no board for a browser either."""
    page = browse(service, "/docs")
    assert (page.reply.status, "Perhaps you mean /-/docs" in page.text("main//bdi")) == (404, True)


def test_policy(service: Server, board: str) -> None:
    """A page loads nothing but the service's own files, runs nothing that stands in it, and is in no frame."""
    define(service, board, display={"avatar": "face", "avatar_hosts": ["a.example.com", "*.example.org"]})
    fill(service, board, {"v": 1})
    for target in (f"/{board}", f"/{board}?startRank=x", "/docs"):
        policy = browse(service, target).reply.headers["content-security-policy"]
        rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
        assert "unsafe" not in policy
        assert (rules["default-src"], rules["script-src"], rules["style-src"]) == ("'none'", "'self'", "'self'")
        assert (rules["base-uri"], rules["form-action"], rules["frame-ancestors"]) == ("'none'", "'self'", "'none'")
    page = browse(service, f"/{board}?view=embed")
    rules = dict(rule.split(" ", 1) for rule in page.reply.headers["content-security-policy"].split("; "))
    assert rules["img-src"] == "'self' data: https://a.example.com https://*.example.org"
    assert rules["frame-ancestors"] == "'self'"
    assert not [
        each for each in page.root.iter() if "style" in each.attrib or any(key.startswith("on") for key in each.attrib)
    ]
    assert page.all("style") == []
    assert [show(each) for each in page.all("script")] == [""]


def test_head(service: Server, board: str) -> None:
    """HEAD gets the head of the same page."""
    fill(service, board, {"v": 1})
    get, head = (ask(service, method, f"/{board}", headers=BROWSER) for method in ("GET", "HEAD"))
    assert (head.status, head.body) == (200, b"")
    assert {**head.headers, "date": ""} == {**get.headers, "date": ""}


def test_histogram(service: Server, board: str) -> None:
    """The chart has a bar for each bucket, says what it shows in words, and marks that of the player."""
    fill(service, board, {f"p{score}": score for score in range(101)})
    page = browse(service, f"/{board}?player=p25")
    assert [show(bar) for bar in page.all("svg/rect")][:2] == ["0 to 10: 10", "10 to 20: 10"]
    assert [show(bar) for bar in page.all("svg/rect[@class='mine']")] == ["20 to 30: 10"]
    assert page.one("svg").get("aria-label") == "Scores from 0 to 100; the median is 50."
    assert page.one("svg/path").get("d", "").startswith("M160.0 ")
    assert browse(service, f"/{board}").all("svg/path") == []


@pytest.mark.parametrize("scores", [(1,), (5e-324, 0), (-1.7e308, 1.7e308), (1e300, 1)], ids=str)
def test_histogram_of_extremes(service: Server, board: str, scores: tuple[float, ...]) -> None:
    """Scores of any size, and one alone, have a page, as durations too."""
    names = {f"p{number}": score for number, score in enumerate(scores)}
    for display in (None, {"format": "duration", "unit": "h", "decimals": 6}):
        define(service, board, display=display)
        fill(service, board, names)
        assert len(browse(service, f"/{board}?player=p0").rows) == len(scores)


def test_display(service: Server, board: str) -> None:
    """Scores are shown as the definition says, and fields of the metadata in columns of their own."""
    display = {"format": "duration", "unit": "ms", "country": "land", "fields": ["team", "laps"]}
    define(service, board, order="ascending", display=display)
    told = {"land": "nz", "team": "<Red>", "laps": 1234}
    ask(service, "POST", f"/{board}/v", {"score": 83456, "metadata": told})
    page = browse(service, f"/{board}")
    assert page.rows == [("1", "v", "1:23.456")]
    assert [show(each) for each in page.all("thead//th")] == ["Rank", "Player", "team", "laps", "Score", "Submitted"]
    assert [show(each) for each in page.all("tbody/tr/td")][1:3] == ["<Red>", "1,234"]
    assert page.one("span[@class='flag']").attrib == {
        "class": "flag", "role": "img", "aria-label": "NZ", "title": "NZ", "lang": "zxx"
    }  # fmt: skip
    assert show(page.one("span[@class='flag']")) == "🇳🇿"
    data = page.one("main").attrib
    assert (data["data-format"], data["data-unit"], json.loads(data["data-fields"])) == (
        "duration",
        "ms",
        ["team", "laps"],
    )
    assert data["data-live"] == "startRank=0&endRank=20&include=metadata"


def test_display_that_changes(service: Server, board: str) -> None:
    """An entry that was shown is shown anew if its definition, its metadata or its score's unit is another."""
    told = {"land": "NZ", "home": "IS", "team": "Red"}
    ask(service, "POST", f"/{board}/v", {"score": 5, "metadata": told})
    seen = []
    for display in ({"country": "land"}, {"country": "home"}, {"fields": ["team"]}, {"unit": "<m>"}):
        define(service, board, display=display)
        page = browse(service, f"/{board}")
        seen.append([show(each) for each in (*page.all("span[@class='flag']"), *page.all("tbody/tr/td"))][:-1])
    assert seen == [["🇳🇿", "1", "5"], ["🇮🇸", "1", "5"], ["1", "Red", "5"], ["1", "5\u00a0<m>"]]
    define(service, board, display={"fields": ["team"]})
    ask(service, "POST", f"/{board}/v", {"score": 5, "metadata": {"team": "Blue"}})
    assert show(browse(service, f"/{board}").all("tbody/tr/td")[1]) == "Blue"


METADATA = {
    "nothing": None,
    "number": 3,
    "text": "x",
    "list": [1, {"team": "x"}],
    "other fields": {"tea": "x"},
    "null": {"team": None, "land": None, "face": None},
    "nested": {"team": {"x": [1]}, "land": ["DE"], "face": {"url": "https://a.example.com/x.png"}},
    "numbers": {"team": 10**300, "land": 49, "face": 1e300},
    "booleans": {"team": True, "land": False, "face": True},
    "hostile": {"team": "<b>'\"&", "land": "<>", "face": 'https://a.example.com/"><script>'},
    "long": {"team": "x" * 900, "land": "Germany"},
    "empty": {"team": "", "land": "", "face": ""},
    "controls": {"team": "a\u0000b\u001b[31m\u202e", "land": "D\n", "face": "https://a.example.com/\n"},
}


@pytest.mark.parametrize("metadata", METADATA.values(), ids=METADATA)
def test_metadata_of_any_shape(service: Server, board: str, metadata: Any) -> None:
    """Whatever comes as metadata, the page has its row: what cannot be shown is left out."""
    display = {"country": "land", "avatar": "face", "avatar_hosts": ["a.example.com"], "fields": ["team"]}
    define(service, board, display=display)
    assert ask(service, "POST", f"/{board}/v", {"score": 1, "metadata": metadata}).status == 202
    page = browse(service, f"/{board}")
    assert page.rows == [("1", "v", "1")]
    assert (page.all("img"), page.all("span[@class='flag']")) == ([], [])
    assert {each.tag for each in page.all("tbody//*")} == {"tr", "td", "th", "span", "a", "bdi", "data", "time"} - (
        set() if page.all("tbody//bdi") else {"bdi"}
    )


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://a.example.com/1.png?x=1&y=2", True),
        ("https://A.EXAMPLE.com:443/1.png", True),
        ("https://b.c.example.org", True),
        ("https://example.org/1.png", False),
        ("https://xexample.org/1.png", False),
        ("http://a.example.com/1.png", False),
        ("//a.example.com/1.png", False),
        ("https://a.example.com:8443/1.png", False),
        ("https://a.example.com.evil.com/1.png", False),
        ("https://a.example.com@evil.com/1.png", False),
        ("https://evil.com\\.example.org/1.png", False),
        ("https://evil.com#.example.org", False),
        ("https:\\\\a.example.com/1.png", False),
        ("https://a.example.com\\@evil.com", False),
        ("https://a.example.com/\t1.png", False),
        ("javascript:alert(1)//https://a.example.com/", False),
        ("data:image/svg+xml,<svg/>", False),
        ("", False),
    ],
)
def test_avatars_of_allowed_hosts(service: Server, board: str, address: str, *, shown: bool) -> None:
    """A picture is shown only if a browser would fetch it, encrypted, from a host that the definition names."""
    define(service, board, display={"avatar": "face", "avatar_hosts": ["a.example.com", "*.example.org"]})
    ask(service, "POST", f"/{board}/v", {"score": 1, "metadata": {"face": address}})
    page = browse(service, f"/{board}")
    assert [each.get("src") for each in page.all("img")] == [address] * shown
    assert len(page.all("span[@class='avatar']")) == (not shown)


# What pages load


@pytest.mark.parametrize("name", ["board.css", "board.js"])
def test_files(service: Server, board: str, name: str) -> None:
    """What a page names may be kept for ever; without its digest it is asked for again each time."""
    page = browse(service, f"/{board}")
    addresses = [each.get("href") or each.get("src") or "" for each in (*page.all("link"), *page.all("script"))]
    (address,) = (address for address in addresses if name in address)
    file = ask(service, "GET", f"/{address}")
    assert (file.status, file.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
    plain = ask(service, "GET", f"/-/{name}")
    assert (plain.body, plain.headers["cache-control"]) == (file.body, "no-cache")
    again = ask(service, "GET", f"/-/{name}", headers={"if-none-match": plain.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert ask(service, "GET", f"/-/{name}?v=other").headers["cache-control"] == "no-cache"
    assert file.headers["content-type"] in {"text/css; charset=utf-8", "text/javascript; charset=utf-8"}


def test_modules_name_the_very_files(service: Server) -> None:
    """A module loads another by its digest, so that old and new ones never meet."""
    (address,) = re.findall(rb'"\./(live\.js\?v=[0-9a-f]{16})"', ask(service, "GET", "/-/board.js").body)
    assert "immutable" in ask(service, "GET", f"/-/{address.decode()}").headers["cache-control"]
    assert b"import " not in ask(service, "GET", "/-/widget.js").body
