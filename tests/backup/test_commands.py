"""``laurels serve --archive``, ``restore`` and ``verify``, as somebody types them."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from laurels.cli import main
from tests.asking import ask
from tests.conftest import running
from tests.length import times

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from tests.buckets import Buckets
    from tests.conftest import Server

KILLS, MOMENTS = times(4), times(3)
NAMES = 30


def laurels(*arguments: object, **environment: str) -> Result:
    """Type a command."""
    return CliRunner().invoke(main, [str(each) for each in arguments], env=environment, prog_name="laurels")


def read_board(data: Path) -> dict[str, int]:
    """Serve a directory, and return what is on the board."""
    with running(data) as server:
        reply = ask(server, "GET", "/kart?startRank=0&endRank=1000")
        return {each["name"]: each["score"] for each in reply.json["leaderboard"]}


class Players:
    """Who submits to a board, one score after the other, and knows what was on it when."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.board: dict[str, int] = {}
        self.history: list[tuple[str, dict[str, int]]] = []

    def play(self, server: Server, seconds: float) -> None:
        """Submit for a while, and note the board after each score, until the server is killed meanwhile."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            name, score = f"p{self.chance.randrange(NAMES)}", self.chance.randrange(10**6)
            if self.chance.random() < 0.2:  # with others of its batch, which fill the journal
                batch = {"entries": [{"name": name, "score": score, "metadata": {"pad": "x" * 900}}] * 300}
                assert ask(server, "POST", "/kart", batch).status == 200
            else:
                assert ask(server, "POST", f"/kart/{name}", {"score": score}).status == 202
            self.board = self.board | {name: score}
            self.history.append((datetime.now(UTC).isoformat(), self.board))


def test_kills_and_moments(tmp_path: Path) -> None:
    """Whenever a service is killed, its archive can be restored to any moment: the board is what it was then."""
    players = Players(7)
    archive = tmp_path / "archive"
    for _ in range(KILLS):
        with running(tmp_path / "data", "--archive", str(archive)) as server:
            players.play(server, players.chance.random() * 2)
            os.kill(server.process.pid, signal.SIGKILL)
    with running(tmp_path / "data", "--archive", str(archive)):
        pass  # what was not shipped by the one that was killed is shipped now
    assert read_board(tmp_path / "data") == players.board
    for number, (moment, board) in enumerate(players.chance.sample(players.history, MOMENTS)):
        found = laurels("restore", archive, "--data", tmp_path / f"{number}", "--until", moment, "--json")
        assert found.exit_code == 0, found.output
        assert json.loads(found.stdout)["verified"]["entries"] == len(board)
        assert read_board(tmp_path / f"{number}") == board
    assert laurels("restore", archive, "--data", tmp_path / "newest").exit_code == 0
    assert read_board(tmp_path / "newest") == players.board


def test_archive_in_a_bucket(tmp_path: Path, buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service archives to S3 and is restored from there; what is in the bucket is listed and verified."""
    for name, value in buckets.environment.items():
        monkeypatch.setenv(name, value)
    place = f"s3://{buckets.new_bucket()}/laurels"
    with running(tmp_path / "data", "--archive", place) as server:
        for score in range(20):
            ask(server, "POST", f"/kart/p{score}", {"score": score})
    assert laurels("restore", place, "--data", tmp_path / "copy").exit_code == 0
    assert len(read_board(tmp_path / "copy")) == 20
    assert re.fullmatch(r"s3://\S+ is good: 20 entries on 1 boards, .*\n", laurels("verify", place).stdout)
    (span,) = laurels("restore", place, "--list", "--json").stdout.splitlines()
    assert json.loads(span)["copies"] == 1
    assert "the beginning" in laurels("restore", place, "--list").stdout


def test_verify_finds_damage(tmp_path: Path) -> None:
    """A directory with another byte is told apart from a good one, by the exit status and by what is wrong."""
    with running(tmp_path / "data") as server:
        for score in range(50):
            ask(server, "POST", f"/kart/p{score}", {"score": score})
        used = laurels("verify", tmp_path / "data")
        assert (used.exit_code, "laurels backup" in used.stderr) == (1, True)
    assert laurels("verify", tmp_path / "data", "--json").exit_code == 0
    journal = tmp_path / "data" / "journal.db"
    content = bytearray(journal.read_bytes())
    content[content.rindex(b"p17")] ^= 1
    journal.write_bytes(content)
    found = laurels("verify", tmp_path / "data")
    assert (found.exit_code, "is damaged" in found.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["restore", "{}/none", "--data", "{}/x"], 1, "There is no backup at"),
        (["restore", "{}/none"], 2, "--data DIRECTORY"),
        (["restore", "{}/none", "--list"], 2, "There is no archive at"),
        (["restore", "{}/none", "--data", "{}"], 1, "not empty"),
        (["restore", "{}/none", "--data", "{}/x", "--until", "soon"], 2, "no date or time"),
        (["restore", "{}/some.tar", "--data", "{}/x"], 1, "is no backup"),
        (["restore", "{}/none.tar", "--data", "{}/x"], 1, "none.tar"),
        (["verify", "{}/none"], 1, "There is no backup at"),
        (["serve", "--store", "redis://localhost/0", "--archive", "{}/a"], 1, "--archive is for the embedded store"),
        (["serve", "--data", "{}/x", "--archive", "ftp://a/b"], 2, "ftp"),
    ],
    ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else None,
)
def test_mistakes(tmp_path: Path, arguments: list[str], status: int, says: str) -> None:
    """What cannot be done is refused with what would be right."""
    (tmp_path / "some.tar").write_bytes(b"no backup" * 1000)
    found = laurels(*(each.format(tmp_path) for each in arguments))
    assert (found.exit_code, says in found.stderr) == (status, True), found.stderr


def test_archive_in_the_data_directory_is_refused(tmp_path: Path) -> None:
    """What would be lost with the data is no archive of it."""
    (tmp_path / "link").symlink_to(tmp_path / "data" / "archive")
    refused = laurels("serve", "--data", tmp_path / "data", "--archive", tmp_path / "link", "--open")
    assert refused.exit_code == 2
    assert "is in the data directory" in refused.output
