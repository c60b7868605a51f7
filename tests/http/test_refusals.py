"""What a store cannot do is refused, and never answered with less: here by Momento."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.asking import ask
from tests.conftest import Server, started

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.momento import Momento

SERVE = [sys.executable, "-m", "laurels", "serve", "--port", "0", "--store"]


@pytest.fixture(scope="module")
def cached(momento: Momento) -> Iterator[Server]:
    """Start a service over a cache of Momento's."""
    environment = os.environ | {"MOMENTO_ENDPOINT": f"http://{momento.host}:{momento.port}"}
    with started([*SERVE, f"momento:{momento.new_cache()}"], environment) as server:
        yield server


@pytest.mark.parametrize(
    ("method", "path", "body", "headers"),
    [
        ("POST", "/{board}/v", {"score": 1}, {"idempotency-key": "k"}),
        ("POST", "/{board}/v", {"score": 1, "metadata": {}}, {}),
        ("POST", "/{board}/v", {"score": 1, "metadata": {}}, {"prefer": "return=representation"}),
        ("POST", "/{board}", {"entries": [{"name": "v", "score": 1}]}, {"idempotency-key": "k"}),
        ("POST", "/{board}", {"entries": [{"name": "v", "score": 1, "metadata": 1}]}, {}),
        ("GET", "/{board}?include=metadata", None, {}),
        ("GET", "/{board}?include=rank,submittedAt", None, {}),
        ("GET", "/{board}?include=cursor", None, {}),
        ("GET", "/{board}?around=v", None, {}),
        ("GET", "/-/boards/{board}/summary", None, {}),
        ("GET", "/-/boards/{board}/rank?score=1", None, {}),
        ("GET", "/-/boards/{board}/periods", None, {}),
        ("GET", "/-/boards", None, {}),
        ("GET", "/-/boards/{board}/hidden", None, {}),
        ("PUT", "/-/boards/{board}/hidden/v", None, {}),
        ("DELETE", "/-/boards/{board}/hidden/v", None, {}),
        ("PUT", "/-/boards/{board}", {"order": "ascending"}, {}),
        ("PUT", "/-/boards/{board}", {"operator": "best"}, {}),
        ("DELETE", "/-/boards/{board}", None, {}),
    ],
    ids=str,
)
def test_refused_by_capability(
    cached: Server, board: str, method: str, path: str, body: Any, headers: dict[str, str]
) -> None:
    """What the store cannot do is a 422 that says so, and nothing is stored."""
    reply = ask(cached, method, path.format(board=board), body, headers)
    assert (reply.status, "This service cannot" in reply.json["detail"]) == (422, True), reply
    assert ask(cached, "GET", f"/{board}").json == {"leaderboard": []}


def test_preference_is_ignored(cached: Server, board: str) -> None:
    """A preference is no demand: a submit whose representation the store cannot know is accepted without."""
    reply = ask(cached, "POST", f"/{board}/v", {"score": 1}, {"prefer": "return=representation"})
    assert (reply.status, reply.body) == (202, b"")


def test_ranks_are_included(cached: Server, board: str) -> None:
    """A page has its ranks over any store."""
    ask(cached, "POST", f"/{board}/v", {"score": 1, "metadata": None})
    assert ask(cached, "GET", f"/{board}?include=rank").json == {"leaderboard": [{"name": "v", "score": 1, "rank": 0}]}
