"""The stack with an access file and API keys, asked as clients ask it."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.local.__main__ import _format_places
from infra.local.stack import Places
from tests.access.issuing import own
from tests.access.ways import KeyRing, bearer
from tests.asking import ask
from tests.local.conftest import stack_running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.local.conftest import Stack

pytestmark = pytest.mark.slow

TABLES = (
    '[public]\nscopes = ["read"]\nboards = ["open-*"]',
    '[players]\nsecret = "ssm:/laurels/dev/tokens"\nboards = ["mario-*"]',
)
KART, OPEN = "/mario-kart/v", "/open-kart/v"


@pytest.fixture(scope="module")
def ring() -> KeyRing:
    """Return keys of several kinds."""
    ring = KeyRing()
    ring.add("game", ["read", "submit"], boards=["mario-*"])
    ring.add("expired", ["admin"], expires="2026-01-01")
    return ring


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, ring: KeyRing) -> Iterator[Stack]:
    """Yield a stack with an access file and an API key."""
    directory = tmp_path_factory.mktemp("guarded")
    file = ring.write(directory / "access.toml", *TABLES)
    with stack_running(directory, "--access", str(file), "--api-key", "site", "--host", "0.0.0.0") as stack:  # noqa: S104 - it is guarded
        stack.url = stack.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - where it is asked
        yield stack


def token(stack: Stack, name: str) -> str:
    """Return a token of a player, signed with the secret that the stack has made."""
    secret = stack.ssm.get_parameter(Name=stack.places.secret, WithDecryption=True)["Parameter"]["Value"]
    return own({"exp": int(time.time()) + 600, "sub": name}, secret=secret.encode()).decode()


MATRIX = {
    # who: a submit, a standing of a board that is not the public's, a standing of one that is
    "nothing": (401, 401, 200),
    "game": (202, 200, 403),
    "expired": (401, 401, 401),
    "mistyped": (401, 401, 401),
    "v": (202, 200, 403),
    "silverhand": (403, 200, 403),
}


@pytest.mark.parametrize("who", MATRIX)
def test_matrix(guarded: Stack, ring: KeyRing, who: str) -> None:
    """Through gateway and functions a credential may do what the access file says, and nothing else."""
    headers = {"x-api-key": guarded.places.api_keys["site"]}
    if who in {"v", "silverhand"}:
        headers |= bearer(token(guarded, who))
    elif who != "nothing":
        headers |= bearer(ring.secrets.get(who, f"{ring.secrets['game'][:-1]}!"))
    submit = ask(guarded, "POST", KART, {"score": 1}, headers)
    reads = (ask(guarded, "GET", path, None, headers) for path in (KART, OPEN))
    assert tuple(reply.status for reply in (submit, *reads)) == MATRIX[who]


def test_api_key(guarded: Stack, ring: KeyRing) -> None:
    """Without the API key the gateway refuses, whatever else is shown."""
    reply = ask(guarded, "GET", KART, None, bearer(ring.secrets["game"]))
    assert (reply.status, reply.headers["www-authenticate"]) == (401, 'ApiKey realm="laurels"')


def test_no_credential_in_any_log(guarded: Stack, ring: KeyRing) -> None:
    """The log of a function that was shown a key and a token has neither."""
    headers = {"x-api-key": guarded.places.api_keys["site"]}
    shown = [token(guarded, "v"), ring.secrets["game"], guarded.places.api_keys["site"]]
    for credential in shown[:2]:
        assert ask(guarded, "GET", KART, None, headers | bearer(credential)).status == 200
    log = Path(guarded.places.logs, "get_standing.log").read_text()
    assert "Answered" in log
    assert not [secret for secret in shown if secret in log]


def test_file_that_is_refused(tmp_path: Path) -> None:
    """A file that no function could use is refused before anything starts."""
    (tmp_path / "access.toml").write_text('[public]\nlimits = { requests = "1/s" }')
    command = [sys.executable, "-m", "infra.local", "--access", str(tmp_path / "access.toml"), "--port", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "[public] has limits" in ended.stderr


def test_what_it_shows(guarded: Stack) -> None:
    """What is shown at the start has where everything is, and the value of each API key, but no other secret."""
    shown = _format_places(guarded.places)
    assert re.search(r"access +/laurels/dev/access in SSM", shown)
    assert re.search(r"secret +/laurels/dev/tokens in SSM", shown)
    assert f"X-Api-Key of site {guarded.places.api_keys['site']}" in shown
    assert repr(guarded.places) == f"Places({guarded.places.url!r})"


def test_what_an_open_one_shows() -> None:
    """A stack without an access file shows nothing of one."""
    urls = "http://127.0.0.1:1", "http://127.0.0.1:2"
    places = Places(*urls, "cache", "logs", parameter="/key", momento={"MOMENTO_ENDPOINT": "m"})
    assert "access" not in _format_places(places)
