"""Who may do what on Lambda: credentials in events, and the access file in a parameter."""

from __future__ import annotations

import json
import logging
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from laurels.access.keys import digest_key
from laurels.access.ssm_parameter import PARAMETER_BYTES
from laurels.errors import BadCredential, ParameterUnreadable
from laurels.http import Request
from laurels.http.operations import STANDING
from laurels.serverless import environment
from laurels.serverless.access import ParameterAccess
from laurels.serverless.errors import BadSetting
from laurels.serverless.parameters import KEPT_SECONDS, RETRY_SECONDS, connect_ssm
from tests.access.issuing import AUDIENCE, ISSUER, NOW, OWN, SECRET, LocalIssuer, own, public, signed
from tests.access.ways import KeyRing, bearer
from tests.processes import serving
from tests.serverless.conftest import executing
from tests.serverless.recorded import RECORDED
from tests.serverless.test_handlers import function_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.clock import Clock
    from tests.serverless.conftest import Execution, ParameterStore
    from tests.serverless.recorded import Recorded

ACCESS, TOKENS = "/laurels/dev/access", "/laurels/dev/tokens"
RECORDED_KEY = "laurels_Arecordedkey00000000000000000000000000000004ZKKYH"
EVENTS = {name: RECORDED[name] for name in RECORDED if name.endswith("-with-key")}
OPEN = '[public]\nscopes = ["read"]\n'
LATER = int(time.time()) + 3600


@pytest.fixture(scope="module")
def ring() -> KeyRing:
    """Return keys of every kind that a request may show."""
    ring = KeyRing()
    ring.tables.append(
        f'[keys.recorded]\nsha256 = "{digest_key(RECORDED_KEY)}"\nscopes = ["read", "submit"]\nboards = ["mario-*"]'
    )
    ring.add("reader", ["read"])
    ring.add("submitter", ["submit"])
    ring.add("elsewhere", ["read", "submit"], boards=["tetris", "mario"])
    ring.add("expired", ["admin"], expires="2026-01-01")
    ring.add("admin", ["admin"])
    ring.add("nothing", [])
    return ring


def showing(recorded: Recorded, credential: str | None) -> dict[str, Any]:
    """Return the event of the same request with another credential, as the gateway would send it; None is none."""
    event = json.loads(json.dumps(recorded.event))
    for headers in filter(None, (event["headers"], event.get("multiValueHeaders"))):
        (name,) = [name for name in headers if name.lower() == "authorization"]
        if credential is None:
            del headers[name]
        else:
            headers[name] = credential if isinstance(headers[name], str) else [credential]
    return dict(event)


@pytest.fixture(scope="module")
def guarded(
    momento: Any, running_ssm: Callable[[], ParameterStore], ring: KeyRing, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Execution]:
    """Yield an execution environment with an access file; everybody may read the boards that begin with open."""
    directory = tmp_path_factory.mktemp("guarded")
    store = running_ssm()
    store.put(momento.connections.api_key, "/guarded/key")
    store.put(SECRET.decode(), "/guarded/tokens")
    tables = ['[public]\nscopes = ["read"]\nboards = ["open*"]', '[players]\nsecret = "ssm:/guarded/tokens"']
    store.put(ring.write(directory / "access.toml", *tables).read_text(), "/guarded/access")
    settings = store.environment | {
        "LAURELS_STAGE": "dev",
        "LAURELS_KEY_PARAMETER": "/guarded/key",
        "LAURELS_ACCESS_PARAMETER": "/guarded/access",
        "LAURELS_MOMENTO_CACHE": momento.new_cache(),
        "LAURELS_MOMENTO_ENDPOINT": momento.connections.endpoint,
    }
    with executing(settings, directory / "log") as execution:
        yield execution


MATRIX = {
    # what is shown: the status of a submit, a standing, a page
    "none": (401, 401, 401),
    "recorded": (202, 200, 200),
    "reader": (403, 200, 200),
    "submitter": (202, 403, 403),
    "admin": (202, 200, 200),
    "nothing": (403, 403, 403),
    "elsewhere": (403, 403, 403),
    "expired": (401, 401, 401),
    "mistyped": (401, 401, 401),
    "unknown": (401, 401, 401),
    "two": (401, 401, 401),
    "another scheme": (401, 401, 401),
    "own token": (202, 200, 200),
    "another player's token": (403, 200, 200),
    "expired token": (401, 401, 401),
    "foreign token": (401, 401, 401),
}


