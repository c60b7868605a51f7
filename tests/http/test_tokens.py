"""Tokens that the service gives, over both adapters, and what they are good for."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from laurels.access.file import AccessFile, Players
from laurels.access.keys import digest_key, make_key
from laurels.access.principal import Principal
from laurels.boards import Boards
from laurels.errors import Forbidden, NoSecret
from laurels.http import Request
from laurels.http.access import Access
from laurels.http.gate import Context
from laurels.http.tokens import find_boards, give_anonymous_token
from laurels.http.wire import AnonymousToken, GivenToken
from laurels.limits import ANONYMOUS_TOKEN_SECONDS, ANONYMOUS_TOKENS
from laurels.stores.embedded.store import EmbeddedStore
from tests.access.issuing import FOREIGN, issuing, signed, tokens
from tests.access.issuing import SECRET as SECRET_BYTES
from tests.asking import Reply, ask
from tests.conftest import started
from tests.http.conftest import ASGI

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.access.issuing import LocalIssuer
    from tests.conftest import Server

SECRET = SECRET_BYTES.decode()
GAME, READER, EVERYTHING = (make_key() for _ in range(3))
ACCESS = f"""
[public]
scopes = ["read"]

[keys.game]
sha256 = "{digest_key(GAME)}"
scopes = ["tokens"]
boards = ["mario-*"]

[keys.reader]
sha256 = "{digest_key(READER)}"
scopes = ["read"]

[keys.everything]
sha256 = "{digest_key(EVERYTHING)}"
scopes = ["admin"]

[players]
secret = "env:TOKEN_SECRET"
anonymous = true
boards = ["mario-*", "zelda"]
issuers = [{{ issuer = "https://issuer.example/", audience = "game", jwks = "JWKS" }}]
"""


SERVE = [sys.executable, "-m", "laurels", "serve", "--port", "0"]


@contextmanager
def serving(directory: Path, jwks: str, command: list[str] = SERVE) -> Iterator[Server]:
    """Run a service that has players, and an issuer with its keys at a URL."""
    (directory / "access.toml").write_text(ACCESS.replace("JWKS", jwks))
    variables = {"LAURELS_DATA": str(directory / "data"), "LAURELS_ACCESS": str(directory / "access.toml")}
    with started(command, os.environ | variables | {"TOKEN_SECRET": SECRET}) as server:
        yield server


@pytest.fixture(scope="module")
def local() -> Iterator[LocalIssuer]:
    """Run an issuer."""
    with issuing("RS256") as service:
        yield service


@pytest.fixture(scope="module", params=[SERVE, ASGI], ids=["protocol", "asgi"])
def players(
    request: pytest.FixtureRequest, local: LocalIssuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Run a service over each adapter."""
    local.asked.clear()
    with serving(tmp_path_factory.mktemp("players"), local.url(), request.param) as server:
        yield server


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio, as the service does."""
    return "asyncio"


def want(server: Server, body: object, key: str | None = GAME, path: str = "/-/tokens") -> Reply:
    """Ask for a token."""
    return ask(server, "POST", path, body, bearer(key))


def bearer(credential: str | None) -> dict[str, str]:
    """Return the header that shows a key or a token."""
    return {} if credential is None else {"authorization": f"Bearer {credential}"}


def submit(server: Server, path: str, credential: str | None) -> int:
    """Submit a score; return the status."""
    return ask(server, "POST", path, {"score": 1}, bearer(credential)).status


def claims(token: str) -> dict[str, Any]:
    """Return what is in a token."""
    found: dict[str, Any] = jwt.decode(token, SECRET, ["HS256"], audience="laurels", issuer="laurels")
    return found


def test_token_of_a_player(players: Server) -> None:
    """A token is good for its player's own scores, on the boards that it is for, and for no more."""
    reply = want(players, {"name": "v", "boards": ["mario-kart"], "seconds": 60})
    assert (reply.status, sorted(reply.json)) == (201, ["expiresAt", "token"])
    found = claims(reply.json["token"])
    assert (found["sub"], found["boards"], found["exp"] - found["iat"]) == ("v", ["mario-kart"], 60)
    assert datetime.fromisoformat(reply.json["expiresAt"]) == datetime.fromtimestamp(found["exp"], UTC)
    token = reply.json["token"]
    paths = {"/mario-kart/v": 202, "/mario-kart/w": 403, "/mario-party/v": 403, "/zelda/v": 403, "/mario-kart": 403}
    assert {path: submit(players, path, token) for path in paths} == paths


