"""Idempotency keys and metadata of submits as a client sees them, over both adapters."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.asking import ask, send_bytes
from tests.conftest import running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Server

REPRESENTATION = {"prefer": "return=representation"}
LARGEST = {"x": "y" * 1016}


def keyed(key: str, **more: str) -> dict[str, str]:
    """Return the headers of a request with an idempotency key."""
    return {"idempotency-key": key} | more


def define_increment(service: Server, board: str) -> None:
    """Define a board that adds scores."""
    assert ask(service, "PUT", f"/-/boards/{board}", {"operator": "increment"}).status == 201


def entries(service: Server, board: str, query: str = "include=metadata") -> list[dict[str, Any]]:
    """Return the entries of a board."""
    found: list[dict[str, Any]] = ask(service, "GET", f"/{board}?{query}").json["leaderboard"]
    return found


@pytest.mark.parametrize("prefer", [{}, REPRESENTATION], ids=["minimal", "representation"])
def test_replay_counts_once(service: Server, board: str, prefer: dict[str, str]) -> None:
    """A repeated request with the same key gets the first response, and nothing is added."""
    define_increment(service, board)
    first, second = (ask(service, "POST", f"/{board}/v", {"score": 5}, keyed("k", **prefer)) for _ in range(2))
    assert first.status == second.status
    assert first.body == second.body
    assert ask(service, "GET", f"/{board}/v").json == {"score": 5, "rank": 0}


def test_replay_gets_the_first_response(service: Server, board: str) -> None:
    """A replay gets what was true at the first request, whatever has happened since."""
    ask(service, "POST", f"/{board}/v", {"score": 5}, keyed("k"))
    ask(service, "POST", f"/{board}/w", {"score": 6})
    replayed = ask(service, "POST", f"/{board}/v", {"score": 5}, keyed("k", **REPRESENTATION))
    assert replayed.json == {"score": 5, "rank": 0, "previous": None, "changed": True}


@pytest.mark.parametrize(
    "body", [{"score": 6}, {"score": 5, "metadata": {}}, {"score": 5.5}], ids=["score", "metadata", "fraction"]
)
def test_key_with_another_body(service: Server, board: str, body: object) -> None:
    """A key that was used with one submit is refused with another, which changes nothing."""
    ask(service, "POST", f"/{board}/v", {"score": 5}, keyed("k"))
    reply = ask(service, "POST", f"/{board}/v", body, keyed("k"))
    assert reply.status == 422
    assert "key" in reply.json["detail"]
    assert ask(service, "GET", f"/{board}/v").json == {"score": 5, "rank": 0}


@pytest.mark.parametrize("path", ["/{board}/w", "/{board}-2/v"], ids=["name", "board"])
def test_key_belongs_to_its_path(service: Server, board: str, path: str) -> None:
    """The same key with another name or another board is another key."""
    ask(service, "POST", f"/{board}/v", {"score": 5}, keyed("k"))
    assert ask(service, "POST", path.format(board=board), {"score": 6}, keyed("k")).status == 202
    assert ask(service, "GET", path.format(board=board)).json["score"] == 6


@pytest.mark.parametrize("key", ["x", "x" * 255, '"8e03978e-40d5-43e8-bc93-6894a57f9324"', "!~,;="], ids=str)
def test_good_key(service: Server, board: str, key: str) -> None:
    """A key is any visible ASCII of 1 to 255 characters."""
    assert ask(service, "POST", f"/{board}/v", {"score": 5}, keyed(key)).status == 202
    assert ask(service, "POST", f"/{board}/v", {"score": 6}, keyed(key)).status == 422


@pytest.mark.parametrize("key", [b"", b"x" * 256, b"a b", b"\xc3\xa9", b"a\tb", b"a\r\nIdempotency-Key: b"], ids=ascii)
@pytest.mark.parametrize("target", ["/v", ""], ids=["submit", "batch"])
def test_bad_key(service: Server, board: str, key: bytes, target: str) -> None:
    """Any other key, or two keys, is a 400 that names the header."""
    body = b'{"score":1}' if target else b'{"entries":[{"name":"v","score":1}]}'
    head = f"POST /{board}{target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n".encode()
    (reply,) = send_bytes(service, head + b"Idempotency-Key: " + key + b"\r\n\r\n" + body)
    assert reply.status == 400
    assert reply.json["parameter"] == "Idempotency-Key"
    assert ask(service, "GET", f"/{board}").json == {"leaderboard": []}


def test_batch_counts_once(service: Server, board: str) -> None:
    """A repeated batch with the same key gets the first response, refusals included, and nothing is added."""
    define_increment(service, board)
    batch = {"entries": [{"name": "v", "score": 5}, {"name": "", "score": 1}, {"name": "v", "score": 2}]}
    first, second = (ask(service, "POST", f"/{board}", batch, keyed("k")) for _ in range(2))
    assert first.json["accepted"] == 2
    assert first.body == second.body
    assert ask(service, "GET", f"/{board}/v").json == {"score": 7, "rank": 0}


def test_key_with_another_batch(service: Server, board: str) -> None:
    """A key that was used with one batch is refused with another."""
    ask(service, "POST", f"/{board}", {"entries": [{"name": "v", "score": 5}]}, keyed("k"))
    other = {"entries": [{"name": "v", "score": 5}, {"name": "w", "score": 5}]}
    assert ask(service, "POST", f"/{board}", other, keyed("k")).status == 422
    assert entries(service, board, "") == [{"name": "v", "score": 5}]


def test_refused_submit_does_not_use_its_key(service: Server, board: str) -> None:
    """A refused submit may be corrected and sent with the same key."""
    assert ask(service, "POST", f"/{board}/v", {"score": "5"}, keyed("k")).status == 422
    assert ask(service, "POST", f"/{board}/v", {"score": 5}, keyed("k")).status == 202


def test_key_outlives_a_crash(tmp_path: Path) -> None:
    """A submit that was added before its process was killed is not added again."""
    with running(tmp_path) as service:
        define_increment(service, "kart")
        first = ask(service, "POST", "/kart/v", {"score": 5}, keyed("k", **REPRESENTATION))
        service.stop(signal.SIGKILL)
    with running(tmp_path) as service:
        assert ask(service, "POST", "/kart/v", {"score": 5}, keyed("k", **REPRESENTATION)).body == first.body
        assert ask(service, "GET", "/kart/v").json == {"score": 5, "rank": 0}


@pytest.mark.parametrize("query", ["", "around=v&span=0&", "name=v&", "minScore=1&", "startRank=0&endRank=1&"])
def test_metadata_on_every_read(service: Server, board: str, query: str) -> None:
    """Metadata comes with its entry in every read that includes it, and only there."""
    ask(service, "POST", f"/{board}/v", {"score": 5, "metadata": {"car": "pipe"}})
    (entry,) = entries(service, board, f"{query}include=metadata")
    assert entry["metadata"] == {"car": "pipe"}
    assert "metadata" not in entries(service, board, query)[0]


def test_metadata_behind_a_cursor(service: Server, board: str) -> None:
    """A page behind a cursor can include metadata too."""
    ask(service, "POST", f"/{board}/v", {"score": 5})
    ask(service, "POST", f"/{board}/w", {"score": 4, "metadata": [1]})
    cursor = ask(service, "GET", f"/{board}?endRank=1&include=cursor").json["next"]
    assert entries(service, board, f"cursor={cursor}&include=metadata") == [{"name": "w", "score": 4, "metadata": [1]}]


@pytest.mark.parametrize(
    ("sent", "returned"),
    [
        (b'{ "a" : [ 1 , 2 ] }', b'{"a":[1,2]}'),
        (b"12345678901234567890123", b"12345678901234567890123"),
        (b"1.10", b"1.10"),
        (b'"\\u00e9 \xc3\xa9 \\""', b'"\\u00e9 \xc3\xa9 \\""'),
        (b"false", b"false"),
        (b"null", b"null"),
        (json.dumps(LARGEST, separators=(",", ":")).encode(), json.dumps(LARGEST, separators=(",", ":")).encode()),
        (b'[1%b,"x"]' % (b" " * 5000), b'[1,"x"]'),
        (b"[" * 500 + b"]" * 500, b"[" * 500 + b"]" * 500),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_metadata_comes_back_as_it_was_written(service: Server, board: str, sent: bytes, returned: bytes) -> None:
    """Every digit and escape is kept; only insignificant whitespace is removed. Null is no metadata."""
    assert ask(service, "POST", f"/{board}/v", b'{"score":1,"metadata":%b}' % sent).status == 202
    reply = ask(service, "GET", f"/{board}?include=metadata")
    assert reply.body == b'{"leaderboard":[{"name":"v","score":1,"metadata":%b}]}' % returned


@pytest.mark.parametrize(
    ("metadata", "status", "says"),
    [
        (json.dumps(LARGEST | {"z": 1}).encode(), 422, "1,024"),
        (b'"%b"' % (b"\xc3\xa9" * 512), 422, "1,026"),
        (b"[" * 600 + b"]" * 600, 422, "1,200"),
        (b"1e400", 422, "out of range"),
        (b"[" * 30_000 + b"]" * 30_000, 400, "nested too deeply"),
        (b'{"a":1,"a":2}', 400, "stands twice"),
        (b'{"a":1,"\\u0061":2}', 400, "stands twice"),
        (b'"\\ud800"', 400, "truncated"),
        (b'"\xff"', 400, "not UTF-8"),
        (b"{", 400, "truncated"),
        (b"NaN", 400, "invalid character"),
        (b"", 400, "invalid character"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_metadata_refused(service: Server, board: str, metadata: bytes, status: int, says: str) -> None:
    """Metadata that is too large, or that JSON parsers would read differently, is refused together with its score."""
    reply = ask(service, "POST", f"/{board}/v", b'{"score":1,"metadata":%b}' % metadata)
    assert reply.status == status
    assert says in reply.json["detail"]
    assert reply.json.get("pointer") == ("/metadata" if status == 422 else None)
    assert entries(service, board) == []


def test_metadata_in_a_batch(service: Server, board: str) -> None:
    """Each entry of a batch has its own metadata; if that is invalid, only this entry is refused."""
    good = {"name": "v", "score": 2, "metadata": {"lap": 1}}
    batch = [good, {"name": "w", "score": 1, "metadata": "x" * 1030}, {"name": "x", "score": 0, "metadata": None}]
    reply = ask(service, "POST", f"/{board}", {"entries": batch}).json
    (refusal,) = reply["refused"]
    assert refusal["index"] == 1
    assert "1,024" in refusal["problem"]
    assert entries(service, board) == [good, {"name": "x", "score": 0, "metadata": None}]


def test_number_beyond_doubles_in_a_batch(service: Server, board: str) -> None:
    """A number beyond the range of a double in metadata refuses only its own entry."""
    batch = b'{"entries":[{"name":"v","score":1,"metadata":[1e400]},{"name":"w","score":1}]}'
    reply = ask(service, "POST", f"/{board}", batch).json
    assert reply["accepted"] == 1
    assert "out of range" in reply["refused"][0]["problem"]


def test_batch_of_large_scores_with_metadata(service: Server, board: str) -> None:
    """Entries with large scores, which are parsed one by one, keep their metadata."""
    entry = b'{"name":"v","score":1152921504606846976.0,"metadata":{"a":1}}'
    assert ask(service, "POST", f"/{board}", b'{"entries":[%b]}' % entry).json["accepted"] == 1
    assert entries(service, board) == [{"name": "v", "score": 2**60, "metadata": {"a": 1}}]


def test_metadata_belongs_to_the_submit_that_counts(service: Server, board: str) -> None:
    """A submit that does not count keeps the old metadata; one that counts and has none removes it."""
    ask(service, "PUT", f"/-/boards/{board}", {"operator": "best"})
    for score, metadata in ((5, {"lap": 1}), (4, {"lap": 2})):
        ask(service, "POST", f"/{board}/v", {"score": score, "metadata": metadata})
    assert entries(service, board) == [{"name": "v", "score": 5, "metadata": {"lap": 1}}]
    ask(service, "POST", f"/{board}/v", {"score": 6})
    assert entries(service, board) == [{"name": "v", "score": 6, "metadata": None}]


def test_submitted_at(service: Server, board: str) -> None:
    """The time of a submit, submittedAt, is in UTC and to the microsecond."""
    before = datetime.now(UTC)
    ask(service, "POST", f"/{board}/v", {"score": 5})
    (entry,) = entries(service, board, "include=submittedAt")
    submitted = datetime.strptime(entry["submittedAt"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert before <= submitted <= datetime.now(UTC)
    assert len(entry["submittedAt"]) == len("2026-11-22T05:00:00.123456Z")


THEN = "2025-11-20T10:00:00.123456Z"


def test_submit_as_of_then(service: Server, board: str) -> None:
    """A submit with a time counts as of then, with all else that a submit may have."""
    ask(service, "PUT", f"/-/boards/{board}", {"ties": "earliest", "windows": ["daily"]})
    ask(service, "POST", f"/{board}/now", {"score": 5, "submittedAt": None})
    body = {"score": 5, "submittedAt": THEN, "metadata": {"a": 1}}
    answers = [ask(service, "POST", f"/{board}/then", body, keyed("k") | REPRESENTATION) for _ in range(2)]
    assert [answer.json["rank"] for answer in answers] == [0, 0]
    assert (
        ask(service, "POST", f"/{board}/then", body | {"submittedAt": "2025-11-20T10:00:00Z"}, keyed("k")).status == 422
    )
    (entry, _) = entries(service, board, "include=metadata,submittedAt")
    assert entry == {"name": "then", "score": 5, "metadata": {"a": 1}, "submittedAt": THEN}
    found = entries(service, board, "window=daily&period=2025-11-20")
    assert [entry["name"] for entry in found] == ["then"]
    assert [entry["name"] for entry in entries(service, board, "window=daily")] == ["now"]


def test_batch_as_of_then(service: Server, board: str) -> None:
    """In a batch each entry has its own time; equal times keep the order they were sent in, and cursors go through."""
    ask(service, "PUT", f"/-/boards/{board}", {"ties": "latest"})
    times = [THEN, "2025-11-20T11:00:00.123456+01:00", "2025-11-20t10:00:00.123455z", None]
    sent: list[dict[str, Any]] = [
        {"name": name, "score": 5, "submittedAt": time} for name, time in zip("abcd", times, strict=True)
    ]
    wrong = [
        "2025-11-20",
        "2025-02-30T10:00:00Z",
        "1969-12-31T23:59:59Z",
        "2025-11-20T10:00:00.1234567Z",
        "2999-01-01T00:00:00Z",
    ]
    sent += [{"name": "w", "score": 5, "submittedAt": time} for time in [*wrong, 7]]
    receipt = ask(service, "POST", f"/{board}", {"entries": sent}).json
    assert receipt["accepted"] == 4
    problems = [refusal["problem"] for refusal in receipt["refused"]]
    assert all("it must be a time since 1970 as RFC 3339 has it" in problem for problem in problems[:4])
    assert problems[4].startswith("submittedAt is to come: by the service's clock it is 20")
    assert problems[5] == "submittedAt must be a string, and is a whole number."
    page = ask(service, "GET", f"/{board}?endRank=1&include=cursor").json
    order = [page["leaderboard"][0]["name"]]
    while page["next"]:
        page = ask(service, "GET", f"/{board}?cursor={page['next']}&include=cursor").json
        order.append(page["leaderboard"][0]["name"])
    assert order == ["d", "b", "a", "c"]


def test_time_twice(service: Server, board: str) -> None:
    """One field stands once, also that of the time."""
    body = b'{"score":5,"submittedAt":null,"submittedAt":"%b"}' % THEN.encode()
    assert ask(service, "POST", f"/{board}/v", body).status == 400
    assert ask(service, "POST", f"/{board}", b'{"entries":[{"name":"v",%b]}' % body[1:]).status == 400


def test_all_fields(service: Server, board: str) -> None:
    """The fields of an entry come in a fixed order, whatever the order in include."""
    ask(service, "POST", f"/{board}/v", {"score": 5})
    (entry,) = entries(service, board, "include=submittedAt,metadata,rank")
    assert list(entry) == ["name", "score", "rank", "metadata", "submittedAt"]


@pytest.mark.parametrize("ties", ["earliest", "latest"])
def test_retry_with_metadata(service: Server, board: str, ties: str) -> None:
    """A retry without a key costs nobody a place, however its metadata is spaced; other metadata is new."""
    ask(service, "PUT", f"/-/boards/{board}", {"ties": ties, "windows": ["daily"]})
    for name in "vw":
        ask(service, "POST", f"/{board}/{name}", {"score": 5, "metadata": {"a": [1, 2]}})
    before = entries(service, board, "include=rank,metadata,submittedAt")
    changed = []
    for metadata in (b'{"a": [1, 2]}', b"null", b'{"a":[1,2]}', b'{"a":[1,2.0]}', b'{"a":[1,2.0]}'):
        body = b'{"score": 5.0, "metadata": %b}' % metadata
        changed.append(ask(service, "POST", f"/{board}/v", body, REPRESENTATION).json["changed"])
    assert changed == [False, False, False, True, False]
    after = entries(service, board, "include=rank,metadata,submittedAt")
    kept = ("name", "score", "rank", "submittedAt")
    assert [[entry[field] for field in kept] for entry in after] == [
        [entry[field] for field in kept] for entry in before
    ]
    assert {entry["name"]: entry["metadata"] for entry in after} == {"v": {"a": [1, 2.0]}, "w": {"a": [1, 2]}}


def test_change_in_a_window(service: Server, board: str) -> None:
    """A submit that is new in a window alone has changed something."""
    ask(service, "PUT", f"/-/boards/{board}", {"operator": "best", "windows": ["daily"]})
    ask(service, "POST", f"/{board}/v", {"score": 5})
    ask(service, "DELETE", f"/{board}/v?window=daily")
    replies = [ask(service, "POST", f"/{board}/v", {"score": 4}, REPRESENTATION).json for _ in range(2)]
    standing = {"score": 5, "rank": 0}
    assert replies == [standing | {"previous": standing, "changed": changed} for changed in (True, False)]
    assert ask(service, "GET", f"/{board}/v?window=daily").json == {"score": 4, "rank": 0}


def test_metadata_alone(service: Server, board: str) -> None:
    """PATCH replaces metadata, and nothing else, on a board and in its current periods, or in one period."""
    ask(service, "PUT", f"/-/boards/{board}", {"ties": "earliest", "windows": ["daily", "weekly"]})
    for name in "vw":
        ask(service, "POST", f"/{board}/{name}", {"score": 5})
    before = entries(service, board, "include=submittedAt")
    assert ask(service, "PATCH", f"/{board}/v", {"metadata": {"car": 1}}).status == 204
    assert ask(service, "PATCH", f"/{board}/v?window=weekly", {"metadata": [2]}).status == 204
    assert entries(service, board, "include=submittedAt") == before
    found = [
        entries(service, board, f"include=metadata{window}")[0] for window in ("", "&window=daily", "&window=weekly")
    ]
    assert [entry["metadata"] for entry in found] == [{"car": 1}, {"car": 1}, [2]]
    assert ask(service, "PATCH", f"/{board}/v", {"metadata": None}).status == 204
    assert [entry["metadata"] for entry in entries(service, board)] == [None, None]


@pytest.mark.parametrize(
    ("path", "body", "status", "detail"),
    [
        ("{board}/nobody", b'{"metadata": 1}', 404, "is not on this board"),
        ("{board}/v?window=daily&period=2020-01-01", b'{"metadata": 1}', 404, "is not on this board"),
        ("{board}-2/v", b'{"metadata": 1}', 404, "is not on this board"),
        ("{board}/v?window=weekly", b'{"metadata": 1}', 400, "is no window"),
        ("{board}/v?startRank=1", b'{"metadata": 1}', 400, "startRank goes with"),
        ("{board}/v", b"{}", 422, "A change of metadata needs the field metadata"),
        ("{board}/v", b'{"metadata": 1, "score": 2}', 422, "has no field"),
        ("{board}/v", b'{"metadata": "%b"}' % (b"x" * 1023), 422, "it may have 1,024"),
        ("{board}/v", b'{"metadata": {"a": 1, "a": 2}}', 400, "stands twice"),
        ("{board}/v", b"", 400, "empty"),
    ],
    ids=["name", "period", "board", "window", "parameter", "no field", "field", "size", "twice", "no body"],
)
def test_bad_change_of_metadata(service: Server, board: str, path: str, body: bytes, status: int, detail: str) -> None:
    """What PATCH cannot do is refused, and nothing is changed."""
    ask(service, "PUT", f"/-/boards/{board}", {"windows": ["daily"]})
    ask(service, "POST", f"/{board}/v", {"score": 5, "metadata": {}})
    reply = ask(service, "PATCH", f"/{path.format(board=board)}", body)
    assert (reply.status, detail in reply.json["detail"]) == (status, True)
    assert [entry["metadata"] for entry in entries(service, board)] == [{}]


def test_damaged_metadata(tmp_path: Path) -> None:
    """Metadata that the disk has lost takes nothing else of its page away, and is told of its entry alone."""
    with running(tmp_path) as service:
        for name, score in (("v", 2), ("w", 1)):
            ask(service, "POST", f"/b/{name}", {"score": score, "metadata": {"of": name}})
        with closing(sqlite3.connect(tmp_path / "journal.db")) as db, db:
            db.execute("UPDATE note SET body = x'00' WHERE sequence = (SELECT min(sequence) FROM note)")
        damaged = {"name": "v", "score": 2, "metadata": None, "metadataDamaged": True}
        assert entries(service, "b") == [damaged, {"name": "w", "score": 1, "metadata": {"of": "w"}}]
        assert entries(service, "b", "include=rank,metadata")[0] == damaged | {"rank": 0}
        ask(service, "PATCH", "/b/v", {"metadata": 5})
        assert entries(service, "b")[0] == {"name": "v", "score": 2, "metadata": 5}
