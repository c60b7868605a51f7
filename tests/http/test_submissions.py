"""What may come with a submit, a key and metadata, as a client sees it, over both skins."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.asking import ask, exchange
from tests.conftest import running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Server

TOLD = {"prefer": "return=representation"}
LARGEST = {"x": "y" * 1016}


def keyed(key: str, **more: str) -> dict[str, str]:
    """Give the headers of a request with a key."""
    return {"idempotency-key": key} | more


def adds(service: Server, board: str) -> None:
    """Make it a board whose scores are added."""
    assert ask(service, "PUT", f"/-/boards/{board}", {"operator": "increment"}).status == 201


def entries(service: Server, board: str, query: str = "include=metadata") -> list[dict[str, Any]]:
    """Read what a board has."""
    found: list[dict[str, Any]] = ask(service, "GET", f"/{board}?{query}").json["leaderboard"]
    return found


@pytest.mark.parametrize("prefer", [{}, TOLD], ids=["silent", "told"])
def test_replay_counts_once(service: Server, board: str, prefer: dict[str, str]) -> None:
    """The same request with the same key gets the first answer, and nothing is added."""
    adds(service, board)
    first, second = (ask(service, "POST", f"/{board}/v", {"score": 5}, keyed("k", **prefer)) for _ in range(2))
    assert (first.status, first.body) == (second.status, second.body)
    assert ask(service, "GET", f"/{board}/v").json == {"score": 5, "rank": 0}


def test_replay_tells_the_first_answer(service: Server, board: str) -> None:
    """What a replay is told is what was true then, whatever has happened since."""
    ask(service, "POST", f"/{board}/v", {"score": 5}, keyed("k"))
    ask(service, "POST", f"/{board}/w", {"score": 6})
    replayed = ask(service, "POST", f"/{board}/v", {"score": 5}, keyed("k", **TOLD))
    assert replayed.json == {"score": 5, "rank": 0, "previous": None, "changed": True}


@pytest.mark.parametrize(
    "body", [{"score": 6}, {"score": 5, "metadata": {}}, {"score": 5.5}], ids=["score", "metadata", "fraction"]
)
def test_key_with_another_body(service: Server, board: str, body: object) -> None:
    """A key that stands for one submit is refused with another, which changes nothing."""
    ask(service, "POST", f"/{board}/v", {"score": 5}, keyed("k"))
    reply = ask(service, "POST", f"/{board}/v", body, keyed("k"))
    assert (reply.status, "key" in reply.json["detail"]) == (422, True)
    assert ask(service, "GET", f"/{board}/v").json == {"score": 5, "rank": 0}


@pytest.mark.parametrize("path", ["/{board}/w", "/{board}-2/v"], ids=["name", "board"])
def test_key_is_of_its_route(service: Server, board: str, path: str) -> None:
    """The same key on another name or another board is another key."""
    ask(service, "POST", f"/{board}/v", {"score": 5}, keyed("k"))
    assert ask(service, "POST", path.format(board=board), {"score": 6}, keyed("k")).status == 202
    assert ask(service, "GET", path.format(board=board)).json["score"] == 6


@pytest.mark.parametrize("key", ["x", "x" * 255, '"8e03978e-40d5-43e8-bc93-6894a57f9324"', "!~,;="], ids=str)
def test_good_key(service: Server, board: str, key: str) -> None:
    """A key is any visible ASCII."""
    assert ask(service, "POST", f"/{board}/v", {"score": 5}, keyed(key)).status == 202
    assert ask(service, "POST", f"/{board}/v", {"score": 6}, keyed(key)).status == 422


@pytest.mark.parametrize("key", [b"", b"x" * 256, b"a b", b"\xc3\xa9", b"a\tb", b"a\r\nIdempotency-Key: b"], ids=ascii)
@pytest.mark.parametrize("target", ["/v", ""], ids=["submit", "batch"])
def test_bad_key(service: Server, board: str, key: bytes, target: str) -> None:
    """Any other key, or two of them, is a 400 that names the header."""
    body = b'{"score":1}' if target else b'{"entries":[{"name":"v","score":1}]}'
    head = f"POST /{board}{target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nIdempotency-Key: ".encode()
    (reply,) = exchange(service, head + key + b"\r\n\r\n" + body)
    assert (reply.status, reply.json["parameter"]) == (400, "Idempotency-Key")
    assert ask(service, "GET", f"/{board}").json == {"leaderboard": []}


def test_batch_counts_once(service: Server, board: str) -> None:
    """The same batch with the same key gets the first answer, its refusals too, and nothing is added."""
    adds(service, board)
    batch = {"entries": [{"name": "v", "score": 5}, {"name": "", "score": 1}, {"name": "v", "score": 2}]}
    first, second = (ask(service, "POST", f"/{board}", batch, keyed("k")) for _ in range(2))
    assert (first.json["accepted"], first.body) == (2, second.body)
    assert ask(service, "GET", f"/{board}/v").json == {"score": 7, "rank": 0}


def test_key_with_another_batch(service: Server, board: str) -> None:
    """A batch's key is refused with another batch."""
    ask(service, "POST", f"/{board}", {"entries": [{"name": "v", "score": 5}]}, keyed("k"))
    other = {"entries": [{"name": "v", "score": 5}, {"name": "w", "score": 5}]}
    assert ask(service, "POST", f"/{board}", other, keyed("k")).status == 422
    assert entries(service, board, "") == [{"name": "v", "score": 5}]


def test_refused_submit_has_not_used_its_key(service: Server, board: str) -> None:
    """A submit that was refused may be mended, and sent with its key."""
    assert ask(service, "POST", f"/{board}/v", {"score": "5"}, keyed("k")).status == 422
    assert ask(service, "POST", f"/{board}/v", {"score": 5}, keyed("k")).status == 202