def test_token_for_all_that_the_key_has(players: Server) -> None:
    """Without boards, or with null, a token has those of its key, and an hour."""
    for body in ({"name": "v"}, {"name": "v", "boards": None}):
        found = claims(want(players, body).json["token"])
        assert (found["boards"], found["exp"] - found["iat"]) == (["mario-*"], 3600)


def test_token_is_within_what_players_may(players: Server) -> None:
    """A token for all boards is good for those of all players alone."""
    token = want(players, {"name": "v"}, EVERYTHING).json["token"]
    assert [submit(players, f"/{board}/v", token) for board in ("mario-1", "zelda", "luigi")] == [202, 202, 403]
    assert want(players, {"name": "v"}, token).status == 403


@pytest.mark.parametrize("boards", [["*"], ["zelda"], ["mario*"], ["mario-kart", "m*"]], ids=str)
def test_more_boards_than_the_key_has(players: Server, boards: list[str]) -> None:
    """It is a 403: a key gives away nothing that it has not."""
    assert want(players, {"name": "v", "boards": boards}).status == 403


@pytest.mark.parametrize(
    ("key", "status"), [(None, 401), ("laurels_x", 401), (READER, 403)], ids=["nothing", "bad", "reader"]
)
def test_without_the_right(players: Server, key: str | None, status: int) -> None:
    """A token takes a key with the scope tokens."""
    assert want(players, {"name": "v"}, key).status == status


BAD = [
    (b"", 400, None),
    (b"{", 400, None),
    (b'{"name":"v","name":"w"}', 400, None),
    (b'{"name":"v","boards":["mario-1"],"boards":["mario-2"]}', 400, None),
    (b"[]", 422, ""),
    (b"{}", 422, ""),
    (b'{"name":7}', 422, "/name"),
    (b'{"name":""}', 400, None),
    (b'{"name":"."}', 400, None),
    (b'{"name":"a\\nb"}', 400, None),
    (b'{"name":"\\ud800"}', 400, None),
    (b'{"name":"v","score":1}', 422, ""),
    (b'{"name":"v","seconds":0}', 422, "/seconds"),
    (b'{"name":"v","seconds":86401}', 422, "/seconds"),
    (b'{"name":"v","seconds":-1}', 422, "/seconds"),
    (b'{"name":"v","seconds":1.5}', 422, "/seconds"),
    (b'{"name":"v","seconds":true}', 422, "/seconds"),
    (b'{"name":"v","seconds":null}', 422, "/seconds"),
    (b'{"name":"v","seconds":' + b"9" * 400 + b"}", 422, "/seconds"),
    (b'{"name":"v","boards":"mario-1"}', 422, "/boards"),
    (b'{"name":"v","boards":[7]}', 422, None),
    (b'{"name":"v","boards":["mario-",""]}', 422, "/boards/1"),
    (b'{"name":"v","boards":["mario-\\u0000"]}', 422, "/boards/0"),
    (b'{"name":"v","boards":["' + b"m" * 257 + b'"]}', 422, "/boards/0"),
    (b'{"name":"v","boards":[' + b'"mario-",' * 100 + b'"mario-"]}', 422, "/boards"),
    (b'{"name":"v","boards":[' + b",".join([b'"mario-' + b"k" * 240 + b'"'] * 100) + b"]}", 422, "/boards"),
]


@pytest.mark.parametrize(("body", "status", "pointer"), BAD)
def test_bad_body(players: Server, body: bytes, status: int, pointer: str | None) -> None:
    """What is wrong with it is said, as with every other body."""
    reply = want(players, body)
    assert (reply.status, pointer) == (status, pointer and reply.json["pointer"])
    assert reply.json["detail"]


