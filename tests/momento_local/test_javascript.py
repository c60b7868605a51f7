"""The local Momento server, by the official JavaScript SDK."""

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
def play(request: pytest.FixtureRequest, secure: Momento) -> Callable[[str, str], Any]:
    """Give what runs a program on a cache and reads what it tells: without TLS and key, or with both in one string."""
    place = [secure.host, str(secure.port)] if request.param == "plaintext" else []

    def run(program: str, cache: str) -> Any:
        command = ["node", str(HERE / program), cache, *place]
        environment = os.environ | {
            "LEGACY_API_KEY": secure.told.legacy_api_key,
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(secure.told.ca_file),
        }
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
        assert not done.returncode, done.stderr
        return json.loads(done.stdout)

    return run


def test_sorted_sets(play: Callable[[str, str], Any]) -> None:
    """Every call on caches and sorted sets that the SDK has is answered as Momento answers it."""
    assert play("sorted_sets.mjs", f"javascript-{next(NUMBERS)}") == {
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


def test_topics(play: Callable[[str, str], Any], secure: Momento) -> None:
    """A subscriber gets what is published, in order and with numbers."""
    told = play("topics.mjs", secure.new_cache())
    assert told["published"] == ["Success", "Success"]
    assert [value for value, _ in told["items"]] == ["one", "two"]
    assert told["items"][1][1] == told["items"][0][1] + 1
    assert told["missing"] == "NOT_FOUND_ERROR"


def test_keys_and_tokens(play: Callable[[str, str], Any], secure: Momento) -> None:
    """A token reads, writes its own set and another's as its scope says; a key is renewed; a wrong one does nothing."""
    assert play("keys.mjs", secure.new_cache()) == {
        "readOnlyToken": ["Miss", "PERMISSION_ERROR", "PERMISSION_ERROR"],
        "tokenOfOneSet": ["Miss", "Success", "PERMISSION_ERROR"],
        "readerMayNotMakeWriter": "PERMISSION_ERROR",
        "key": ["Hit", "Success", "Success"],
        "renewedKey": ["Hit", "Success", "Success"],
        "neverExpires": True,
        "wrongKey": ["AUTHENTICATION_ERROR", "AUTHENTICATION_ERROR", "AUTHENTICATION_ERROR"],
    }
