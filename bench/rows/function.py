"""The functions of the serverless stack: their cold start, what they add to a warm call, their size.

The cold start is compared with that of a function written by hand. Functions run from their asset, compiled files and
all, with the packages of Lambda's Python runtime and nothing else.
"""

from __future__ import annotations

import json
import os
import secrets
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from bench import servers
from bench.figures import Figure, Measure, Run, Subject, Target, compare, single
from bench.machine import CLIENT_CORE, pinned
from infra import assets
from infra.runtimes import HERE
from laurels.momento_local.keys import SECRET_BYTES, Keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Parts = dict[str, float]

EVENTS = servers.ROOT / "tests" / "serverless" / "events"
LAMBDA_RUNTIME = servers.ROOT / "build" / "lambda-runtime"
PARAMETER, CACHE = "/bench/momento-api-key", "bench"
ROUNDS = 5
"""Cold starts of each side in one repeat, taken in turns."""


def function(run: Run) -> Iterator[Figure]:
    """Start and call the functions on a local Momento server and an SSM server."""
    directory = run.directory / "function"
    directory.mkdir()
    asset = assets.build(HERE, directory)
    with services(directory) as environment:
        # The first call submits the score that the others read, and brings the asset's files into the page cache.
        call_function("warm", asset, environment, directory)
        pairs = [
            (
                call_function("cold", asset, environment, directory),
                call_function("by hand", asset, environment, directory),
            )
            for _ in range(ROUNDS * run.repeat)
        ]
        warm = [call_function("warm", asset, environment, directory) for _ in range(run.repeat)]
    yield _cold(pairs)
    yield _warm(warm)
    size = sum(file.stat().st_size for file in asset.rglob("*") if file.is_file())
    yield single(
        Subject("function", "a function's asset, unzipped", "MB", Target("<=", 35, "figure")), Measure(size / 1e6)
    )


def _cold(pairs: Sequence[tuple[Parts, Parts]]) -> Figure:
    subject = Subject("function", "cold start of get_standing, to the first response", "ms", Target("<=", 1.2))
    totals = [(Measure(ours["total"] * 1e3), Measure(theirs["total"] * 1e3)) for ours, theirs in pairs]
    ours, theirs = (_parts([pair[side] for pair in pairs]) for side in (0, 1))
    return compare(subject, "by hand", totals, f"{ours}; by hand: {theirs}")


def _parts(starts: Sequence[Parts]) -> str:
    medians = {part: statistics.median(start[part] for start in starts) * 1e3 for part in starts[0] if part != "total"}
    return ", ".join(f"{part} {taken:.0f}" if taken >= 10 else f"{part} {taken:.1f}" for part, taken in medians.items())  # noqa: PLR2004


def _warm(rounds: Sequence[Parts]) -> Figure:
    added = {name: statistics.median(taken[name] for taken in rounds) * 1e3 for name in rounds[0]}
    subject = Subject("function", "a warm invocation, over the bare calls it makes", "ms", Target("<=", 0.5, "figure"))
    note = ", ".join(f"{name} {taken:.2f}" for name, taken in added.items())
    return single(subject, Measure(max(added.values())), f"the greatest of {note}")


@contextmanager
def services(directory: Path) -> Iterator[Mapping[str, str]]:
    """Run the servers that functions call; yield the environment of a function that uses them."""
    secret = directory / "secret"
    secret.write_bytes(secrets.token_bytes(SECRET_BYTES))
    key = Keys(secret.read_bytes(), time.time).owner()
    options = ("--secret-file", str(secret), "--cache", CACHE)
    with servers.momento(directory, *options) as momento, servers.ssm(directory) as ssm:
        momento.await_answer(servers.HTTP_2_HELLO, servers.HTTP_2_WELCOME)
        ssm.await_answer()
        account = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "eu-central-1"}
        client = boto3.client(
            "ssm",
            endpoint_url=f"http://127.0.0.1:{ssm.port}",
            region_name="eu-central-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",  # noqa: S106 - no secret: the server takes any
        )
        client.put_parameter(Name=PARAMETER, Value=key, Type="SecureString")
        yield account | {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL_SSM": f"http://127.0.0.1:{ssm.port}",
            "LAURELS_STAGE": "prod",
            "LAURELS_KEY_PARAMETER": PARAMETER,
            "LAURELS_MOMENTO_CACHE": CACHE,
            "LAURELS_MOMENTO_ENDPOINT": f"http://127.0.0.1:{momento.port}",
        }


def call_function(program: str, asset: Path, environment: Mapping[str, str], directory: Path) -> Parts:
    """Run one of the programs of ``bench/invocations.py`` on an asset; return the seconds of its parts."""
    result = directory / "result.json"
    script = Path(servers.ROOT / "bench" / "invocations.py")
    environment = {**environment, "PYTHONPATH": os.pathsep.join([str(asset), str(LAMBDA_RUNTIME)])}
    command = [sys.executable, "-S", "-P", str(script), program, str(EVENTS / "rest-standing.json"), str(result)]
    with (directory / "functions.log").open("ab") as log:
        subprocess.run(pinned(CLIENT_CORE, command), env=environment, stdout=log, check=True, cwd=directory)
    parts: Parts = json.loads(result.read_text())
    return parts