def test_anonymous(players: Server) -> None:
    """Anyone may have a token for a name that is new, and good for the player's own scores."""
    first, second = (want(players, None, None, "/-/tokens/anonymous") for _ in range(2))
    assert (first.status, sorted(first.json)) == (201, ["expiresAt", "name", "token"])
    name, token = first.json["name"], first.json["token"]
    assert re.fullmatch("guest-[0-9a-f]{16}", name)
    assert claims(token)["exp"] - claims(token)["iat"] == ANONYMOUS_TOKEN_SECONDS
    assert second.json["name"] != name
    paths = {f"/zelda/{name}": 202, f"/zelda/{second.json['name']}": 403, f"/luigi/{name}": 403}
    assert {path: submit(players, path, token) for path in paths} == paths


def test_token_of_an_issuer(players: Server, local: LocalIssuer) -> None:
    """An issuer's token is good for its player, and its new keys are asked for."""
    token = signed(FOREIGN | {"exp": datetime.now(UTC).timestamp() + 60}, "RS256").decode()
    assert [submit(players, path, token) for path in ("/zelda/v", "/zelda/w", "/luigi/v")] == [202, 403, 403]
    assert submit(players, "/zelda/v", f"{token[:-2]}AA") == 401
    assert local.asked == ["/keys"]


@pytest.mark.parametrize("command", [SERVE, ASGI], ids=["protocol", "asgi"])
def test_issuer_that_is_down(tmp_path: Path, command: list[str]) -> None:
    """The service starts without its issuer, warns in the log and of its readiness, and answers 503 to its tokens."""
    with issuing("RS256") as gone:
        url = f"http://localhost:{gone.server_port}/"
    with serving(tmp_path, url, command) as server:
        token = signed(FOREIGN | {"exp": datetime.now(UTC).timestamp() + 60}, "RS256").decode()
        for method, path in (("POST", "/zelda/v"), ("GET", "/zelda/v"), ("GET", "/zelda")):
            reply = ask(server, method, path, {"score": 1} if method == "POST" else None, bearer(token))
            assert (reply.status, "retry-after" in reply.headers) == (503, True)
        server.wait_for_line("The keys of the issuer https://issuer.example/ cannot be fetched")
        assert "issuer.example" in ask(server, "GET", "/-/ready").json["warnings"][0]
        assert want(server, {"name": "v"}).status == 201


@pytest.mark.parametrize("command", [SERVE, ASGI], ids=["protocol", "asgi"])
def test_key_that_is_new(tmp_path: Path, command: list[str]) -> None:
    """A token of a key that is not known waits for the issuer, and is then answered as every other."""
    with issuing("RS256") as local, serving(tmp_path, local.url("/slow"), command) as server:
        token = signed(FOREIGN | {"exp": datetime.now(UTC).timestamp() + 60}, "RS256").decode()
        with ThreadPoolExecutor() as pool:
            waiting = [pool.submit(submit, server, path, token) for path in ("/zelda/v", "/zelda/w")]
            waiting.append(pool.submit(lambda: ask(server, "GET", "/zelda/v", None, bearer(token)).status))
            assert submit(server, "/zelda/v", None) == 401  # nobody else waits
            local.released.set()
            assert [each.result() for each in waiting] == [202, 403, 200]
        assert local.asked == ["/slow"]


def test_few_anonymous(tmp_path: Path) -> None:
    """An address gets few new names an hour, and is told when to come again."""
    with issuing() as local, serving(tmp_path, local.url()) as server:
        replies = [want(server, None, None, "/-/tokens/anonymous") for _ in range(ANONYMOUS_TOKENS + 1)]
        assert [reply.status for reply in replies] == [201] * ANONYMOUS_TOKENS + [429]
        assert 0 < int(replies[-1].headers["retry-after"]) <= 3600 // ANONYMOUS_TOKENS


def test_another_secret(tmp_path: Path) -> None:
    """After SIGHUP a token is measured by the file as it is now; one by another secret is refused."""
    with issuing("RS256") as local, serving(tmp_path, local.url()) as server:
        foreign = signed(FOREIGN | {"exp": datetime.now(UTC).timestamp() + 60}, "RS256").decode()
        token = want(server, {"name": "v"}, EVERYTHING).json["token"]
        assert [submit(server, "/zelda/v", each) for each in (token, foreign)] == [202, 202]
        access = tmp_path / "access.toml"
        access.write_text(access.read_text().replace("env:TOKEN_SECRET", "file:other"))
        (tmp_path / "other").write_text("t" * 32)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("reloaded the access file")
        assert [submit(server, "/zelda/v", each) for each in (token, foreign)] == [401, 202]
        assert local.asked == ["/keys"]


