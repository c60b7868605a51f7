"""Keys and tokens of a client: shown, renewed, and made."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from laurels.access.keys import digest_key, make_key
from laurels.client import AsyncClient, Client, Conflict, KeyUnusable, NotAllowed, NotAuthenticated, RunRefused
from laurels.client.keys import ShownKey
from tests.cli.conftest import failing
from tests.conftest import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Server

GAME, CONSOLE, OTHER = make_key(), make_key(), make_key()
ACCESS = f"""
[keys.game]
sha256 = "{digest_key(GAME)}"
scopes = ["read", "submit", "tokens"]
[keys.console]
sha256 = "{digest_key(CONSOLE)}"
scopes = ["admin"]
[keys.other]
sha256 = "{digest_key(OTHER)}"
scopes = ["read"]
[players]
secret = "file:secret"
anonymous = true
scopes = ["read", "submit:self"]
"""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a service with an access file and an audit log."""
    directory = tmp_path_factory.mktemp("access")
    (directory / "access.toml").write_text(ACCESS)
    (directory / "secret").write_text("s" * 32)
    options = ["--access", str(directory / "access.toml"), "--audit-log", str(directory / "audit.log")]
    with running(directory / "data", *options) as server:
        yield server


def test_rights(guarded: Server) -> None:
    """Who shows nothing is told so, and who has no right is, too."""
    with Client(guarded.url) as nobody, pytest.raises(NotAuthenticated) as refusal:
        nobody.standing("b", "v")
    assert (refusal.value.status, refusal.value.parameter) == (401, None)
    with Client(guarded.url, key=GAME) as game:
        assert game.whoami().scopes == ("read", "submit", "tokens")
        with pytest.raises(NotAllowed):
            game.remove("b", "v")


def test_players(guarded: Server) -> None:
    """A player submits with a token that a server gave, and with runs."""
    with Client(guarded.url, key=CONSOLE) as console:
        console.define("runs", {"guard": {"runs": {"required": True}}})
    with Client(guarded.url, key=GAME) as game:
        given = game.give_token("v", boards=["runs"], seconds=60)
        anonymous = game.give_anonymous_token()
    assert timedelta() < given.expires_at - datetime.now(UTC) <= timedelta(seconds=60)
    with Client(guarded.url, key=given.token) as player:
        with pytest.raises(RunRefused):
            player.submit("runs", "v", 1)
        run = player.make_run("runs")
        player.submit("runs", "v", 1, run=run.run)
        assert run.expires_at > datetime.now(UTC)
    with Client(guarded.url, key=anonymous.token) as player:
        player.submit("b", anonymous.name, 1)


def test_administration(guarded: Server) -> None:
    """Keys are listed and revoked, and the audit log has who did that."""
    with Client(guarded.url, key=CONSOLE) as console:
        keys = console.keys()
        assert [each.name for each in keys] == ["console", "game", "other"]
        console.revoke("other")
        console.define("audited", {"order": "ascending"})
        since = datetime.now(UTC) - timedelta(minutes=5)
        (record, *_) = console.audit(who="key:console", since=since, board="audited")
        assert (record.operation, record.before, record.after["order"]) == ("define", None, "ascending")
        assert (next(console.audit()).time - since) > timedelta()
        with pytest.raises(Conflict):
            console.revoke("console")


@pytest.mark.parametrize("kind", ["function", "coroutine function"])
def test_token_is_renewed(guarded: Server, kind: str) -> None:
    """A function is called for another token when the service refuses the one before, once for all that wait."""
    keys = iter([make_key(), GAME])

    def give() -> str:
        assert threading.current_thread() is not threading.main_thread()
        return next(keys)

    async def give_later() -> str:
        await asyncio.sleep(0)
        return next(keys)

    async def submit() -> None:
        async with AsyncClient(guarded.url, key=give if kind == "function" else give_later) as client:
            await asyncio.gather(*(client.submit("b", f"v{index}", 1) for index in range(5)))
            assert await client.standing("b", "v4")

    asyncio.run(submit())
    assert next(keys, None) is None


def test_token_that_stays_refused(guarded: Server) -> None:
    """If a function gives what was refused before, the refusal is raised; so it is if another is refused as well."""
    wrong = make_key()
    with Client(guarded.url, key=lambda: wrong) as client, pytest.raises(NotAuthenticated):
        client.standing("b", "v")


def test_key_is_not_shown() -> None:
    """What a service sends back of a key is in no error, and a key that is none not sent at all."""
    secret = b'{"title":"No","status":403,"detail":"%b","parameter":"%b"}' % (GAME.encode(), GAME.encode())
    with (
        failing((403, {}, secret)) as service,
        Client(service.url, key=GAME) as client,
        pytest.raises(NotAllowed) as refusal,
    ):
        client.health()
    assert GAME not in f"{refusal.value} {vars(refusal.value)}"
    for key in ("two words", "", "é"):
        with pytest.raises(KeyUnusable):
            Client(key=key)
    with pytest.raises(KeyUnusable, match="take user and password out"):
        Client("http://user:password@localhost", key=GAME)


def test_no_key() -> None:
    """Without a key there is none to renew."""
    assert not asyncio.run(ShownKey(None).renew(None))
