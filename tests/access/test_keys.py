"""Keys over HTTP: listed without their secrets, revoked at once, and by nobody but who may."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from laurels.access.file import read_access
from laurels.access.keys import digest_key
from tests.access.ways import KeyRing, bearer, serving
from tests.asking import ask
from tests.conftest import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.access.conftest import Guarded
    from tests.conftest import Server

COMMENT = "# The key of the game's own server."


@pytest.fixture
def ring() -> KeyRing:
    """Return two keys."""
    ring = KeyRing()
    ring.add("console", ["admin"])
    ring.add("game", ["read", "submit"], boards=["mario-*"], expires="2099-11-01")
    return ring


@pytest.fixture
def file(ring: KeyRing, tmp_path: Path) -> Path:
    """Return an access file with comments."""
    ring.tables[1] = f"{COMMENT}\n{ring.tables[1]}"
    (tmp_path / "conf").mkdir()
    return ring.write(tmp_path / "conf" / "access.toml", "# Ours.\n[public]")


@pytest.fixture
def server(file: Path, tmp_path: Path) -> Iterator[Server]:
    """Start a service with that file."""
    with serving(tmp_path / "data", file) as server:
        yield server


def test_list(server: Server, ring: KeyRing) -> None:
    """Names, scopes, boards and expiry are listed, by name, and nothing of a secret."""
    reply = ask(server, "GET", "/-/keys", headers=bearer(ring.secrets["console"]))
    assert reply.json == {
        "keys": [
            {"name": "console", "scopes": ["admin"], "boards": ["*"], "expires": None},
            {"name": "game", "scopes": ["read", "submit"], "boards": ["mario-*"], "expires": "2099-11-01T00:00:00Z"},
        ],
        "next": None,
    }


def test_list_page_by_page(guarded: Guarded) -> None:
    """`next` leads through all keys."""
    names: list[str] = []
    after: str | None = ""
    while after is not None:
        page = ask(guarded.server, "GET", f"/-/keys?limit=2&after={after}", headers=bearer(guarded.secrets["admin"]))
        names += [key["name"] for key in page.json["keys"]]
        after = page.json["next"]
    assert names == sorted(guarded.secrets)


def test_revoked_key_is_accepted_no_more(server: Server, ring: KeyRing, file: Path) -> None:
    """At once, also where it was used before; the file has it no more, and keeps its comments."""
    game, console = bearer(ring.secrets["game"]), bearer(ring.secrets["console"])
    assert ask(server, "GET", "/mario-kart", headers=game).status == 200
    assert ask(server, "DELETE", "/-/keys/game", headers=console).status == 204
    assert ask(server, "GET", "/mario-kart", headers=game).status == 401
    assert file.read_text().startswith("# Ours.\n[public]")
    assert [*read_access(file).keys] == ["console"]
    assert ask(server, "DELETE", "/-/keys/game", headers=console).status == 204


def test_revoked_key_stays_away_after_a_reload(server: Server, ring: KeyRing) -> None:
    """What was revoked over HTTP is revoked in the file as well."""
    console = bearer(ring.secrets["console"])
    assert ask(server, "DELETE", "/-/keys/game", headers=console).status == 204
    server.process.send_signal(1)
    server.wait_for_line("reloaded the access file")
    assert ask(server, "GET", "/mario-kart", headers=bearer(ring.secrets["game"])).status == 401
    assert ask(server, "GET", "/-/keys", headers=console).status == 200


def test_last_admin_stays(server: Server, ring: KeyRing, file: Path) -> None:
    """The last key that may administer all boards is not revoked over HTTP, and that is said; one of two is."""
    console = bearer(ring.secrets["console"])
    reply = ask(server, "DELETE", "/-/keys/console", headers=console)
    assert (reply.status, "console is the last key" in reply.json["detail"]) == (409, True)
    assert ask(server, "GET", "/-/keys", headers=console).status == 200
    ring.add("some", ["admin"], boards=["mario-*"])
    ring.add("gone", ["admin"], expires="2026-11-01")
    ring.write(file)
    assert ask(server, "DELETE", "/-/keys/console", headers=console).status == 409
    assert ask(server, "DELETE", "/-/keys/gone", headers=console).status == 204
    ring.tables.pop()
    ring.add("other", ["admin"])
    ring.write(file)
    assert ask(server, "DELETE", "/-/keys/console", headers=console).status == 204
    assert ask(server, "GET", "/-/keys", headers=console).status == 401


def test_file_that_cannot_be_written(server: Server, ring: KeyRing, file: Path) -> None:
    """A 409, and the key is accepted as before."""
    console = bearer(ring.secrets["console"])
    file.rename(file.with_suffix(".away"))
    reply = ask(server, "DELETE", "/-/keys/game", headers=console)
    assert (reply.status, reply.json["status"]) == (409, 409)
    file.write_text("this is not TOML")
    assert ask(server, "DELETE", "/-/keys/game", headers=console).status == 409
    assert ask(server, "GET", "/mario-kart", headers=bearer(ring.secrets["game"])).status == 200


@pytest.mark.parametrize("end", [None, -3])
def test_secret_instead_of_the_name(server: Server, ring: KeyRing, end: int | None) -> None:
    """A key that is given for its name is not said to be revoked, and stands in no record, nor its beginning."""
    secret = ring.secrets["game"][:end]
    reply = ask(server, "DELETE", f"/-/keys/{secret}", headers=bearer(ring.secrets["console"]))
    assert reply.status == 409
    assert "by its name" in reply.json["detail"]
    (line,) = server.wait_for_line('"operation":"revoke"')
    assert '"key":"laurels_..."' in line
    assert secret not in line + reply.json["detail"]


def test_mode_of_the_file_stays(server: Server, ring: KeyRing, file: Path) -> None:
    """A file that only its owner reads is one after a key was revoked."""
    file.chmod(0o600)
    assert ask(server, "DELETE", "/-/keys/game", headers=bearer(ring.secrets["console"])).status == 204
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["%00", "..%2Faccess", "%C3%A9", "a%20b", "a" * 1000], ids=lambda name: name[:12])
def test_names_that_no_key_has(guarded: Guarded, name: str) -> None:
    """There is no such key, and nothing else is touched."""
    before = guarded.file.read_text()
    assert ask(guarded.server, "DELETE", f"/-/keys/{name}", headers=bearer(guarded.secrets["admin"])).status == 204
    assert guarded.file.read_text() == before


def test_admin_of_some_boards(server: Server, ring: KeyRing, file: Path) -> None:
    """Keys concern all boards: an admin of some may neither list nor revoke them."""
    some = ring.add("some", ["admin"], boards=["mario-*"])
    ring.write(file)
    server.process.send_signal(1)
    server.wait_for_line("reloaded the access file")
    assert ask(server, "GET", "/-/keys", headers=bearer(some)).status == 403
    assert ask(server, "DELETE", "/-/keys/game", headers=bearer(some)).status == 403


def test_without_an_access_file(tmp_path: Path) -> None:
    """An open service has no keys, and none can be revoked."""
    with running(tmp_path) as server:
        assert ask(server, "GET", "/-/keys").json == {"keys": [], "next": None}
        assert ask(server, "DELETE", "/-/keys/game").status == 409


def test_no_answer_has_a_digest(guarded: Guarded) -> None:
    """Nothing that an admin can read has the digest of a key."""
    admin = bearer(guarded.secrets["admin"])
    answers = [ask(guarded.server, "GET", path, headers=admin).body.decode() for path in ("/-/keys", "/-/metrics", "/")]
    digests = [digest_key(secret) for secret in guarded.secrets.values()]
    assert not [text for text in (*digests, *guarded.secrets.values()) if text in "".join(answers)]
