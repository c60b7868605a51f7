"""Every command against a service that lies: one line and an exit status, and nothing that a terminal obeys."""

from __future__ import annotations

import gzip
import json
import unicodedata
from itertools import count, cycle, islice, repeat
from typing import TYPE_CHECKING, Any

import pytest

from laurels.backup.parts import BASE, END, LAYOUT, Base, End, encode_json
from laurels.backup.tar import END_OF_ARCHIVE, tar_member
from laurels.cli import client
from laurels.client import connection, live
from tests.cli.conftest import run
from tests.cli.hostile import CALLING, answer, lying, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from click.testing import Result

POISON = (
    "\x1b[31mred\x1b]8;;http://x\x07\x1b]52;c;eA==\x1b\\ \x9b2J\x85 \x7f\r\n\t\u2028\u2029 \u202e\u2066\u200f\u061c"
    " \u200b\u200d\ufeff\u00ad\u3164\u2800\U000e0041 a" + "\u0301" * 50 + " [red] :smile: \ufe0f"
)
EVIL = {*POISON} - {*"a\u0301"} - {char for char in POISON if char.isascii() and char.isprintable()} - {"\n"}
HTML = b"<html><body>Welcome</body></html>"
TIME = "2026-11-22T05:00:00Z"
PERIOD = {"window": POISON, "period": POISON, "start": TIME, "stop": TIME, "count": 1, "current": True}
ENTRY = {"rank": 0, "name": POISON, "score": 1}
BOARD = {"name": POISON, "declared": True, "definition": {}, "count": 1}
TRUE = {
    "leaderboard": [ENTRY],
    "missing": [POISON],
    "score": 1,
    "rank": 0,
    "previous": None,
    "changed": True,
    "percentile": 50.0,
    "boards": [BOARD],
    "next": None,
    "hidden": False,
    "count": 1,
    "best": 1,
    "worst": 1,
    "percentiles": {"50": 1},
    "token": POISON,
    "expiresAt": "2026-11-22T05:00:00Z",
    "histogram": [{"from": 1, "to": 1, "count": 1}],
}
"""An answer in which every read finds what it looks for."""
NOTHING = Base(LAYOUT, POISON, 6, b"", b"", 0, 0, 0, 0, "")


def backup() -> Iterator[bytes]:
    """Yield the backup of an empty store."""
    for name, what in ((BASE, NOTHING), (END, End(0, 0, 0))):
        encoded = encode_json(what)
        yield from tar_member(name, len(encoded), [encoded], 0)
    yield END_OF_ARCHIVE


def say(request: str, body: bytes, **changes: Any) -> bytes:
    """Return what a true service would answer, but with poison for each text."""
    method, path = request.partition("?")[0].split()
    if method == "DELETE" or path.endswith(("/hidden/v", "/release", "/reject")):
        return b""
    if path.endswith("/held"):
        held = {"name": POISON, "score": 1, "submittedAt": "2026-11-22T05:00:00Z", "metadata": None}
        return json.dumps({"held": [held], "next": None}).encode()
    if path.endswith("/hidden"):
        return json.dumps({"hidden": [ENTRY], "next": None}).encode()
    if path.endswith("/periods"):
        return json.dumps({"periods": [PERIOD]}).encode()
    if path == "/-/boards/b":
        return b"{}"
    found = TRUE | {"accepted": body.count(b'"name"'), "refused": []} | changes
    return json.dumps(found).encode()


def shows_only_text(text: str) -> bool:
    """Return whether there is nothing in a text that a terminal obeys or nobody sees."""
    return "\u0301" * 9 not in text and not any(
        char in EVIL or (unicodedata.category(char)[0] == "C" and char != "\n") for char in text
    )


def ends_well(found: Result, *statuses: int) -> bool:
    """Return whether a command ended by itself, with one of these exit statuses and, if it failed, one line why."""
    is_end = found.exception is None or isinstance(found.exception, SystemExit)
    is_told = found.exit_code == 0 or 1 <= found.stderr.count("\n") <= 2
    return is_end and is_told and found.exit_code in statuses and shows_only_text(found.stderr)


def strings(found: object) -> Iterator[str]:
    """Yield every string of a document."""
    if isinstance(found, str):
        yield found
    elif isinstance(found, list | dict):
        for part in found.values() if isinstance(found, dict) else found:
            yield from strings(part)


