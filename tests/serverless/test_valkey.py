"""The functions on a real server of Redis, as they are on ElastiCache Serverless for Valkey."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

import msgspec
import pytest
from botocore.session import Session

from infra.settings import ACCESS_STRING
from laurels.definition import BoardsFile, Definition
from laurels.serverless.environment import read
from laurels.serverless.errors import BadSetting
from laurels.serverless.valkey import AGE_SECONDS, IDLE_SECONDS, Preparing, Signature, open_store
from laurels.stores.redis.store import RedisStore
from tests.redis_servers import Node, free_port, running, until
from tests.serverless.conftest import AWS, executing
from tests.serverless.recorded import RECORDED
from tests.serverless.test_handlers import (
    BOARDS,
    ENTRIES,
    STANDING,
    answer_self_hosted,
    function_of,
    without_query_and_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Server
    from tests.serverless.conftest import Execution, ParameterStore
    from tests.serverless.recorded import Recorded

pytestmark = pytest.mark.slow

USER, KNOWN = "laurels-test", "laurels-known"
PASSWORD = "hush-hush-hush-hush"  # noqa: S105 - of a server of the tests
SECRET = "laurels-test-valkey"  # noqa: S105 - its name
ACCESS = "/laurels/test/access"
SUBMIT = RECORDED["rest-submit"].event


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Run a server as ElastiCache has one: a cluster of one node, with TLS, and a deployment's user with its rights.

    It takes any token of that user.
    """
    options = {"cluster_enabled": "yes", "cluster_port": str(free_port()), "tls_cluster": "yes"}
    users = ("default on nopass ~* +@all", f"{USER} nopass {ACCESS_STRING}", f"{KNOWN} >{PASSWORD} {ACCESS_STRING}")
    with running(tmp_path_factory.mktemp("valkey"), tls=True, users=users, **options) as node:
        with closing(node.client()) as client:
            client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        wait_for_slots(node)
        yield node


