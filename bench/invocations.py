"""Programs that run in place of a Lambda function and time themselves: cold and warm, ours and by hand.

Run as ``python -S -P invocations.py PROGRAM EVENT RESULT`` with only a function's asset and the packages of Lambda's
Python runtime on the path, in the environment of a function. The times are written to RESULT as JSON; stdout is left to
the function.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Parts = dict[str, float]

ROUNDS = 15
CALLS = 100
WEEK = timedelta(days=7)


class Context:
    """As much of Lambda's context as a function reads."""

    aws_request_id = "79104EXAMPLEB723"
    function_name = "laurels-bench-get-standing"


def cold(event: dict[str, Any]) -> Parts:
    """Time a cold start of ``get_standing``: from the first import to its first response."""
    begun = time.perf_counter()
    parameters: Any = import_module("laurels.serverless.parameters")
    import_module("laurels.serverless.function")
    imported = time.perf_counter()
    spent: list[float] = []
    fetch = parameters.parameter  # only it knows how long SSM takes

    def timed(*arguments: Any) -> Any:
        called = time.perf_counter()
        try:
            return fetch(*arguments)
        finally:
            spent.append(time.perf_counter() - called)

    parameters.parameter = timed
    handlers = import_module("laurels.serverless.handlers")
    ready = time.perf_counter()
    succeeded(handlers.get_standing(event, Context))
    answered = time.perf_counter()
    return {
        "import": imported - begun,
        "key": spent[0],
        "client": ready - imported - spent[0],
        "first response": answered - ready,
        "total": answered - begun,
    }


def start(event: dict[str, Any]) -> Parts:
    """Time the same as a whole, by the handler's name alone, which is the same in every version."""
    begun = time.perf_counter()
    succeeded(import_module("laurels.serverless.handlers").get_standing(event, Context))
    return {"total": time.perf_counter() - begun}


def by_hand(event: dict[str, Any]) -> Parts:
    """Time a cold start of the same function with nothing but the two SDKs: one call of each."""
    begun = time.perf_counter()
    boto3, momento = import_module("boto3"), import_module("momento")
    imported = time.perf_counter()
    name = os.environ["LAURELS_KEY_PARAMETER"]
    key = boto3.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    known = time.perf_counter()
    names = event["pathParameters"]

    async def ask() -> Any:
        return await client(momento, key).sorted_set_get_rank(cache(), names["board"], names["name"])

    rank = asyncio.new_event_loop().run_until_complete(ask()).rank
    answered = time.perf_counter()
    assert rank == 0  # noqa: S101 - it is the only entry
    return {
        "import": imported - begun,
        "key": known - imported,
        "client and call": answered - known,
        "total": answered - begun,
    }


def warm(event: dict[str, Any]) -> Parts:
    """Time what each function adds to the bare calls it makes, in seconds; the two are called in turns."""
    handlers = import_module("laurels.serverless.handlers")
    momento = import_module("momento")
    key = import_module("boto3").client("ssm").get_parameter(Name=os.environ["LAURELS_KEY_PARAMETER"])
    order = import_module("momento.requests").SortOrder.DESCENDING
    loop = asyncio.new_event_loop()
    board, name = event["pathParameters"]["board"], event["pathParameters"]["name"]
    submit = event | {"httpMethod": "POST", "body": '{"score":2077}'}
    page = event | {"pathParameters": {"board": board}}

    async def connect() -> Any:
        return client(momento, key["Parameter"]["Value"])

    bare = loop.run_until_complete(connect())

    async def standing() -> None:
        score = bare.sorted_set_get_score(cache(), board, name)
        await asyncio.gather(score, bare.sorted_set_get_rank(cache(), board, name, order))

    async def put() -> None:
        await bare.sorted_set_put_element(cache(), board, name, 2077.0)

    async def fetch() -> None:
        await bare.sorted_set_fetch_by_rank(cache(), board, 0, 20, order)

    pairs: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "submit_score": (
            lambda: handlers.submit_score(submit, Context),
            lambda: loop.run_until_complete(put()),
        ),
        "get_standing": (
            lambda: handlers.get_standing(event, Context),
            lambda: loop.run_until_complete(standing()),
        ),
        "get_leaderboard": (
            lambda: handlers.get_leaderboard(page, Context),
            lambda: loop.run_until_complete(fetch()),
        ),
    }
    for ours, _ in pairs.values():
        succeeded(ours())
    return {name: statistics.median(over(*pair) for _ in range(ROUNDS)) for name, pair in pairs.items()}


def over(ours: Callable[[], Any], bare: Callable[[], Any]) -> float:
    """Return by how many seconds the median of ours is above that of the bare calls, in one round."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(CALLS):
        for call, times in zip((ours, bare), taken, strict=True):
            begun = time.perf_counter()
            call()
            times.append(time.perf_counter() - begun)
    return statistics.median(taken[0]) - statistics.median(taken[1])


def cache() -> str:
    """Return the name of the cache from the environment."""
    return os.environ["LAURELS_MOMENTO_CACHE"]


def client(momento: Any, key: str) -> Any:
    """Make the SDK's client the way its documentation does for Lambda."""
    host, _, port = os.environ["LAURELS_MOMENTO_ENDPOINT"].removeprefix("http://").partition(":")
    credentials = momento.CredentialProvider(key, host, host, host, int(port))
    return momento.CacheClientAsync(momento.Configurations.Lambda.latest(), credentials, WEEK)


def succeeded(answer: dict[str, Any]) -> None:
    """Raise if the response is an error: its time would mean nothing."""
    if answer["statusCode"] >= 400:  # noqa: PLR2004
        raise AssertionError(answer["body"])


PROGRAMS = {"cold": cold, "start": start, "by hand": by_hand, "warm": warm}

if __name__ == "__main__":
    program, event_file, result = sys.argv[1:]
    measured = PROGRAMS[program](json.loads(Path(event_file).read_text())["event"])
    Path(result).write_text(json.dumps(measured))
