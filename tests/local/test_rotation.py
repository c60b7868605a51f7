"""Rotation of the key while players submit and read."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from infra.local.stack import make_key
from tests.asking import ask
from tests.length import times

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.local.conftest import Stack

pytestmark = pytest.mark.slow

ROUNDS = times(8)


class Player(threading.Thread):
    """Submits and reads, one request after another, until it is stopped; keeps every reply."""

    def __init__(self, stack: Stack, name: str) -> None:
        super().__init__()
        self.stack = stack
        self.path = f"/rotated/{name}"
        self.replies: list[tuple[int, bytes]] = []
        self.score = 0
        self.stopping = threading.Event()

    def run(self) -> None:
        """Submit and read in turns."""
        while not self.stopping.is_set():
            submit = ask(self.stack, "POST", self.path, {"score": self.score + 1})
            self.score += submit.status == 202
            reads = (ask(self.stack, "GET", self.path), ask(self.stack, "GET", "/rotated"))
            self.replies += [(reply.status, reply.body) for reply in (submit, *reads)]


@contextmanager
def playing(stack: Stack, count: int) -> Iterator[list[Player]]:
    """Run so many players until the end of the block."""
    players = [Player(stack, f"player-{number}") for number in range(count)]
    for player in players:
        player.start()
    try:
        yield players
    finally:
        for player in players:
            player.stopping.set()
            player.join()


def wait_for_rounds(players: list[Player]) -> None:
    """Wait until each player has played some more rounds."""
    aims = [len(player.replies) + 3 * ROUNDS for player in players]
    while any(player.is_alive() and len(player.replies) < aim for player, aim in zip(players, aims, strict=True)):
        threading.Event().wait(0.02)


def revoke_others(stack: Stack, kept: str) -> None:
    """Revoke all keys of the functions except one, given by its id."""
    momento = stack.places.momento
    headers = {"authorization": momento["MOMENTO_API_KEY"]}
    with httpx.Client(base_url=momento["MOMENTO_ACCOUNT_URL"], headers=headers) as account:
        keys = account.get("/api-keys").json()["key_info"]
        for key in keys:
            if key["description"] == stack.places.cache and key["key_id"] != kept:
                account.delete(f"/api-keys/{key['key_id']}").raise_for_status()


def test_rotation_under_load(stack: Stack) -> None:
    """No request fails while a new key is stored and the old one is revoked."""
    with playing(stack, 4) as players:
        wait_for_rounds(players)
        key, key_id = make_key(stack.places.momento, stack.places.cache)
        stack.ssm.put_parameter(Name=stack.places.parameter, Value=key, Type="SecureString", Overwrite=True)
        revoke_others(stack, key_id)
        wait_for_rounds(players)
    assert {status for player in players for status, _ in player.replies} == {200, 202}
    for player in players:
        assert ask(stack, "GET", player.path).json["score"] == player.score


def test_no_key_in_any_log(stack: Stack) -> None:
    """No key is in any log: not the one in use, nor the one with which that was made."""
    ask(stack, "POST", "/logged/v", {"score": 1})
    keys = [stack.ssm.get_parameter(Name=stack.places.parameter, WithDecryption=True)["Parameter"]["Value"]]
    keys += [value for name, value in stack.places.momento.items() if name.endswith("API_KEY")]
    logs = [log for log in Path(stack.places.logs).iterdir() if log.name != "momento.log"]
    assert not [log.name for log in logs for key in keys if key.encode() in log.read_bytes()]
    assert any(log.read_bytes() for log in logs)
