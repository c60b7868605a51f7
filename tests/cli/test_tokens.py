"""Tokens of players, made by a service, and by hand with its access file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from laurels.access.keys import digest_key, make_key
from tests.asking import ask
from tests.cli.conftest import run
from tests.conftest import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Server

KEY = make_key()
SECRET = "s" * 32
ACCESS = f"""
[keys.game]
sha256 = "{digest_key(KEY)}"
scopes = ["tokens"]
boards = ["mario-*"]
[players]
secret = "file:secret"
"""


@pytest.fixture(scope="module")
def access(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an access file, beside its secret."""
    file = tmp_path_factory.mktemp("access") / "access.toml"
    file.write_text(ACCESS)
    (file.parent / "secret").write_text(SECRET)
    return file


@pytest.fixture(scope="module")
def players(access: Path) -> Iterator[Server]:
    """Run a service with that file."""
    with running(access.parent / "data", "--access", str(access)) as server:
        yield server


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAURELS_KEY", KEY)


def claims(token: str) -> dict[str, Any]:
    """Return what is in a token."""
    found: dict[str, Any] = jwt.decode(token.strip(), SECRET, ["HS256"], audience="laurels")
    return found


@pytest.mark.parametrize("here", [False, True], ids=["by the service", "here"])
def test_create(players: Server, access: Path, *, here: bool) -> None:
    """A token is on stdout alone, and good for its player."""
    options = ["--access", access] if here else []
    found = run(players.url, "tokens", "create", "v", "--board", "mario-kart", "--expires", "15m", *options)
    assert found.exit_code == 0, found.output
    token = claims(found.stdout)
    assert (token["sub"], token["boards"], token["exp"] - token["iat"]) == ("v", ["mario-kart"], 900)
    assert found.stdout.strip() not in found.stderr
    headers = {"authorization": f"Bearer {found.stdout.strip()}"}
    paths = {"/mario-kart/v": 202, "/mario-kart/w": 403, "/mario-party/v": 403}
    assert {path: ask(players, "POST", path, {"score": 1}, headers).status for path in paths} == paths


@pytest.mark.parametrize(("here", "boards"), [(False, ["mario-*"]), (True, ["*"])])
def test_defaults(players: Server, access: Path, boards: list[str], *, here: bool) -> None:
    """By default a token is good for an hour, on all that its signer has."""
    found = run(players.url, "tokens", "create", "v", "--json", *(["--access", access] if here else []))
    token = claims(json.loads(found.stdout)["token"])
    assert (token["boards"], token["exp"] - token["iat"]) == (boards, 3600)
    assert found.stderr == ""


def test_no_right(players: Server) -> None:
    """What the key has not itself it cannot give."""
    found = run(players.url, "tokens", "create", "v", "--board", "zelda")
    assert (found.exit_code, found.stdout) == (1, "")
    assert "LAURELS_KEY" in found.stderr


@pytest.mark.parametrize("time", ["0s", "2d", "1y", "-1h", "soon"])
def test_bad_time(players: Server, time: str) -> None:
    """A token is good for a second to a day."""
    assert run(players.url, "tokens", "create", "v", "--expires", time).exit_code == 2


@pytest.mark.parametrize("table", ["[public]\nscopes = []", "[players]"])
def test_no_secret(tmp_path: Path, table: str) -> None:
    """An access file without a secret has nothing to sign with."""
    (tmp_path / "access.toml").write_text(table)
    found = run("http://127.0.0.1:1", "tokens", "create", "v", "--access", tmp_path / "access.toml")
    assert found.exit_code == 1
    assert "LAURELS_TOKEN_SECRET" in found.stderr


@pytest.mark.parametrize("pattern", ["", "a\nb", "b" * 257])
def test_bad_board(access: Path, pattern: str) -> None:
    """A pattern that no board can match is a mistake."""
    words = ("tokens", "create", "v", "--access", access, "--board", pattern)
    assert run("http://127.0.0.1:1", *words).exit_code == 2


def test_bad_name(access: Path) -> None:
    """A name that no player can have gets no token."""
    assert run("http://127.0.0.1:1", "tokens", "create", "a\nb", "--access", access).exit_code == 1
