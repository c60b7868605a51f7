"""Limits over a store with meters that all share, for those whose issuer must be asked first who they are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.access.issuing import FOREIGN, issuing, signed
from tests.access.ways import bearer, serving
from tests.asking import ask

if TYPE_CHECKING:
    from pathlib import Path

    from tests.redis_servers import Node

FILE = """
[public]
scopes = ["read"]
limits = { requests = "6/h", burst = 3 }

[players]
limits = { requests = "6/h", burst = 2 }
issuers = [{ issuer = "https://issuer.example/", audience = "game", jwks = "JWKS" }]
"""


def test_players_of_an_issuer(tmp_path: Path, redis_server: Node) -> None:
    """Each player has the limit of players; a token that is not accepted counts as a request of its address."""
    file = tmp_path / "access.toml"
    expiry = datetime.now(UTC).timestamp() + 60
    good, bad = (signed(FOREIGN | {"sub": "v", "exp": expiry, "aud": for_}, "RS256") for for_ in ("game", "other"))
    with issuing("RS256") as issuer:
        file.write_text(FILE.replace("JWKS", issuer.url("/slow")))
        with serving(tmp_path / "data", file, {"LAURELS_STORE": redis_server.url}) as server:
            issuer.released.set()
            found = [ask(server, "GET", "/b/v", headers=bearer(bad.decode())).status for _ in range(4)]
            assert found == [401] * 3 + [429]
            with redis_server.client() as client:
                client.delete("laurels:rate:address:127.0.0.1")
        with serving(tmp_path / "data", file, {"LAURELS_STORE": redis_server.url}) as server:
            found = [ask(server, "GET", "/b/v", headers=bearer(good.decode())).status for _ in range(3)]
            assert found == [200] * 2 + [429]
