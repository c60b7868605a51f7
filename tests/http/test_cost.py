"""What a body costs: the loop stands still while one is read, so no body may take a step of Python for each byte."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, pairwise
from typing import TYPE_CHECKING

import pytest

from laurels.errors import BadJSON, LaurelsError
from laurels.http.bodies import parse_batch, parse_definition, parse_metadata, parse_submit
from laurels.http.turns import Turns
from laurels.limits import BATCH_BYTES, BATCH_ENTRIES, BODY_BYTES
from tests.asking import ask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.conftest import Server

MOST_CALLS = 50 * BATCH_ENTRIES
ENTRIES = b'{"entries":['


def filled(begin: bytes, item: bytes, end: bytes, size: int = BATCH_BYTES) -> bytes:
    """Return as many items as fit."""
    return begin + b",".join([item] * ((size - len(begin) - len(end)) // (len(item) + 1))) + end


def batch(**fields: object) -> bytes:
    """Return a whole batch; each entry has these fields, too."""
    entries = [{"name": f"n{index}", "score": index, **fields} for index in range(BATCH_ENTRIES)]
    return json.dumps({"entries": entries}).encode()


def read(body: bytes) -> list[object]:
    """Read a whole batch."""
    entries = parse_batch(body)
    return [*chain.from_iterable(entries)] if isinstance(entries, Iterator) else [*entries]


def calls_of(function: Callable[[], object]) -> int:
    """Count the calls, of Python and of C, that a function takes."""
    count = 0

    def see(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(see)
    try:
        with suppress(LaurelsError):
            function()
    finally:
        sys.setprofile(before)
    return count


BATCHES = {
    "zeros": filled(ENTRIES, b"0", b"]}"),
    "empty objects": filled(ENTRIES, b"{}", b"]}"),
    "a list of zeros": filled(b"[", b"0", b"]"),
    "too many good entries": filled(ENTRIES, b'{"name":"n","score":1}', b"]}"),
    "tiny objects in metadata": filled(b'{"entries":[{"name":"n","score":1,"metadata":[', b'{"a":1}', b"]}]}"),
    "one key again and again": filled(b'{"entries":[{', b'"score":1', b"}]}"),
    "metadata nested": batch(metadata=[{"a": [{"b": [1]}]}] * 40),
    "scores too long": batch(score="9" * 900),
    "unknown fields": batch(metadate=1),
    "great scores": batch(score=1e22),
}
OTHERS = {
    "a submit of tiny objects": (parse_submit, filled(b'{"score":1,"metadata":[', b'{"":1}', b"]}", BODY_BYTES)),
    "a definition of tiny objects": (parse_definition, filled(b'{"keep":[', b'{"":1}', b"]}", BODY_BYTES)),
    "a definition of numbers": (parse_definition, filled(b'{"windows":[', b"1", b"]}", BODY_BYTES)),
}


@pytest.mark.parametrize("body", BATCHES.values(), ids=BATCHES)
def test_batch_costs_no_call_a_byte(body: bytes) -> None:
    """However a batch is filled, reading it takes some calls for each entry that it may have, and no more."""
    read(b'{"entries":[7]}')  # what is made once, is made
    assert calls_of(lambda: read(body)) < MOST_CALLS


@pytest.mark.parametrize(("parse", "body"), OTHERS.values(), ids=OTHERS)
def test_body_costs_no_call_a_byte(parse: Callable[[bytes], object], body: bytes) -> None:
    """The same holds for the other bodies, which are smaller."""
    assert calls_of(lambda: parse(body)) < BATCH_ENTRIES


def test_long_batch_counts_as_a_whole(service: Server, board: str) -> None:
    """A batch that is read in portions keeps its order, and has its refusals where they belong."""
    entries = [{"name": f"n{index % 999}", "score": index, "metadata": "m" * 900} for index in range(BATCH_ENTRIES)]
    entries[700]["metadata"] = "m" * 1025
    reply = ask(service, "POST", f"/{board}", json.dumps({"entries": entries}).encode())
    assert reply.json["accepted"] == 999
    assert [refusal["index"] for refusal in reply.json["refused"]] == [700]
    assert ask(service, "GET", f"/{board}/n0").json["score"] == 999


@pytest.mark.parametrize("end", [b'"metadata":{"a":1,"a":2}', b'"score":2', b'"metadata":"\xff"'])
def test_long_batch_is_refused_as_a_whole(service: Server, board: str, end: bytes) -> None:
    """What no body may have, in the last of many portions, refuses all of them."""
    good = filled(b"", b'{"name":"n","score":1,"metadata":"%b"}' % (b"m" * 900), b"", 900_000)
    reply = ask(service, "POST", f"/{board}", ENTRIES + good + b',{"name":"m","score":1,%b}]}' % end)
    assert reply.status == 400
    assert ask(service, "GET", f"/{board}").json == {"leaderboard": []}


@pytest.mark.anyio
async def test_others_have_their_turn_between_portions() -> None:
    """Between two portions the loop serves others, and the portions of two requests do not mix."""
    seen: list[str] = []

    def portions(name: str) -> Iterator[Sequence[str]]:
        for _ in range(3):
            asyncio.get_running_loop().call_soon(seen.append, "other")
            seen.append(name)
            yield [name]

    turns = Turns()
    found = await asyncio.gather(turns.collect(portions("a")), turns.collect(portions("b")))
    assert [*found] == [["a"] * 3, ["b"] * 3]
    assert [name for name in seen if name != "other"] == ["a"] * 3 + ["b"] * 3
    assert not {("a", "a"), ("b", "b")} & {*pairwise(seen)}


DEEP = {
    "metadata": (parse_submit, b'{"score":1,"metadata":%b}'),
    "metadata twice": (parse_submit, b'{"score":1,"metadata":%b,"metadata":1}'),
    "metadata alone": (parse_metadata, b'{"metadata":%b}'),
    "metadata in a batch": (read, b'{"entries":[{"name":"n","score":1,"metadata":%b}]}'),
    "metadata next to a great score": (read, b'{"entries":[{"name":"n","score":1e22,"metadata":%b}]}'),
    "metadata of a bad entry": (read, b'{"entries":[{"name":"n","score":"1","metadata":%b}]}'),
    "an entry": (read, b'{"entries":[%b]}'),
    "a definition": (parse_definition, b'{"keep":%b}'),
}


@pytest.mark.parametrize(("parse", "body"), DEEP.values(), ids=DEEP)
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")], ids=["lists", "objects"])
def test_bodies_of_any_depth(parse: Callable[[bytes], object], body: bytes, opening: bytes, closing: bytes) -> None:
    """However deeply a body is nested, it is read or refused, also where the stack is just about to end."""
    for depth in range(500, sys.getrecursionlimit() + 50):
        with suppress(LaurelsError):
            parse(body % (opening * depth + b"1" + closing * depth))


@pytest.mark.parametrize("metadata", [b'"\\ud800"', b'"\xff"', b'{"\xff":1}', b'{"a":"\xff","b":1,"b":2}'])
def test_metadata_that_is_no_text(metadata: bytes) -> None:
    """Strings that are no Unicode are no JSON, though msgspec does not look into what it is not asked for."""
    with pytest.raises(BadJSON):
        parse_submit(b'{"score":1,"metadata":%b}' % metadata)


def test_key_twice_in_a_long_body() -> None:
    """A body too long to be searched for the key is refused all the same."""
    with pytest.raises(BadJSON, match="a key stands twice in one object"):
        read(b'{"entries":[%b{"name":"n","score":1}],"entries":[]}' % (b" " * BODY_BYTES))
