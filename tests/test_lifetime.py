"""The lines of the log in which a service says what runs, and that it ended."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from laurels.lifetime import Lifetime, Start, Stop, hide_secrets
from laurels.version import __version__
from tests.asking import ask
from tests.conftest import running, started
from tests.redis_servers import running as running_redis
from tests.test_workers import SERVE

if TYPE_CHECKING:
    from tests.conftest import Server


def lines_of(server: Server, how: signal.Signals = signal.SIGTERM) -> list[dict[str, Any]]:
    """Stop a server, and return the lines of its log."""
    server.stop(how)
    server.reading.join(30)
    return [json.loads(line) for line in server.log]


def test_start_and_stop(tmp_path: Path) -> None:
    """Two lines are the whole log of a quiet service: what runs, and by what it ended after how long."""
    for boards in (0, 1):
        with running(tmp_path, "--log-format", "json") as server:
            ask(server, "POST", "/kart/v", {"score": 1})
            start, stop = lines_of(server, signal.SIGINT)
        assert start | {"time": "", "message": "", "pid": 0} == {
            "time": "",
            "level": "INFO",
            "logger": "laurels",
            "message": "",
            "event": "start",
            "version": __version__,
            "store": "embedded",
            "directory": str(tmp_path),
            "boards": boards,
            "entries": boards,
            "addresses": [f"127.0.0.1:{server.port}"],
            "url": server.url,
            "access": "open",
            "workers": 1,
            "pid": 0,
            "page": f"{server.url}/BOARD",
            "console": f"{server.url}/-/console",
            "docs": f"{server.url}/-/docs",
        }
        assert start["pid"] == server.process.pid
        assert (stop["event"], stop["reason"]) == ("stop", "SIGINT")
        assert 0 <= stop["seconds"] < 60


def test_workers_over_redis(tmp_path: Path) -> None:
    """Of several workers the parent says both once; the password of the store is in neither."""
    file = tmp_path / "access.toml"
    file.write_text('[public]\nscopes = ["read"]\n')
    with running_redis(tmp_path / "node", requirepass="ring-a-bell") as node:
        place = f"127.0.0.1:{node.port}/0"
        options = ["--store", f"redis://:ring-a-bell@{place}", "--workers", "2", "--access", str(file)]
        with started([*SERVE, *options, "--log-format", "json", "--log-level", "debug"]) as server:
            start, stop = [line for line in lines_of(server) if "event" in line]
    log = "".join(server.log)
    assert (start["store"], start["workers"], start["pid"]) == (f"redis://{place}", 2, server.process.pid)
    assert start["access"] == str(file)
    assert f"the store redis://{place}; access by {file}, 2 workers." in start["message"]
    assert {"directory", "boards", "entries"}.isdisjoint(start)
    assert stop["reason"] == "SIGTERM"
    assert f"Connected to Redis at {place[:-2]}" in log
    assert "ring-a-bell" not in log


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("embedded", "embedded"),
        ("momento:boards", "momento:boards"),
        ("redis://user:pass@host/0", "redis://host/0"),
        ("redis+sentinel://:p@ss@a:1,b:2/main/0", "redis+sentinel://a:1,b:2/main/0"),
    ],
)
def test_urls_without_secrets(url: str, shown: str) -> None:
    """The URL of a store is shown without user and password."""
    assert hide_secrets(url) == shown


def test_fields_are_documented() -> None:
    """The page on the log has a row for each field."""
    page = Path(__file__).parent.parent.joinpath("docs", "observing.md").read_text()
    rows = " ".join(re.findall(r"^\| (`\w+`.*?) \|", page, re.MULTILINE))
    fields = {*Start.__struct_fields__, *Stop.__struct_fields__, "event"}
    fields |= {"client", "method", "route", "status", "bytes", "milliseconds", "board", "who", "trace_id", "span_id"}
    assert fields <= {*re.findall(r"`(\w+)`", rows)}


def test_end_that_nothing_began(caplog: pytest.LogCaptureFixture) -> None:
    """What could not start does not say that it ended."""
    Lifetime().end("SIGTERM")
    assert not caplog.messages