@pytest.fixture(params=CALLING, ids=" ".join)
def words(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """Return the command line of each command that calls a service."""
    return words_of(request.param, tmp_path)


def test_texts_are_shown(words: list[str]) -> None:
    """Whatever a service says of names, windows and boards is shown, not obeyed."""
    with lying(change()) as service:
        found = run(service.url, *words)
    assert ends_well(found, 0, 1)
    assert words[0] == "export" or shows_only_text(found.stdout)


def test_texts_are_exact_in_json(words: list[str]) -> None:
    """JSON is valid, has nothing that a terminal obeys, and yet the very text."""
    with lying(change()) as service:
        found = run(service.url, *words, "--json")
    assert ends_well(found, 0, 1)
    assert words[0] == "export" or shows_only_text(found.stdout)
    texts = {*strings([json.loads(line) for line in found.stdout.removesuffix("\n").split("\n")])}
    assert POISON in texts or not any("\x1b" in text or "[31m" in text for text in texts)


@pytest.mark.parametrize("status", ["400 Bad Request", "404 \x1b[31m", "503 Service Unavailable"])
def test_refusals_are_shown(words: list[str], status: str) -> None:
    """What a service says in a refusal is shown, too, and the exit status tells whose fault it is."""
    problem = json.dumps({"title": POISON, "status": 400, "detail": POISON}).encode()
    with lying(lambda *_: [answer(problem, status)]) as service:
        found = run(service.url, *words)
    assert ends_well(found, 3 if status[0] == "5" else 1)
    assert "\\x1b[31mred" in found.stderr


def grow(request: str, body: bytes) -> Iterable[bytes]:
    """Answer with a list that goes on, whatever was read of it."""
    after = request.partition("after=")[2] or "0"
    return [answer(say(request, body, next=f"{int(after) + 1}"))]


_number = count()
FULL = [ENTRY | {"name": f"v{number}"} for number in range(1000)]


def grow_full() -> Iterable[bytes]:
    """Answer with the same full page for ever, under another cursor each time."""
    return [answer(json.dumps({"leaderboard": FULL, "next": f"{next(_number)}"}).encode())]


def refuse_cursors(request: str, _: bytes) -> Iterable[bytes]:
    """Answer with the same full page for ever, if it is asked for by rank."""
    if "cursor" in request:
        return [answer(json.dumps({"title": "T", "status": 422, "detail": "D."}).encode(), "422 x")]
    return [answer(json.dumps({"leaderboard": FULL}).encode())]


def endless(first: bytes, piece: bytes) -> Callable[..., Iterable[bytes]]:
    """Return a lie that never ends."""
    return lambda *_: (part for parts in ([first], repeat(piece)) for part in parts)


def change(**changes: Any) -> Callable[[str, bytes], Iterable[bytes]]:
    """Return a lie that is true but for some fields; of a feed only once."""
    times = count()

    def lie(request: str, body: bytes) -> Iterable[bytes]:
        if request.startswith("GET /-/backup"):
            return [answer(b"".join(backup()), "200 OK", "content-type: application/x-tar")]
        if "/live" not in request:
            return [answer(say(request, body, **changes))]
        if next(times):
            return [answer(b"{}", "403 Forbidden")]
        told = (tell("page", FEED), tell("change", FEED | changes), tell("standing", FEED, "retry: 1"))
        return stream(*told)(request, body)

    return lie


HEAD = b"HTTP/1.1 200 OK\r\n"
STREAMED = HEAD + b"content-type: text/event-stream\r\nconnection: close\r\n\r\n"
SHOWN = ENTRY | {"place": 0}
FEED = {"leaderboard": [SHOWN], "set": [SHOWN], "gone": [POISON], "passedBy": [POISON], "total": 1, "period": POISON}
FEED |= {"score": 1, "rank": 0, "previous": None}


def tell(event: str, data: object, *lines: str) -> bytes:
    """Return an event."""
    return "\n".join([f"event: {event}", f"data: {json.dumps(data)}", "id: 1", *lines, "", ""]).encode()


def stream(*events: bytes) -> Callable[[str, bytes], Iterable[bytes]]:
    """Return a lie that is a feed."""
    return lambda *_: [STREAMED, *events]


def replace(old: bytes, new: bytes) -> Callable[[str, bytes], Iterable[bytes]]:
    """Return a lie that is true but for some bytes."""
    return lambda request, body: [answer(say(request, body).replace(old, new))]


ALWAYS: dict[str, Callable[[str, bytes], Iterable[bytes]]] = {
    "html": lambda *_: [answer(HTML, "200 OK", "content-type: text/html")],
    "html of a 502": lambda *_: [answer(HTML, "502 Bad Gateway")],
    "redirect": lambda *_: [answer(b"", "302 Found", "location: http://evil.invalid/\x1b[31m")],
    "not utf-8": lambda *_: [answer(b'{"leaderboard":[{"name":"\xff\xff","score":1,"rank":0}],"boards":"\xff"}')],
    "nested": lambda *_: [answer(b"[" * 100_000)],
    "list": lambda *_: [answer(b"[]")],
    "null": lambda *_: [answer(b"null")],
    "nan": lambda *_: [answer(b"NaN")],
    "gzip": lambda *_: [answer(gzip.compress(b" " * 10**8), "200 OK", "content-encoding: gzip")],
    "gzip in gzip": lambda *_: [answer(b"x", "200 OK", "content-encoding: gzip, gzip, gzip")],
    "endless body": endless(HEAD + b"transfer-encoding: chunked\r\n\r\n", b"100000\r\n" + b" " * 2**20 + b"\r\n"),
    "endless header": endless(HEAD, b"x: " + b"y" * 1000 + b"\r\n"),
    "endless line": endless(HEAD + b"x: ", b"y" * 1000),
    "endless interim answers": endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000),
    "two lengths": lambda *_: [HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab"],
    "negative length": lambda *_: [HEAD + b"content-length: -1\r\n\r\n"],
    "no HTTP": lambda *_: [b"\x1b[31mSSH-2.0\x1b]52;c;\x07\r\n"],
    "nothing": lambda *_: [],
    "half": lambda *_: [HEAD + b"content-length: 100\r\n\r\n{"],
    "status 999": lambda *_: [answer(b"", "999 \x1b]0;x\x07")],
    "status 101": lambda *_: [answer(b"", "101 Switching Protocols")],
    "retry for ever": lambda *_: [answer(b"", "400 x", f"retry-after: {'9' * 5000}")],
}
"""Answers that no command may believe."""


COMMANDS_PER_LIE = 7
MEETINGS = [
    (command, name)
    for place, name in enumerate(ALWAYS)
    for command in islice(cycle(CALLING), COMMANDS_PER_LIE * place, COMMANDS_PER_LIE * (place + 1))
]
"""Each lie with some commands, in turns, so that each command meets several: all read answers by the same client."""


@pytest.mark.parametrize(("words", "name"), MEETINGS, indirect=["words"])
def test_lies(words: list[str], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever answers in place of Laurels, a command ends with one line and an exit status."""
    if name.startswith("endless"):
        monkeypatch.setattr(client, "TIMEOUT", 0.3)
    with lying(ALWAYS[name]) as service:
        found = run(service.url, *words)
    assert ends_well(found, 1, 3)


HUGE = 10**400
LIES: dict[str, tuple[str, Callable[[str, bytes], Iterable[bytes]]]] = {
    "rank below 0": ("top b", change(leaderboard=[ENTRY | {"rank": -1}])),
    "no rank": ("top b", change(leaderboard=[{"name": "v", "score": 1}])),
    "name that is none": ("top b", change(leaderboard=[ENTRY | {"name": 1}])),
    "score beyond doubles": ("top b", change(leaderboard=[ENTRY | {"score": HUGE}])),
    "score of 5,000 digits": ("top b", replace(b'"score": 1', b'"score": ' + b"9" * 5000)),
    "score of nan": ("top b", replace(b'"score": 1', b'"score": NaN')),
    "score of infinity": ("standing b v", replace(b'"score": 1', b'"score": 1e999')),
    "standing below 0": ("standing b v", change(rank=-1)),
    "standing of text": ("submit b v 1", change(rank="first")),
    "neighbours of nothing": ("around b v", change(leaderboard=None)),
    "missing that are numbers": ("names b v", change(missing=[1])),
    "percentile over 100": ("rank-of b 1", change(percentile=101)),
    "percentile beyond doubles": ("rank-of b 1", change(percentile=HUGE)),
    "count below 0": ("summary b", change(count=-1)),
    "bucket below 0": ("summary b", change(histogram=[{"from": 0, "to": 1, "count": -1}])),
    "bucket beyond doubles": ("summary b", change(histogram=[{"from": 0, "to": 1, "count": HUGE}])),
    "percentile of text": ("summary b", change(percentiles={"x": 1})),
    "page of too many": ("top b", change(leaderboard=[ENTRY] * 1002)),
    "too many missing": ("names b v", change(missing=["v"] * 101)),
    "too many buckets": ("summary b", change(histogram=[{"from": 0, "to": 1, "count": 1}] * 11)),
    "board of text": ("boards list", change(boards=["b"])),
    "board of -1 entries": ("boards list", change(boards=[BOARD | {"count": -1}])),
    "zone that is none": ("boards list", change(boards=[BOARD | {"definition": {"time_zone": POISON}}])),
    "zone that is a path": ("boards show b", lambda *_: [answer(b'{"time_zone":"../../etc/passwd"}')]),
    "window that is none": ("boards show b", lambda *_: [answer(b'{"windows":["0 0 31 2 *"]}')]),
    "field that is none": ("boards show b", lambda *_: [answer(b'{"\\u001b[31m":1}')]),
    "period of -1 entries": ("boards periods b", replace(b'"count": 1', b'"count": -1')),
    "list in a circle": ("boards list", change(next="b")),
    "list without end": ("boards list", grow),
    "index below 0": ("import", change(accepted=0, refused=[{"index": -1, "name": "v", "problem": "x"}])),
    "index that was not sent": ("import", change(accepted=0, refused=[{"index": 1, "name": "v", "problem": "x"}])),
    "accepted more than sent": ("import", change(accepted=10**9)),
    "accepted less than sent": ("import", change(accepted=0)),
    "export in a circle": ("export b", change(next="c")),
    "export without end": ("export b", grow),
    "export of one page for ever": ("export b", lambda *_: grow_full()),
    "export by rank for ever": ("export b", refuse_cursors),
    "feed of a rank below 0": ("watch b", stream(tell("page", FEED | {"leaderboard": [SHOWN | {"rank": -1}]}))),
    "feed of a score beyond doubles": (
        "watch b",
        stream(tell("page", FEED | {"leaderboard": [SHOWN | {"score": HUGE}]})),
    ),
    "feed of text": ("watch b", stream(tell("page", POISON))),
    "feed that is not utf-8": ("watch b", stream(b"event: page\nid: \xff\ndata: {}\n\n")),
    "feed of another view": ("watch b", stream(tell("page", FEED | {"view": 1}))),
    "feed of too many": (
        "watch b --limit 1",
        stream(tell("page", FEED | {"leaderboard": [SHOWN, SHOWN | {"name": "w"}]})),
    ),
    "feed of an event without end": ("watch b", endless(STREAMED, b"data: " + b" " * 2**20)),
    "feed of lines without end": ("watch b", endless(STREAMED, b"data: x\n" * 2**17)),
    "page for what is done": ("boards drop b", lambda *_: [answer(HTML)]),
}
"""Answers that look right, and are not; each to a command that would believe it."""


@pytest.mark.parametrize(("line", "lie"), LIES.values(), ids=LIES)
def test_lies_in_the_right_form(
    line: str, lie: Callable[..., Iterable[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What looks like an answer is checked before it is believed."""
    monkeypatch.setattr(connection, "LISTS", 100)
    monkeypatch.setattr(live, "EVENT_BYTES", 2**20)
    words = words_of(("import",), tmp_path) if line == "import" else line.split()
    with lying(lie) as service:
        found = run(service.url, *words)
    assert ends_well(found, 3)
    assert "did not answer as Laurels does" in found.stderr
    assert len(service.requests) <= connection.LISTS


def test_list_of_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that would not fit into memory is given up, too."""
    monkeypatch.setattr(connection, "LIST_BYTES", 10_000)
    with lying(grow) as service:
        found = run(service.url, "boards", "list")
    assert ends_well(found, 3)
    assert len(service.requests) < 100


def test_answer_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that is longer than any of Laurels is not read to its end."""
    monkeypatch.setattr(connection, "ANSWER_BYTES", 1024)
    with lying(lambda *_: [answer(b" " * 1025)]) as service:
        found = run(service.url, "top", "b")
    assert "did not answer as Laurels does: its answer is longer than 1 KiB." in found.stderr


def test_redirect_is_named() -> None:
    """A redirect is not followed, because its end may be anybody; the error names it."""
    with lying(lambda *_: [answer(b"", "301 Moved Permanently", "location: https://elsewhere.example/b")]) as service:
        found = run(service.url, "top", "b")
    assert found.stderr.endswith("answered 301 Moved Permanently to https://elsewhere.example/b, and not why.\n")