BAD_FILES = {
    "a short secret": ("env:TOKEN_SECRET", "file:short", "32 bytes"),
    "keys over plain http": ("JWKS", "http://issuer.example/", "https://"),
    "an issuer that is the service": ('"https://issuer.example/"', '"laurels"', "laurels"),
}


@pytest.mark.parametrize(("old", "new", "problem"), BAD_FILES.values(), ids=BAD_FILES)
def test_file_that_cannot_be_used(tmp_path: Path, old: str, new: str, problem: str) -> None:
    """A service does not start by a file whose tokens it could not tell from others, and says why."""
    (tmp_path / "short").write_text("s" * 31)
    (tmp_path / "access.toml").write_text(ACCESS.replace(old, new).replace("JWKS", "https://issuer.example/"))
    command = [*SERVE, "--data", str(tmp_path / "data"), "--access", str(tmp_path / "access.toml")]
    done = subprocess.run(
        command, env=os.environ | {"TOKEN_SECRET": SECRET}, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert problem in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_shows_a_token() -> None:
    """A representation of what is sent has nothing of it."""
    given = GivenToken("eyJ", datetime.now(UTC)), AnonymousToken("v", "eyJ", datetime.now(UTC))
    assert "eyJ" not in repr(given)


def test_file_without_players() -> None:
    """An access file that says nothing of players gives no tokens, and takes none."""
    access = Access(AccessFile())
    with pytest.raises(NoSecret):
        access.sign("v", ["*"], 60)
    assert not access.is_anonymous


@pytest.mark.anyio
async def test_anonymous_tokens_without_limits(tmp_path: Path) -> None:
    """Where nothing is counted, anonymous players are not counted either."""
    store = await EmbeddedStore.open(tmp_path)
    context = Context(Boards(store), access=Access(AccessFile(players=Players(anonymous=True)), tokens=tokens()))
    replies = [await give_anonymous_token(context, Request("POST", b"/", b"", {})) for _ in range(ANONYMOUS_TOKENS + 1)]
    assert {reply.status for reply in replies} == {201}
    await store.close()


def test_without_players(server: Server) -> None:
    """A service without an access file, or without a secret, says what it would take."""
    assert want(server, {"name": "v"}, None).status == 409
    assert "LAURELS_TOKEN_SECRET" in want(server, {"name": "v"}, None).json["detail"]
    assert want(server, None, None, "/-/tokens/anonymous").status == 404


@pytest.mark.parametrize(
    ("has", "asked", "is_given"),
    [
        (["*"], ["a", "a*", "*"], True),
        (["mario-*"], ["mario-kart", "mario-*", "mario-*-world"], True),
        (["mario-*", "zelda"], ["zelda", "mario-kart"], True),
        (["a*b"], ["ab", "a*b", "a*a*b", "axb"], True),
        (["mario-*"], ["mario*"], False),
        (["mario-*"], ["*"], False),
        (["mario-*"], ["mario-kart", "zelda"], False),
        (["a*b"], ["a*"], False),
        (["a*b"], ["*b"], False),
        (["zelda"], ["zelda*"], False),
        ([], ["a"], False),
    ],
)
def test_boards_of_tokens(*, has: list[str], asked: list[str], is_given: bool) -> None:
    """A token is given for boards that the signer has itself alone, every one that a pattern is of."""
    signer = Principal(kind="key", name="game", boards=tuple(has))
    if is_given:
        assert find_boards(signer, asked) == tuple(asked)
    else:
        with pytest.raises(Forbidden, match="With this key"):
            find_boards(signer, asked)


def test_boards_by_default() -> None:
    """Without any a token has those of the signer, if all of them are its own."""
    assert find_boards(Principal(kind="key", boards=("a*", "b")), None) == ("a*", "b")
    with pytest.raises(Forbidden):
        find_boards(Principal(kind="player", boards=("a*",), within=("ab*",)), None)
