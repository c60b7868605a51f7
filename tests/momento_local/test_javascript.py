"""The local Momento server with the official JavaScript SDK."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.momento import Momento

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
NUMBERS = itertools.count(1)


@pytest.fixture(params=["plaintext", "tls"])
def run_program(request: pytest.FixtureRequest, secure: Momento) -> Callable[[str, str], Any]:
    """Return a function that runs a program on a cache: without TLS and key, or with both in one string."""
    place = [secure.host, str(secure.port)] if request.param == "plaintext" else []

    def run(program: str, cache: str) -> Any:
        command = ["node", str(HERE / program), cache, *place]
        environment = os.environ | {
            "LEGACY_API_KEY": secure.connections.legacy_api_key,
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(secure.connections.ca_file),
        }
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
        assert not done.returncode, done.stderr
        return json.loads(done.stdout)

    return run


def test_sorted_sets(run_program: Callable[[str, str], Any]) -> None:
    """Every call of the SDK on caches and sorted sets is answered as Momento answers it."""
    assert run_program("sorted_sets.mjs", f"javascript-{next(NUMBERS)}") == {
        "created": "Success",
        "createdAgain": "AlreadyExists",
        "listed": True,
        "put": "Success",
        "putMany": "Success",
        "ascending": [["judy", -1.5], ["silverhand", 34], ["takemura", 34], ["v", 2077]],
        "descending": [["v", 2077], ["takemura", 34]],
        "byScore": [["silverhand", 34], ["takemura", 34]],
        "score": 2077,
        "scores": {"v": 2077, "judy": -1.5},
        "noScore": "Miss",
        "rank": 0,
        "noRank": "Miss",
        "incremented": 2000,
        "length": 4,
        "lengthByScore": 3,
        "union": 4,
        "removed": "Success",
        "removedMany": "Success",
        "empty": "Miss",
        "flushed": "Success",
        "unionFlushed": "Miss",
        "deleted": "Success",
        "gone": "NOT_FOUND_ERROR",
    }


def test_topics(run_program: Callable[[str, str], Any], secure: Momento) -> None:
    """A subscriber gets the published items, in order and numbered."""
    found = run_program("topics.mjs", secure.new_cache())
    assert found["published"] == ["Success", "Success"]
    assert [value for value, _ in found["items"]] == ["one", "two"]
    assert found["items"][1][1] == found["items"][0][1] + 1
    assert found["missing"] == "NOT_FOUND_ERROR"


def test_keys_and_tokens(run_program: Callable[[str, str], Any], secure: Momento) -> None:
    """A token may do what its scope says, a key can be renewed, and a wrong key may do nothing."""
    assert run_program("keys.mjs", secure.new_cache()) == {
        "readOnlyToken": ["Miss", "PERMISSION_ERROR", "PERMISSION_ERROR"],
        "tokenOfOneSet": ["Miss", "Success", "PERMISSION_ERROR"],
        "readerMayNotMakeWriter": "PERMISSION_ERROR",
        "key": ["Hit", "Success", "Success"],
        "renewedKey": ["Hit", "Success", "Success"],
        "neverExpires": True,
        "wrongKey": ["AUTHENTICATION_ERROR", "AUTHENTICATION_ERROR", "AUTHENTICATION_ERROR"],
    }


def test_leaderboards(run_program: Callable[[str, str], Any], secure: Momento) -> None:
    """Every call on leaderboards is answered as documented; equal scores are in the order of the ids as text."""
    last, one, two, ten = [4294967295, 0, -3], [1, 1, 20], [2, 3, 30], [10, 2, 20]
    assert run_program("leaderboards.mjs", secure.new_cache()) == {
        "missing": [],
        "noLength": 0,
        "put": "Success",
        "replaced": "Success",
        "byRank": [last, one, ten, two],
        "byRankDescending": [[10, 1, 20], [1, 2, 20]],
        "byScore": [last, one, ten],
        "byScoreDescending": [[10, 1, 20], [1, 2, 20]],
        "ranks": [two, last],
        "ranksDescending": [[2, 0, 30], [10, 1, 20]],
        "length": 4,
        "tooMany": "INVALID_ARGUMENT_ERROR",
        "removed": "Success",
        "left": [last, one, ten],
        "noCache": "NOT_FOUND_ERROR",
        "competitionRanks": [[10, 0, 20], [1, 0, 20], [4294967295, 2, -3]],
        "competitionRanksAscending": [[10, 1, 20], [1, 1, 20], last],
        "deleted": "Success",
        "deletedAgain": "Success",
        "gone": 0,
    }


def test_scalars(run_program: Callable[[str, str], Any], secure: Momento) -> None:
    """Conditions, hashes, sums, kinds and times to live are as the SDK's documentation says."""
    assert run_program("scalars.mjs", secure.new_cache()) == {
        "ifAbsent": ["Stored", "NotStored"],
        "ifNotExists": "NotStored",
        "ifPresent": ["Stored", "NotStored"],
        "ifEqual": ["Stored", "NotStored"],
        "ifNotEqual": ["NotStored", "Stored"],
        "ifPresentAndNotEqual": ["Stored", "NotStored"],
        "ifAbsentOrEqual": ["NotStored", "Stored"],
        "value": "four",
        "noHash": "Miss",
        "hashed": ["one", 0],
        "ifHash": ["NotStored", "NotStored", "Stored", "NotStored"],
        "incremented": [5, -2],
        "noNumber": "FAILED_PRECONDITION_ERROR",
        "exist": [True, False, True, True, 0],
        "types": [0, 4],
        "noType": "Miss",
        "ttls": ["Set", "NotSet", "NotSet", "Set", "Set", "Miss"],
        "left": True,
        "noTtl": "Miss",
    }
