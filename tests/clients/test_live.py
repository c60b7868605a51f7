"""The feed as others read it: Node's WebSocket and EventSource, and curl."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.asking import ask
from tests.conftest import running
from tests.processes import FOREIGN, end

if TYPE_CHECKING:
    from collections.abc import Iterator

NODE = ["node", "--no-warnings", "--experimental-websocket", "--experimental-eventsource"]
HERE = Path(__file__).parent


@contextmanager
def listening(*command: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Run a program that prints what it is told."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=FOREIGN) as process:
        try:
            yield process
        finally:
            end(process)


def read_lines(process: subprocess.Popen[str], count: int) -> list[Any]:
    """Read so many lines of JSON, ordered by the client that printed them."""
    assert process.stdout is not None
    return sorted((json.loads(process.stdout.readline()) for _ in range(count)), key=lambda line: str(line["client"]))


def test_node(tmp_path: Path) -> None:
    """Node gets the same events over either, and is told that it may come again."""
    with running(tmp_path) as server, listening(*NODE, HERE / "live.mjs", f"{server.url}/-/boards/kart/live") as node:
        pages = read_lines(node, 2)
        assert [page.pop("client") for page in pages] == ["EventSource", "WebSocket"]
        assert pages[0] == pages[1]
        assert pages[0]["data"] == {"leaderboard": [], "total": 0}
        ask(server, "POST", "/kart/v", {"score": 1})
        shown = {"name": "v", "score": 1, "rank": 0, "place": 0}
        assert [change["data"]["set"] for change in read_lines(node, 2)] == [[shown]] * 2
        server.stop()
        assert read_lines(node, 1) == [{"client": "WebSocket", "code": 1012}]


def test_curl(tmp_path: Path) -> None:
    """Curl prints events as they come, and ends well when the service does."""
    with running(tmp_path) as server, listening("curl", "-sSN", f"{server.url}/-/boards/kart/live") as curl:
        assert curl.stdout is not None
        assert [curl.stdout.readline() for _ in range(4)][1] == "event: page\n"
        ask(server, "POST", "/kart/v", {"score": 1})
        assert [curl.stdout.readline() for _ in range(4)][1] == "event: change\n"
        server.stop()
        assert curl.stdout.read().endswith("retry: 1000\n\n")
        assert curl.wait(30) == 0