def credential_of(what: str, ring: KeyRing) -> str | None:
    """Return what Authorization has."""
    tokens = {
        "own token": own({"exp": LATER}),
        "another player's token": own({"exp": LATER, "sub": "silverhand"}),
        "expired token": own({"exp": LATER - 7200}),
        "foreign token": own({"exp": LATER}, secret=b"another secret of at least 32 bytes"),
    }
    plain = {
        "none": None,
        "recorded": f"Bearer {RECORDED_KEY}",
        "mistyped": f"Bearer {RECORDED_KEY[:-1]}Z",
        "unknown": f"Bearer {KeyRing().add('other', [])}",
        "two": f"Bearer {RECORDED_KEY}, Bearer {RECORDED_KEY}",
        "another scheme": "Basic dXNlcjpwYXNzd29yZA==",
    }
    if what in tokens:
        return f"Bearer {tokens[what].decode()}"
    return plain[what] if what in plain else f"Bearer {ring.secrets[what]}"


@pytest.mark.slow
@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize("what", MATRIX)
def test_matrix(guarded: Execution, ring: KeyRing, name: str, what: str) -> None:
    """Each credential may do with each event what its scopes, boards and name allow, and nothing else."""
    recorded = EVENTS[name]
    column = ["submit_score", "get_standing", "get_leaderboard"].index(function_of(recorded))
    answer = guarded.invoke(function_of(recorded), showing(recorded, credential_of(what, ring)))
    assert answer["statusCode"] == MATRIX[what][column], answer
    assert ("www-authenticate" in answer["headers"]) is (answer["statusCode"] == 401)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["none", "mistyped"])
def test_public(guarded: Execution, ring: KeyRing, what: str) -> None:
    """Whoever shows nothing may read the public's boards; what is shown and bad is a 401 there too."""
    event = showing(EVENTS["rest-standing-with-key"], credential_of(what, ring))
    event["pathParameters"] = {"board": "opening", "name": "v"}
    assert guarded.invoke("get_standing", event)["statusCode"] == (200 if what == "none" else 401)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "name", "status"), [("PUT", "v", 405), ("OPTIONS", "v", 204), ("GET", "%00", 401)])
def test_order_of_refusals(guarded: Execution, method: str, name: str, status: int) -> None:
    """A method that there is not comes before the question who it is; what is wrong with a name comes after."""
    event = showing(EVENTS["rest-standing-with-key"], None)
    event |= {"httpMethod": method, "pathParameters": {"board": "mario-kart", "name": name}}
    assert guarded.invoke("get_standing", event)["statusCode"] == status


@pytest.mark.slow
def test_no_credential_in_the_log(guarded: Execution, ring: KeyRing) -> None:
    """At DEBUG, with all foreign loggers on, the log has no key, no token, no secret and no digest."""
    shown = [credential_of(what, ring) or "" for what in MATRIX]
    event = showing(EVENTS["rest-page-with-key"], None)
    token = own({"exp": LATER}).decode()
    event["queryStringParameters"] = {"access_token": token}
    event["multiValueQueryStringParameters"] = {"access_token": [token]}
    assert guarded.invoke("get_leaderboard", event)["statusCode"] == 401
    secrets = [
        text.removeprefix("Bearer ") for text in (*shown, token, SECRET.decode(), digest_key(RECORDED_KEY)) if text
    ]
    assert not [secret for secret in secrets if secret in guarded.text]
    assert "Answered" in guarded.text


@pytest.mark.slow
def test_file_that_is_not_there_yet(settings: dict[str, str], ssm: ParameterStore, tmp_path: Path) -> None:
    """Without any access file each request is a 503 that says when to come again, and open once there is one."""
    ssm.delete(ACCESS)
    with executing(settings | {"LAURELS_ACCESS_PARAMETER": ACCESS}, tmp_path / "log") as execution:
        for event in (RECORDED["rest-standing"].event, EVENTS["rest-standing-with-key"].event):
            answer = execution.invoke("get_standing", event)
            assert (answer["statusCode"], answer["headers"]["retry-after"]) == (503, "5")
            assert json.loads(answer["body"])["detail"].startswith("A parameter that the service needs cannot be read.")
        assert ACCESS not in answer["body"]
        ssm.put(OPEN, ACCESS)
        assert execution.invoke("get_standing", RECORDED["rest-standing"].event)["statusCode"] == 200
        assert "The access file cannot be read from the parameter /laurels/dev/access: " in execution.text


class Guarded:
    """A parameter with an access file, and the gate that goes by it; its clock passes when a test sets it."""

    def __init__(self, ssm: ParameterStore, clock: Clock) -> None:
        self.ssm = ssm
        self.clock = clock
        self.access = ParameterAccess(ACCESS, connect_ssm, clock)

    async def ask(self, credential: str | bytes | None = None) -> str:
        """Return who asks, as logs say it, when the function is called; raises what refuses it."""
        await self.access.refresh()
        text = credential.decode() if isinstance(credential, bytes) else credential
        headers = {name.encode(): value.encode() for name, value in bearer(text).items()} if text else {}
        found = self.access.authenticate(Request("GET", b"/b/v", b"", headers), STANDING)
        return str(found if not hasattr(found, "__await__") else await found)