def wait_for_slots(node: Node) -> None:
    """Wait until the cluster answers."""
    with closing(node.client()) as client:
        until(lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")


def variables(node: Node) -> dict[str, str]:
    """Return the environment of a function."""
    own = {"LAURELS_STORE": url(node), "LAURELS_CACHE": USER, "LAURELS_CACHE_USER": USER, "LAURELS_STAGE": "dev"}
    return own | AWS | {"AWS_REGION": "eu-central-1", "SSL_CERT_FILE": str(node.authority)}


def url(node: Node) -> str:
    """Return the URL, as a deployment has it."""
    return f"rediss+cluster://{node.address}"


@pytest.fixture
def settings(node: Node) -> dict[str, str]:
    """Return the environment of a function on an empty server."""
    with closing(node.client()) as client:
        client.flushall()
    return variables(node)


@pytest.fixture(scope="module")
def one_for_all(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Execution]:
    """Yield an execution environment that many tests share."""
    with executing(variables(node), tmp_path_factory.mktemp("shared") / "log") as execution:
        yield execution


@pytest.mark.anyio
@pytest.mark.parametrize("recorded", RECORDED.values(), ids=RECORDED)
async def test_same_bytes_as_self_hosted(one_for_all: Execution, recorded: Recorded, tmp_path: Path) -> None:
    """A function on Valkey, with no more than the rights of a deployment, answers as the embedded service does."""
    for name in BOARDS:
        dropped = RECORDED[name].event | {"httpMethod": "DELETE", "body": None}
        one_for_all.invoke("get_leaderboard", {**dropped, **without_query_and_name(dropped)})
    for name in ENTRIES:
        assert one_for_all.invoke("submit_score", RECORDED[name].event)["statusCode"] == 202
    answer = one_for_all.invoke(function_of(recorded), recorded.event)
    expected = await answer_self_hosted(tmp_path, recorded)
    assert answer["statusCode"] == expected.status
    assert answer["body"].encode() == (b"" if recorded.sent.method == "HEAD" else expected.body)
    assert answer["headers"] == {name.decode(): value.decode() for name, value in expected.list_headers()}


def test_what_momento_cannot_keep(settings: dict[str, str], tmp_path: Path) -> None:
    """Boards have windows and other orders of ties, and submits have keys and metadata."""
    board = SUBMIT["pathParameters"]["board"]
    file = BoardsFile(boards={board: Definition(operator="increment", ties="earliest", windows=("daily",))})
    (tmp_path / "boards.json").write_bytes(msgspec.json.encode(file))
    headers = {**(SUBMIT["multiValueHeaders"] or {}), "idempotency-key": ["1"]}
    event = SUBMIT | {"multiValueHeaders": headers, "headers": None, "body": '{"score":2,"metadata":{"car":7}}'}
    with executing(settings | {"LAURELS_BOARDS": str(tmp_path / "boards.json")}, tmp_path / "log") as execution:
        assert [execution.invoke("submit_score", event)["statusCode"] for _ in range(2)] == [202, 202]
        query = {"multiValueQueryStringParameters": {"window": ["daily"]}, "queryStringParameters": None}
        answer = execution.invoke("get_standing", STANDING | query)
    assert answer["body"] == '{"score":2,"rank":0}'


def test_no_other_commands(node: Node) -> None:
    """The user of a deployment can neither empty the server nor use keys of others."""
    with closing(node.client()) as client:
        for words in (("FLUSHALL",), ("CONFIG", "GET", "*"), ("KEYS", "*"), ("GET", "other"), ("DEBUG", "SLEEP", "0")):
            assert b"no permissions" in client.execute_command("ACL", "DRYRUN", USER, *words).lower()


def test_cache_that_is_gone(settings: dict[str, str], node: Node, tmp_path: Path) -> None:
    """A function that starts without its cache answers 503, goes on once there is one, and outlives its restart."""
    node.kill()
    with executing(settings, tmp_path / "log") as execution:
        answer = execution.invoke("get_standing", STANDING)
        assert answer["statusCode"] == 503
        assert answer["headers"]["retry-after"]
        node.start()
        wait_for_slots(node)
        assert execution.invoke("submit_score", SUBMIT)["statusCode"] == 202
        node.kill()
        node.start()
        wait_for_slots(node)
        statuses = [execution.invoke("get_standing", STANDING)["statusCode"] for _ in range(2)]
    assert statuses[-1] == 200


def test_issuers_that_cannot_be_reached(settings: dict[str, str], ssm: ParameterStore, tmp_path: Path) -> None:
    """An access file whose issuers have their keys at an address is not taken up, and the log says why."""
    issuer = 'issuer = "https://id.example", audience = "game", jwks = "https://id.example/keys"'
    ssm.put(f"[players]\nissuers = [{{ {issuer} }}]", ACCESS)
    with executing(settings | {"LAURELS_ACCESS_PARAMETER": ACCESS}, tmp_path / "log") as execution:
        assert execution.invoke("get_standing", STANDING)["statusCode"] == 503
        assert "nothing leads to the internet: give its public keys as keys" in execution.text


def sign(url: str, secret: str) -> str:
    """Return the signature of a request, by the rules of AWS's Signature Version 4."""
    parts = urlsplit(f"https://{url}")
    asked = {name: values[0] for name, values in parse_qs(parts.query).items() if name != "X-Amz-Signature"}
    query = "&".join(f"{quote(name, safe='')}={quote(asked[name], safe='')}" for name in sorted(asked))
    canonical = f"GET\n/\n{query}\nhost:{parts.netloc}\n\nhost\n{hashlib.sha256(b'').hexdigest()}"
    scope = asked["X-Amz-Credential"].partition("/")[2]
    text = f"AWS4-HMAC-SHA256\n{asked['X-Amz-Date']}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def test_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token says who connects to which cache, for 15 minutes, and is signed with the role of the function."""
    role = {"AWS_ACCESS_KEY_ID": "ID", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_SESSION_TOKEN": "session/+="}
    for name, value in (role | {"AWS_REGION": "eu-central-1"}).items():
        monkeypatch.setenv(name, value)
    user, token = asyncio.run(Signature("laurels-dev", "laurels-user").get_credentials_async())
    asked = {name: values[0] for name, values in parse_qs(urlsplit(f"https://{token}").query).items()}
    assert (user, token.partition("?")[0]) == ("laurels-user", "laurels-dev/")
    assert {name: asked[name] for name in ("Action", "User", "ResourceType", "X-Amz-Expires")} == {
        "Action": "connect",
        "User": "laurels-user",
        "ResourceType": "ServerlessCache",
        "X-Amz-Expires": "900",
    }
    assert asked["X-Amz-Security-Token"] == "session/+="
    assert asked["X-Amz-Credential"].endswith("/eu-central-1/elasticache/aws4_request")
    assert asked["X-Amz-Signature"] == sign(token, "hush")
    assert "hush" not in token


@pytest.mark.parametrize("missing", ["LAURELS_CACHE", "LAURELS_CACHE_USER"])
def test_missing_setting(settings: dict[str, str], missing: str) -> None:
    """What is needed to connect must be set."""
    with pytest.raises(BadSetting, match=f"^{missing} is missing"):
        open_store(read({name: value for name, value in settings.items() if name != missing}), object)


def test_token_is_in_no_output(settings: dict[str, str], tmp_path: Path) -> None:
    """With every logger at DEBUG no token is in the log."""
    with executing(settings | {"POWERTOOLS_LOG_LEVEL": "DEBUG"}, tmp_path / "log") as execution:
        assert execution.invoke("get_standing", STANDING)["statusCode"] == 200
        assert "X-Amz-Signature" not in execution.text


def keep(server: Server, value: str) -> None:
    """Store a password in Secrets Manager, in place of the one that may be there."""
    session = Session()
    session.set_credentials("x", "x")
    client = session.create_client("secretsmanager", region_name="eu-central-1", endpoint_url=server.url)
    listed = [each["Name"] for each in client.list_secrets()["SecretList"]]
    if SECRET in listed:
        client.put_secret_value(SecretId=SECRET, SecretString=value)
    else:
        client.create_secret(Name=SECRET, SecretString=value)


def test_password(settings: dict[str, str], ssm: ParameterStore, tmp_path: Path) -> None:
    """With a password the function reads it from Secrets Manager; one that is refused is a 503. It is in no output."""
    place = {"LAURELS_PASSWORD_SECRET": SECRET, "AWS_ENDPOINT_URL_SECRETS_MANAGER": ssm.server.url}
    own = settings | place | {"LAURELS_CACHE": "", "LAURELS_CACHE_USER": KNOWN}
    statuses, said = [], ""
    for number, password in enumerate([PASSWORD, "wrong"]):
        keep(ssm.server, password)
        with executing(own, tmp_path / f"log-{number}") as execution:
            statuses.append(execution.invoke("get_standing", STANDING)["statusCode"])
            said += execution.text + execution.environment
    assert statuses == [200, 503]
    assert PASSWORD not in said


def test_secrets_manager_that_refuses(settings: dict[str, str], ssm: ParameterStore, tmp_path: Path) -> None:
    """A secret that is not there is a 503, with the reason in the log."""
    place = {"LAURELS_PASSWORD_SECRET": "nothing", "AWS_ENDPOINT_URL_SECRETS_MANAGER": ssm.server.url}
    with executing(settings | place, tmp_path / "log") as execution:
        assert execution.invoke("get_standing", STANDING)["statusCode"] == 503
        assert "The password cannot be read from the parameter nothing" in execution.text


class Connections:
    """Credentials that are counted: each connection asks for them once."""

    made = 0

    async def get_credentials_async(self) -> tuple[str, str]:
        """Return them."""
        self.made += 1
        return USER, "any"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("pauses", "made"),
    [
        ([0, 1, IDLE_SECONDS - 1], 0),
        ([IDLE_SECONDS], 1),
        ([-5], 1),
        ([IDLE_SECONDS - 1] * (AGE_SECONDS // (IDLE_SECONDS - 1) + 2), 1),
    ],
    ids=["kept", "forgotten", "clock set back", "too old"],
)
async def test_connections_that_are_kept(
    node: Node, pauses: list[float], made: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection serves one invocation after another, unless it may be forgotten by the network, or is too old."""
    connections, wall = Connections(), SimpleNamespace(now=1000.0)
    monkeypatch.setenv("SSL_CERT_FILE", str(node.authority))
    store = RedisStore(url(node), credentials=connections)
    prepare = Preparing(store, lambda: wall.now)
    await prepare()
    await store.ready()
    first = connections.made
    for pause in pauses:
        wall.now += pause
        await prepare()
        await store.ready()
    await store.close()
    assert connections.made - first == made
