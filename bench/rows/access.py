"""Requests that show who asks, and that are limited, against the same to a service that is open to all, in turns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench import requests
from bench.figures import Figure, Subject, Target, compare
from bench.rows.features import MEMBERS, PREPARED, running, take_turns
from laurels.access.file import Players
from laurels.access.keys import digest_key, make_key
from laurels.access.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.figures import Run

PLAYERS = 1_000
SECRET = "of the benchmark alone: 32 bytes or more"  # noqa: S105 - it opens nothing else
LIMITS = 'limits = { requests = "1000000/s", submits = "1000000/s" }'
FILE = """
[public]
scopes = ["read", "submit", "define"]
{limits}
[keys.game]
sha256 = "{digest}"
scopes = ["read", "submit"]
{limits}
[players]
secret = "file:{secret}"
{limits}
"""


def access(run: Run) -> Iterator[Figure]:
    """Measure standings and submits with a key, a player's token and limits, against those of anybody."""
    key, directory = make_key(), run.directory
    (directory / "secret").write_text(SECRET)
    (directory / "secret").chmod(0o600)
    tokens = Tokens(Players(), SECRET.encode())
    shown = [tokens.sign(f"player-{i}", ("*",), 86_400, time.time()).token for i in range(PLAYERS)]
    kinds: dict[str, tuple[str, Sequence[str], float]] = {
        "with a key": ("free", [key], 0.92),
        f"with one of {PLAYERS:,} tokens": ("free", shown, 0.90),
        "with limits of the address": ("limited", [], 0.88),
        "with a key and its limits": ("limited", [key], 0.88),
        f"with one of {PLAYERS:,} tokens, and limits": ("limited", shown, 0.88),
    }
    options = []
    for name, limits in (("free", ""), ("limited", LIMITS)):
        file = directory / f"{name}.toml"
        file.write_text(FILE.format(limits=limits, digest=digest_key(key), secret=directory / "secret"))
        options.append(("--access", str(file)))
    with (
        running(directory / "open") as anybody,
        running(directory / "free", "", *options[0]) as free,
        running(directory / "limited", "", *options[1]) as limited,
    ):
        for what, sent in (("standing", requests.standings), ("submit", requests.submits)):
            plain = requests.save(sent(MEMBERS, PREPARED), directory / "plain.requests")
            for how, (where, credentials, target) in kinds.items():
                if what == "submit" and credentials is shown:
                    continue  # a player submits under one name alone
                prepared = requests.save(sent(MEMBERS, PREPARED), directory / "shown.requests", "", credentials)
                pairs = take_turns(run, free if where == "free" else limited, anybody, prepared, plain)
                subject = Subject("access", f"{what} {how}, {MEMBERS:,} members", "/s", Target(">=", target))
                yield compare(subject, "open to all", pairs)