@pytest.fixture
def gate(ssm: ParameterStore, clock: Clock) -> Guarded:
    """Return a gate by a parameter that is not there yet."""
    for name in (ACCESS, TOKENS):
        ssm.delete(name)
    return Guarded(ssm, clock)


BAD = {
    "no TOML": ("[public", "it is not TOML"),
    "empty": ("#", "it is empty"),
    "limits": (f'{OPEN}limits = {{ requests = "1/s" }}', r"\[public\] has limits"),
    "env": ('[players]\nsecret = "env:SECRET"', "ssm:NAME"),
    "file": ('[players]\nsecret = "file:secret"', "ssm:NAME"),
    "no name": ('[players]\nsecret = "ssm:tokens"', "such as ssm:/laurels/dev/tokens"),
    "too large": (OPEN + "#" * PARAMETER_BYTES, "holds 8,192"),
    "no such secret": (f'[players]\nsecret = "ssm:{TOKENS}"', "ParameterNotFound"),
    "an issuer without an address": (
        f'[players]\nissuers = [{{ issuer = "{ISSUER}", audience = "{AUDIENCE}", jwks = "ftp://a" }}]',
        r"\[players\].*jwks",
    ),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("text", "problem"), BAD.values(), ids=BAD)
async def test_bad_file_at_start(gate: Guarded, caplog: pytest.LogCaptureFixture, text: str, problem: str) -> None:
    """With a file that cannot be used nobody may do anything, and the log says why; a good one is taken up at once."""
    gate.ssm.put(text, ACCESS)
    with pytest.raises(ParameterUnreadable):
        await gate.ask()
    (record,) = [record for record in caplog.records if record.name == "laurels.serverless.parameters"]
    assert record.getMessage().startswith("The access file cannot be read from the parameter /laurels/dev/")
    assert re.search(problem, record.getMessage())
    gate.ssm.put(OPEN, ACCESS)
    assert await gate.ask() == "public"


@pytest.mark.anyio
@pytest.mark.parametrize(("text", "problem"), BAD.values(), ids=BAD)
async def test_bad_file_later(gate: Guarded, caplog: pytest.LogCaptureFixture, text: str, problem: str) -> None:
    """If a changed file cannot be used the old one serves on, and the log says why, until it can."""
    key = KeyRing()
    secret = key.add("one", ["read"])
    gate.ssm.put(key.tables[0], ACCESS)
    assert await gate.ask(secret) == "key:one"
    gate.ssm.put(text, ACCESS)
    gate.clock.now += KEPT_SECONDS
    assert await gate.ask(secret) == "key:one"
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "the old access file serves on: " in record.getMessage()
    assert re.search(problem, record.getMessage())
    gate.ssm.put(OPEN, ACCESS)
    gate.clock.now += RETRY_SECONDS
    with pytest.raises(BadCredential):
        await gate.ask(secret)


@pytest.mark.anyio
async def test_revoked_key(gate: Guarded) -> None:
    """A key that is taken out of the file is good for five minutes more, though it was remembered; a new one then."""
    before, after = KeyRing(), KeyRing()
    old, new = before.add("old", ["read"]), after.add("new", ["read"])
    gate.ssm.put(before.tables[0], ACCESS)
    assert await gate.ask(old) == "key:old"
    gate.ssm.put(after.tables[0], ACCESS)
    gate.clock.now += KEPT_SECONDS - 1
    assert await gate.ask(old) == "key:old"
    gate.clock.now += 1
    with pytest.raises(BadCredential):
        await gate.ask(old)
    assert await gate.ask(new) == "key:new"


@pytest.mark.anyio
async def test_unreachable_parameter(gate: Guarded) -> None:
    """While SSM is unreachable the file that was read serves on."""
    gate.ssm.put(OPEN, ACCESS)
    assert await gate.ask() == "public"
    gate.ssm.server.stop()
    gate.clock.now += KEPT_SECONDS
    assert await gate.ask() == "public"


@pytest.mark.anyio
async def test_what_is_remembered_outlives_the_same_file(gate: Guarded) -> None:
    """Reading the same file again forgets nothing."""
    gate.ssm.put(OPEN, ACCESS)
    await gate.ask()
    remembered = gate.access.credential_cache
    gate.clock.now += KEPT_SECONDS
    await gate.ask()
    assert gate.access.credential_cache is remembered


