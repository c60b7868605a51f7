"""Tries out a deployed stage by its address, as its clients use it: ``python3 -m infra.smoke URL``.

It submits, asks who stands where, reads a page, and makes the mistakes that clients make. It needs nothing but Python,
so that what has just been deployed can be tried out from anywhere. Its board has a name of its own each time, and stays
as long as the stage keeps boards. A key or a token to show is taken from ``LAURELS_KEY``.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "LAURELS_KEY"
WAIT_SECONDS = 60.0
"""How long a stage may take until it answers: its address is known to all only some seconds after it was deployed."""
ANSWER_SECONDS = 15.0
PAUSE_SECONDS = 1.0


class Answer(NamedTuple):
    """What a stage said; a status of 0 if it said nothing, with the reason as its body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON, None if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Check(NamedTuple):
    """A request, and what is expected of its answer."""

    name: str
    method: str
    path: str
    expected: Callable[[Answer], bool]
    body: bytes | None = None
    content_type: str = "application/json"
    accept: str = "application/json"


def list_checks(board: str) -> Iterator[Check]:
    """Return the checks, in their order, on a board that nobody has used yet."""
    best = {"score": 2077, "rank": 0}
    entries = [{"name": "v", "score": 2077}, {"name": "silverhand", "score": 34}]
    yield Check("an unknown board is empty", "GET", f"/{board}", lambda answer: answer.json == {"leaderboard": []})
    for name, score in (("silverhand", 34), ("v", 2077)):
        body = json.dumps({"score": score}).encode()
        yield Check(f"a submit for {name}", "POST", f"/{board}/{name}", _is_accepted, body)
    yield Check("a standing", "GET", f"/{board}/v", lambda answer: answer.json == best)
    yield Check("an absent name", "GET", f"/{board}/nobody", lambda answer: answer.json == {"score": 0, "rank": None})
    yield Check(
        "a page", "GET", f"/{board}?startRank=0&endRank=20", lambda answer: answer.json["leaderboard"] == entries
    )
    yield Check("a page for people", "GET", f"/{board}", _is_page, accept="text/html")
    yield Check("a body that is no JSON", "POST", f"/{board}/v", _refused(400), b"{")
    yield Check("a score that is none", "POST", f"/{board}/v", _refused(422), b'{"score":"high"}')
    yield Check("a body of another type", "POST", f"/{board}/v", _refused(415), b"score=1", "text/csv")
    yield Check("a rank that is none", "GET", f"/{board}?startRank=first", _refused(400))
    yield Check("a method that there is not", "PUT", f"/{board}/v", _refused(405), b"{}")
    yield Check("a path that is no route", "GET", f"/{board}/v/more", _refused(404))
    yield Check("what was refused changed nothing", "GET", f"/{board}/v", lambda answer: answer.json == best)


def _is_accepted(answer: Answer) -> bool:
    return answer.status == 202 and not answer.body  # noqa: PLR2004 - Accepted


def _is_page(answer: Answer) -> bool:
    return answer.headers.get("content-type", "").startswith("text/html") and b"silverhand" in answer.body


def _refused(status: int) -> Callable[[Answer], bool]:
    def is_refused(answer: Answer) -> bool:
        is_problem = answer.headers.get("content-type") == "application/problem+json"
        return answer.status == status and is_problem and answer.json["status"] == status

    return is_refused


def ask(url: str, check: Check) -> Answer:
    """Send the request of a check to a stage; return its answer."""
    headers = {"Accept": check.accept, "Content-Type": check.content_type, "User-Agent": "laurels-smoke"}
    if key := os.environ.get(KEY):
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(  # noqa: S310 - main has checked it
        f"{url}{check.path}", check.body, headers, method=check.method
    )
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as reply:  # noqa: S310
            return _read(reply)
    except urllib.error.HTTPError as error:
        with error:
            return _read(error)
    except OSError as error:
        return Answer(0, {}, str(error).encode())


def _read(reply: Any) -> Answer:
    return Answer(reply.status, {name.lower(): value for name, value in reply.headers.items()}, reply.read())


def await_ready(url: str, seconds: float) -> Answer:
    """Ask until a stage is ready, for so many seconds; return its last answer."""
    ready = Check("the stage is ready", "GET", "/-/ready", bool)
    deadline = time.monotonic() + seconds
    while (answer := ask(url, ready)).status != 200 and time.monotonic() < deadline:  # noqa: PLR2004 - OK
        time.sleep(PAUSE_SECONDS)
    return answer


def try_out(url: str, seconds: float) -> int:
    """Try a stage out, and print what came of each check; return how many failed."""
    if (answer := await_ready(url, seconds)).status != 200:  # noqa: PLR2004 - OK
        _print("failed", "the stage is not ready", answer)
        return 1
    failures = 0
    for check in list_checks(f"smoke-{secrets.token_hex(8)}"):
        answer = ask(url, check)
        is_right = _is_right(check, answer)
        failures += not is_right
        _print("ok" if is_right else "failed", check.name, None if is_right else answer)
    return failures


def _is_right(check: Check, answer: Answer) -> bool:
    try:
        return check.expected(answer)
    except (LookupError, TypeError):  # it is JSON of another form
        return False


def _print(result: str, name: str, answer: Answer | None) -> None:
    said = "" if answer is None else f": {answer.status} {answer.body[:500]!r}"
    sys.stdout.write(f"{result:6} {name}{said}\n")


def main() -> None:
    """Try out the stage that the command line names; exit with 1 if something is wrong with it."""
    parser = argparse.ArgumentParser(prog="python3 -m infra.smoke", description="Try out a deployed stage.")
    parser.add_argument("url", help="the stage's address, as its output Endpoint has it")
    parser.add_argument(
        "--wait", type=float, default=WAIT_SECONDS, help="how many seconds it may take until it is ready [%(default)s]"
    )
    given = parser.parse_args()
    if not given.url.startswith(("https://", "http://")):
        parser.error(f"{given.url!r} is no address of a stage: it begins with https://")
    sys.exit(1 if try_out(given.url.rstrip("/"), given.wait) else 0)


if __name__ == "__main__":
    main()