def test_key_outlives_a_crash(tmp_path: Path) -> None:
    """A submit that was added, and whose process was killed, is not added again."""
    with running(tmp_path) as service:
        adds(service, "kart")
        first = ask(service, "POST", "/kart/v", {"score": 5}, keyed("k", **TOLD))
        service.stop(signal.SIGKILL)
    with running(tmp_path) as service:
        assert ask(service, "POST", "/kart/v", {"score": 5}, keyed("k", **TOLD)).body == first.body
        assert ask(service, "GET", "/kart/v").json == {"score": 5, "rank": 0}


@pytest.mark.parametrize("query", ["", "around=v&span=0&", "name=v&", "minScore=1&", "startRank=0&endRank=1&"])
def test_metadata_on_every_read(service: Server, board: str, query: str) -> None:
    """What came with a score is given with it, where it is asked for."""
    ask(service, "POST", f"/{board}/v", {"score": 5, "metadata": {"car": "pipe"}})
    (entry,) = entries(service, board, f"{query}include=metadata")
    assert entry["metadata"] == {"car": "pipe"}
    assert "metadata" not in entries(service, board, query)[0]


def test_metadata_behind_a_cursor(service: Server, board: str) -> None:
    """A page behind a cursor has what it is asked for, too."""
    ask(service, "POST", f"/{board}/v", {"score": 5})
    ask(service, "POST", f"/{board}/w", {"score": 4, "metadata": [1]})
    cursor = ask(service, "GET", f"/{board}?endRank=1&include=cursor").json["next"]
    assert entries(service, board, f"cursor={cursor}&include=metadata") == [{"name": "w", "score": 4, "metadata": [1]}]


@pytest.mark.parametrize(
    ("sent", "given"),
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
def test_metadata_comes_back_as_it_was_written(service: Server, board: str, sent: bytes, given: bytes) -> None:
    """Every digit and escape stays; only the space between is taken out. Null is no metadata."""
    assert ask(service, "POST", f"/{board}/v", b'{"score":1,"metadata":%b}' % sent).status == 202
    reply = ask(service, "GET", f"/{board}?include=metadata")
    assert reply.body == b'{"leaderboard":[{"name":"v","score":1,"metadata":%b}]}' % given


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
    """Metadata that is too large, or that not all readers of JSON would read alike, is refused with its score."""
    reply = ask(service, "POST", f"/{board}/v", b'{"score":1,"metadata":%b}' % metadata)
    assert (reply.status, says in reply.json["detail"]) == (status, True), reply
    assert reply.json.get("pointer") == ("/metadata" if status == 422 else None)
    assert entries(service, board) == []


def test_metadata_in_a_batch(service: Server, board: str) -> None:
    """Each entry has its own, and is refused alone where that is not good."""
    good = {"name": "v", "score": 2, "metadata": {"lap": 1}}
    batch = [good, {"name": "w", "score": 1, "metadata": "x" * 1030}, {"name": "x", "score": 0, "metadata": None}]
    reply = ask(service, "POST", f"/{board}", {"entries": batch}).json
    assert ([refusal["index"] for refusal in reply["refused"]], "1,024" in reply["refused"][0]["problem"]) == (
        [1],
        True,
    )
    assert entries(service, board) == [good, {"name": "x", "score": 0, "metadata": None}]


def test_number_beyond_doubles_in_a_batch(service: Server, board: str) -> None:
    """Metadata with a number that no double holds refuse their own entry alone."""
    batch = b'{"entries":[{"name":"v","score":1,"metadata":[1e400]},{"name":"w","score":1}]}'
    reply = ask(service, "POST", f"/{board}", batch).json
    assert (reply["accepted"], "out of range" in reply["refused"][0]["problem"]) == (1, True)


def test_batch_of_great_scores_with_metadata(service: Server, board: str) -> None:
    """Entries that must be read one by one keep their metadata."""
    entry = b'{"name":"v","score":1152921504606846976.0,"metadata":{"a":1}}'
    assert ask(service, "POST", f"/{board}", b'{"entries":[%b]}' % entry).json["accepted"] == 1
    assert entries(service, board) == [{"name": "v", "score": 2**60, "metadata": {"a": 1}}]


def test_metadata_of_the_attempt_that_counts(service: Server, board: str) -> None:
    """A submit that does not count keeps the old metadata, and one that counts without any takes it away."""
    ask(service, "PUT", f"/-/boards/{board}", {"operator": "best"})
    for score, metadata in ((5, {"lap": 1}), (4, {"lap": 2})):
        ask(service, "POST", f"/{board}/v", {"score": score, "metadata": metadata})
    assert entries(service, board) == [{"name": "v", "score": 5, "metadata": {"lap": 1}}]
    ask(service, "POST", f"/{board}/v", {"score": 6})
    assert entries(service, board) == [{"name": "v", "score": 6, "metadata": None}]


def test_submitted_at(service: Server, board: str) -> None:
    """The time of an attempt is told in UTC, to the millisecond."""
    before = datetime.now(UTC)
    ask(service, "POST", f"/{board}/v", {"score": 5})
    (entry,) = entries(service, board, "include=submittedAt")
    told = datetime.strptime(entry["submittedAt"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert before.replace(microsecond=before.microsecond // 1000 * 1000) <= told <= datetime.now(UTC)
    assert len(entry["submittedAt"]) == len("2026-11-22T05:00:00.123Z")


def test_all_fields(service: Server, board: str) -> None:
    """Fields stand in one order, however they were asked for."""
    ask(service, "POST", f"/{board}/v", {"score": 5})
    (entry,) = entries(service, board, "include=submittedAt,metadata,rank")
    assert list(entry) == ["name", "score", "rank", "metadata", "submittedAt"]