@pytest.mark.anyio
async def test_secret_of_tokens(gate: Guarded) -> None:
    """Tokens are verified by the secret in its own parameter, without the newline at its end; also by a new one."""
    gate.clock.now = NOW
    gate.ssm.put(f"{SECRET.decode()}\n", TOKENS)
    gate.ssm.put(f'[players]\nsecret = "ssm:{TOKENS}"', ACCESS)
    assert await gate.ask(own()) == "player:v"
    other = b"another secret of at least 32 bytes"
    gate.ssm.put(other.decode(), TOKENS)
    gate.clock.now += KEPT_SECONDS
    claims = {"exp": NOW + 2 * KEPT_SECONDS}
    with pytest.raises(BadCredential):
        await gate.ask(own(claims))
    assert await gate.ask(own(claims, secret=other)) == "player:v"


@pytest.mark.anyio
async def test_short_secret(gate: Guarded, caplog: pytest.LogCaptureFixture) -> None:
    """A secret that is too short is refused, and is not in the log."""
    gate.ssm.put("hush", TOKENS)
    gate.ssm.put(f'[players]\nsecret = "ssm:{TOKENS}"', ACCESS)
    with pytest.raises(ParameterUnreadable):
        await gate.ask()
    assert "has 4 bytes" in caplog.text
    assert "hush" not in caplog.text


def issuer_table(url: str) -> str:
    """Return players of one issuer, whose keys are there."""
    return f'[players]\nissuers = [{{ issuer = "{ISSUER}", audience = "{AUDIENCE}", jwks = "{url}" }}]'


@pytest.mark.anyio
async def test_issuer(gate: Guarded) -> None:
    """Keys of an issuer are fetched at the start, and again for a token of an unknown key, at most once a minute."""
    gate.clock.now = NOW
    claims = OWN | {"iss": ISSUER, "aud": AUDIENCE}
    with serving(LocalIssuer("RS256")) as issuer:
        gate.ssm.put(issuer_table(issuer.url()), ACCESS)
        await gate.access.start()
        assert issuer.asked == ["/keys"]
        assert await gate.ask(signed(claims, "RS256")) == "player:v"
        issuer.names = ("ES256",)
        with pytest.raises(BadCredential):
            await gate.ask(signed(claims, "ES256"))
        gate.clock.now += 60
        assert await gate.ask(signed(claims | {"exp": NOW + 120}, "ES256")) == "player:v"
        assert issuer.asked == ["/keys"] * 2


@pytest.mark.anyio
async def test_keys_are_kept_when_the_file_changes(gate: Guarded) -> None:
    """A changed file that has the same issuer does not lose its keys."""
    gate.clock.now = NOW
    with serving(LocalIssuer("RS256")) as issuer:
        gate.ssm.put(issuer_table(issuer.url()), ACCESS)
        await gate.access.start()
        gate.ssm.put(f"{OPEN}\n{issuer_table(issuer.url())}", ACCESS)
        gate.clock.now += KEPT_SECONDS
        token = signed(OWN | {"iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 600}, "RS256")
        assert await gate.ask(token) == "player:v"
        assert issuer.asked == ["/keys"]


@pytest.mark.anyio
async def test_functions_without_the_package_for_issuers(
    gate: Guarded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Functions that were deployed for a file without issuers say so of one that has some."""
    monkeypatch.setattr("laurels.serverless.access.find_spec", lambda _: None)
    gate.ssm.put(issuer_table("https://issuer.example/keys"), ACCESS)
    with pytest.raises(ParameterUnreadable):
        await gate.ask()
    assert "deploy again, with this file as accessFile, or without accessFile" in caplog.text


def test_nothing_of_it_is_shown(gate: Guarded) -> None:
    """The repr of what was loaded has no secret."""
    gate.ssm.put(SECRET.decode(), TOKENS)
    gate.ssm.put(f'[players]\nsecret = "ssm:{TOKENS}"', ACCESS)
    assert repr(gate.access._load()) == "Loaded()"  # noqa: SLF001 - nothing else has it
    assert repr(gate.access) == "<ParameterAccess>"


def test_empty_name_of_the_parameter() -> None:
    """A variable that is set and empty would leave the function open: it does not start."""
    given = {"LAURELS_STAGE": "dev", "LAURELS_KEY_PARAMETER": "k", "LAURELS_MOMENTO_CACHE": "c"}
    assert environment.read(given).access_parameter is None
    with pytest.raises(BadSetting, match="LAURELS_ACCESS_PARAMETER is empty"):
        environment.read(given | {"LAURELS_ACCESS_PARAMETER": ""})


def test_inline_keys(gate: Guarded) -> None:
    """Public keys of an issuer may stand in the file itself."""
    key = ", ".join(f'{name} = "{value}"' for name, value in public("ES256").items())
    gate.ssm.put(
        f'[players]\nissuers = [{{ issuer = "{ISSUER}", audience = "{AUDIENCE}", keys = [{{ {key} }}] }}]', ACCESS
    )
    assert gate.access._load().tokens is not None  # noqa: SLF001 - as above
