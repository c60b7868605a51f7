"""Who asks, as the service tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jwt

from laurels.access.principal import SCOPES
from tests.access.ways import KeyRing, bearer, serving
from tests.asking import ask
from tests.conftest import running

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "s" * 32
PLAYERS = """[players]
secret = "file:secret"
boards = ["mario-*"]
scopes = ["read"]"""


def test_each_is_told(tmp_path: Path) -> None:
    """The public, a key and a player are told who they are and what they may do; what is not accepted is a 401."""
    ring = KeyRing()
    key = ring.add("ann", ["define", "moderate"], boards=["mario-*", "kart"], expires="2099-11-01")
    claims = {"iss": "laurels", "aud": "laurels", "sub": "v", "boards": ["*-kart"], "exp": 4_000_000_000}
    (tmp_path / "secret").write_text(SECRET)
    with serving(tmp_path / "data", ring.write(tmp_path / "access.toml", PLAYERS)) as server:
        assert ask(server, "GET", "/-/whoami").json == {"who": "public", "scopes": [], "boards": ["*"], "expires": None}
        assert ask(server, "GET", "/-/whoami", headers=bearer(key)).json == {
            "who": "key:ann",
            "scopes": ["moderate", "define"],
            "boards": ["mario-*", "kart"],
            "expires": "2099-11-01T00:00:00Z",
        }
        assert ask(server, "GET", "/-/whoami", headers=bearer(jwt.encode(claims, SECRET, "HS256"))).json == {
            "who": "player:v",
            "scopes": ["read"],
            "boards": ["*-kart"],
            "within": ["mario-*"],
            "expires": "2096-10-02T07:06:50Z",
        }
        assert ask(server, "GET", "/-/whoami", headers=bearer(key[:-1])).status == 401


def test_anybody_may_do_everything(tmp_path: Path) -> None:
    """Without an access file there is no question who asks."""
    with running(tmp_path) as server:
        found = ask(server, "GET", "/-/whoami").json
    assert found["who"] == "anybody"
    assert {*found["scopes"]} == {*SCOPES}
