"""Boards of Laurels for a game in Python, by its standard library alone. Copy this file into the game.

On the game's server, with a key that may submit and make tokens:

    boards = Leaderboard("https://boards.example", lambda: os.environ["LAURELS_KEY"])
    boards.submit("kart", "silverhand", 2077, {"car": "pipe"})
    token = boards.player_token("silverhand", boards=["kart"])     # for the program of a player who has signed in

In a player's program, which gets that token from the game's server and submits under its own name alone:

    boards = Leaderboard("https://boards.example", fetch_token)    # asked anew when a token is not accepted any more
    print(boards.submit("kart", "silverhand", 2077))
    print(boards.standing("kart", "silverhand"), boards.around("kart", "silverhand"))
    for rows in boards.watch("kart", count=10): ...

Without a credential it does what everybody may. Calls block: make them from a thread of their own.
"""

from __future__ import annotations

import json
import time
import uuid
from http import HTTPStatus
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.client import HTTPResponse

TRIES = 5
SECONDS = 10
SILENCE = 40
"""A board that is watched says something every 15 seconds; without a word for so long the connection is lost."""
AGAIN = {408, 429, 500, 502, 503, 504}


class Refused(Exception):
    """The service answered that it will not; ``detail`` says why."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


class Leaderboard:
    """The boards of one service, asked by whoever ``credential`` returns the key or the token of."""

    def __init__(self, server: str, credential: Callable[[], str] = str) -> None:
        self._server = server.rstrip("/")
        self._credential = credential
        self._shown: str | None = None

    def submit(self, board: str, name: str, score: float, metadata: Any = None, key: str = "") -> dict[str, Any]:
        """Submit a score, once, however often it has to be sent; return the standing, and whether it changed.

        To send one again after the program was restarted, keep its ``key``, and give it here again.
        """
        body = {"score": score} | ({} if metadata is None else {"metadata": metadata})
        headers = {"Idempotency-Key": key or str(uuid.uuid4()), "Prefer": "return=representation"}
        answer: dict[str, Any] = self._ask("POST", f"/{_segment(board)}/{_segment(name)}", body, headers)
        return answer

    def standing(self, board: str, name: str) -> dict[str, Any]:
        """Return score and rank, which begins at 0; the rank is None if the name is not on the board."""
        answer: dict[str, Any] = self._ask("GET", f"/{_segment(board)}/{_segment(name)}")
        return answer

    def top(self, board: str, count: int = 20, **options: str) -> list[dict[str, Any]]:
        """Return the first entries with their ranks; ``window="daily"`` has those of today."""
        return self._entries(board, startRank=0, endRank=count, include="rank", **options)

    def around(self, board: str, name: str, span: int = 5, **options: str) -> list[dict[str, Any]]:
        """Return a name with so many neighbours on each side; empty if it is not on the board."""
        return self._entries(board, around=name, span=span, include="rank", **options)

    def entries(self, board: str, at_once: int = 1000) -> Iterator[dict[str, Any]]:
        """Return all entries, page by page: none twice, and none left out, though others submit meanwhile."""
        query: dict[str, Any] = {"startRank": 0, "endRank": at_once, "include": "rank,cursor"}
        while query:
            page = self._ask("GET", f"/{_segment(board)}?{urlencode(query)}")
            yield from page["leaderboard"]
            query = {"cursor": page["next"], "include": "rank,cursor"} if page["next"] else {}

    def watch(self, board: str, count: int = 10) -> Iterator[list[dict[str, Any]]]:
        """Return the first entries now, and again after each change, until the caller breaks off."""
        path = f"/-/boards/{_segment(board)}/live?startRank=0&endRank={count}"
        failures = 0
        while True:
            try:
                with self._open("GET", path, None, {}, SILENCE) as stream:
                    for rows in _read_events(stream):
                        failures = 0
                        yield rows
            except (OSError, HTTPException) as error:
                failures += 1
                time.sleep(self._seconds_until_again(error, failures, failures + TRIES))

    def player_token(self, name: str, boards: list[str], seconds: int = 3600) -> str:
        """Return a token with which a player's program submits under this name alone; takes a key."""
        answer = self._ask("POST", "/-/tokens", {"name": name, "boards": boards, "seconds": seconds})
        return str(answer["token"])

    def _entries(self, board: str, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask("GET", f"/{_segment(board)}?{urlencode(query)}")["leaderboard"]
        return found

    def _ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        for failures in range(1, TRIES + 1):
            try:
                with self._open(method, path, body, headers or {}, SECONDS) as response:
                    return json.loads(response.read() or b"null")
            except (OSError, HTTPException) as error:
                time.sleep(self._seconds_until_again(error, failures, TRIES))
        raise AssertionError  # the last failure was raised

    def _open(self, method: str, path: str, body: Any, headers: dict[str, str], timeout: float) -> HTTPResponse:
        if self._shown is None:
            self._shown = self._credential()
        headers = headers | ({"Authorization": f"Bearer {self._shown}"} if self._shown else {})
        content = None if body is None else json.dumps(body).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        request = Request(self._server + path, content, headers | kind, method=method)  # noqa: S310 - the game's own
        response: HTTPResponse = urlopen(request, timeout=timeout)  # noqa: S310
        return response

    def _seconds_until_again(self, error: Exception, failures: int, most: int) -> float:
        """Return when to try again; raise Refused if that would not help, or the error if it was the last time."""
        wait = min(2.0 ** (failures - 2), 30.0)
        if isinstance(error, HTTPError):
            refused = Refused(error.code, _detail(error.read()))
            wait = float(error.headers.get("Retry-After") or wait)
            if error.code == HTTPStatus.UNAUTHORIZED and failures == 1 and self._shown:
                self._shown, wait = None, 0  # the token may have expired: ask for another, once
            elif error.code not in AGAIN or failures == most:
                raise refused from None
        elif failures == most:
            raise error
        return wait


def _segment(name: str) -> str:
    return quote(name, safe="")


def _detail(body: bytes) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")


def _read_events(stream: HTTPResponse) -> Iterator[list[dict[str, Any]]]:
    """Return the rows of a board after each event of a stream: first all of them, then what has changed."""
    rows: dict[str, dict[str, Any]] = {}
    event = ""
    for line in stream:
        field, _, value = line.decode().rstrip("\n").partition(": ")
        if field == "event":
            event = value
        elif field == "data" and event in {"page", "change"}:
            told = json.loads(value)
            kept = {} if event == "page" else {name: rows[name] for name in rows.keys() - set(told["gone"])}
            rows = kept | {row["name"]: row for row in told.get("set", told.get("leaderboard"))}
            yield sorted(rows.values(), key=lambda row: row["place"])
