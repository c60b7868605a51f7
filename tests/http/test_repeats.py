"""No error repeats more than a little of what a client sent, wherever it was sent."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.asking import ask
from tests.http.conftest import SERVED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from laurels.http.operation import Operation
    from tests.conftest import Server

LONG = "x" * 6_000
RUN = "x" * 110
"""More than any message repeats."""
MOST_BYTES = 2_048
NAME = "x" * 256
NUMBER = "9" * 300
BODIES: dict[str, object] = {
    "a key": {LONG: 1},
    "two keys": b'{"%b":1,"%b":2}' % (LONG.encode(), LONG.encode()),
    "two keys deep inside": b'{"score":1,"metadata":{"%b":1,"%b":2}}' % ((b"x" * 300,) * 2),
    "a path in a key": {f"x - at `$.{LONG}`": 1},
    "a string": {"score": LONG, "order": LONG, "windows": [LONG], "entries": LONG},
    "a list": [LONG],
    "a score": b'{"score":1%b.5}' % (b"0" * 20 + b"1" * 6_000),
    "a whole score": b'{"score":1%b1}' % (b"0" * 300),
    "a time zone": {"time_zone": LONG},
    "a window": {"windows": ["x" * 100]},
    "a cron line": {"windows": [f"{'1,' * 40}FRIDAY * * * *"]},
    "a range": {"windows": [f"{'9' * 40}-{'8' * 40} * * * *"]},
    "a window of keep": {"keep": {LONG: 1}},
    "a window of keep that is no good": {"windows": ["daily"], "keep": {LONG: LONG}},
    "bounds": b'{"scores":{"min":%b,"max":1%b1}}' % (NUMBER.encode(), b"0" * 300),
    "a field of bounds": {"scores": {LONG: 1}},
    "a time to live": {"ttl": LONG},
    "no JSON": LONG.encode(),
}
HEADERS = ("Idempotency-Key", "Prefer", "Accept", "Content-Type", "Content-Encoding", "Expect", LONG)


def bad_requests(operation: Operation) -> Iterator[tuple[str, str, object, dict[str, str]]]:
    """Yield requests for an operation, in each of which something is long."""
    good = operation.path.format(board="b", name="n", key="k", file="console.css")
    body = {"score": 1} if operation.body else None
    for path in (
        operation.path.format(board=long, name=long, key=long, file=long)
        for long in (LONG, NAME, quote("\u00e9" * 128))
    ):
        yield operation.method, path, body, {}
    known = [parameter.name for parameter in operation.parameters if parameter.where == "query"]
    for name, value in itertools.product([*known, LONG], [LONG, "%00" * 2_000, "1" * 6_000, "x" * 90]):
        yield operation.method, f"{good}?{name}={value}", body, {}
        yield operation.method, f"{good}?window=daily&{name}={value}", body, {}
        yield operation.method, f"{good}?{name}={value}&{name}=%ff{value}", body, {}
    for name in HEADERS:
        yield operation.method, good, body, {name: LONG}
    for content in BODIES.values() if operation.body else ():
        yield operation.method, good, content, {}


@pytest.mark.parametrize("operation", SERVED, ids=lambda operation: operation.name)
def test_errors_are_short(service: Server, board: str, operation: Operation) -> None:
    """Whatever is long in a request, the error is short, and is no fault of the service."""
    for method, path, body, headers in bad_requests(operation):
        reply = ask(service, method, path.replace("/b", f"/{board}", 1), body, headers)
        assert reply.status != 500, path
        if reply.status >= 400:
            assert len(reply.body) <= MOST_BYTES, reply.body
            assert RUN not in reply.body.decode().replace("9", "x"), reply.body


def test_refused_entries_are_short(service: Server, board: str) -> None:
    """What a batch says of an entry is short, too; a name that may be one is told whole."""
    entries = [
        {"name": LONG, "score": 1},
        {"name": LONG, "score": "1"},
        {"name": LONG, "score": 1, LONG: 1},
        {"name": NAME, "score": LONG},
        {"name": LONG, "score": 1, "metadata": [LONG]},
    ]
    refused = ask(service, "POST", f"/{board}", {"entries": entries}).json["refused"]
    assert [len(refusal["name"]) for refusal in refused] == [103, 103, 103, 256, 103]
    assert all(RUN not in refusal["problem"] for refusal in refused)


def test_bounds_are_short(service: Server, board: str) -> None:
    """Scores and bounds of hundreds of digits are told in part, on every way to an error about them."""
    great, small = 10**300, -(10**300)
    low, high = int(float(small)), int(float(great))
    definition = {"scores": {"min": 0, "max": high}, "operator": "latest"}
    assert ask(service, "PUT", f"/-/boards/{board}", definition).status == 201
    replies = [
        ask(service, "POST", f"/{board}/v", {"score": low}),
        ask(service, "POST", f"/{board}/v", {"score": high}),
        ask(service, "PUT", f"/-/boards/{board}", {"scores": {"max": int(float(10**299))}}),
        ask(service, "PUT", f"/-/boards/{board}", {"scores": {"min": int(float(10**301))}}),
    ]
    assert [reply.status for reply in replies] == [422, 202, 409, 409]
    assert all(len(json.dumps(reply.json)) < 600 for reply in replies if reply.body)


def test_scores_of_sums_are_short(service: Server, board: str) -> None:
    """So are the bounds of sums."""
    high = int(float(10**300))
    definition = {"scores": {"min": -high, "max": high}, "operator": "increment"}
    ask(service, "PUT", f"/-/boards/{board}", definition)
    replies = [ask(service, "POST", f"/{board}/v", {"score": int(sign * 1.1e300)}) for sign in (1, -1)]
    assert [reply.status for reply in replies] == [422, 422]
    assert all(len(reply.body) < 600 for reply in replies)
