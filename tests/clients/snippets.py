"""What test_snippets.py has the client of examples/clients do: ``python snippets.py FILE URL FLAKY KEY``."""

from __future__ import annotations

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any


def load(file: str) -> Any:
    """Return the module in a file."""
    spec = spec_from_file_location("leaderboard", file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def play(file: str, url: str, flaky: str, key: str) -> dict[str, Any]:
    """Return what was answered."""
    module = load(file)
    game = module.Leaderboard(url, lambda: key)
    game.submit("kart", "v", 34, {"car": "pipe"})
    tokens = iter(["expired", game.player_token("silverhand", ["kart", "sums"])])
    player = module.Leaderboard(f"{flaky}/", lambda: next(tokens))
    sums = [player.submit("sums", "silverhand", 5, key="one")["score"] for _ in range(2)]
    refused = []
    try:
        player.submit("kart", "v", 99)
    except module.Refused as error:
        refused = [True, error.status]
    changes = []
    for rows in player.watch("kart", count=2):
        changes.append([[row["name"], row["score"]] for row in rows])
        if len(changes) == 3:
            break
        (player if len(changes) == 1 else game).submit(
            "kart", *[("silverhand", 2077), ("judy", 3000)][len(changes) - 1]
        )
    return {
        "submitted": sums[0],
        "again": sums[1],
        "refused": refused,
        "changes": changes,
        "names": [row["name"] for row in player.entries("kart", 2)],
        "standing": player.standing("kart", "silverhand"),
        "nobody": player.standing("kart", "nobody"),
        "top": [[row["name"], row["rank"]] for row in player.top("kart", 1)],
        "around": [row["name"] for row in player.around("kart", "v", 1)],
    }


if __name__ == "__main__":
    print(json.dumps(play(*sys.argv[1:])))  # noqa: T201 - for the test
