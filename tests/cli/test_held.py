"""The commands of held scores, and a submit by another operator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.asking import ask

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from tests.conftest import Server


def test_held_scores(server: Server, laurels: Run, board: str) -> None:
    """Held scores are listed, released and rejected, in words and as JSON."""
    ask(server, "PUT", f"/-/boards/{board}", {"operator": "best", "guard": {"hold_above": 100}})
    assert laurels("held", "list", board).stdout == "nothing is held\n"
    held = "the score is held until a moderator decides"
    assert laurels("submit", board, "v", "300").stdout == f"{held}\n"
    ask(server, "POST", f"/{board}/w", {"score": 5})
    assert laurels("submit", board, "w", "200").stdout == f"{held}; until then score 5, rank 0\n"
    listed = laurels("held", "list", board).stdout.split()
    assert [word for word in listed if "T" not in word] == ["name", "score", "submitted", "at", "v", "300", "w", "200"]
    assert [each["name"] for each in json.loads(laurels("held", "list", board, "--json").stdout)] == ["v", "w"]
    assert laurels("held", "release", board, "v").stdout == f"the score of v on {board} is released\n"
    said = laurels("held", "reject", board, "w", "--json").stdout
    assert said == f'{{"board":"{board}","name":"w","released":false}}\n'
    assert laurels("standing", board, "v").stdout == "score 300, rank 0\n"
    assert laurels("held", "reject", board, "w").exit_code == 1


def test_many_held_scores(server: Server, laurels: Run, board: str) -> None:
    """A list of held scores goes on by its cursor to the end."""
    ask(server, "PUT", f"/-/boards/{board}", {"guard": {"hold_above": 0}})
    for first in (0, 800):
        entries = [{"name": f"n{place}", "score": 1 + place} for place in range(first, first + 800)]
        ask(server, "POST", f"/{board}", {"entries": entries})
    found = json.loads(laurels("held", "list", board, "--json").stdout)
    assert [each["score"] for each in found] == [*range(1600, 0, -1)]


def test_submit_by_an_operator(laurels: Run, board: str, server: Server) -> None:
    """A score is corrected by another operator than the board's."""
    ask(server, "PUT", f"/-/boards/{board}", {"operator": "best"})
    laurels("submit", board, "v", "9")
    said = laurels("submit", board, "v", "5", "--operator", "latest").stdout
    assert said == "score 5, rank 0 (before: score 9, rank 0)\n"
