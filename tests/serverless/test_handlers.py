"""The functions, called as Lambda calls them, on a real Momento server and a real SSM."""

from __future__ import annotations

import base64
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from laurels.boards import Boards
from laurels.definition import BoardsFile, Definition
from laurels.http import Response, Routes
from laurels.stores.embedded.store import EmbeddedStore
from tests.serverless.conftest import PARAMETER, executing
from tests.serverless.recorded import RECORDED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.momento import Momento
    from tests.serverless.conftest import Execution, ParameterStore
    from tests.serverless.recorded import Recorded

pytestmark = pytest.mark.slow

BOARDS = ("rest-page", "rest-standing-odd-name")
ENTRIES = ("rest-submit", "rest-submit-base64", "rest-submit-odd-name")
STANDING = RECORDED["rest-standing"].event
ABSENT_BODY = '{"leaderboard":[]}'


@pytest.fixture
def execution(settings: dict[str, str], tmp_path: Path) -> Iterator[Execution]:
    """Yield a warm execution environment."""
    with executing(settings, tmp_path / "log") as execution:
        yield execution


class Accounts:
    """The account API of the local Momento server."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def make_key(self, rule: Mapping[str, object] | None = None) -> tuple[str, str]:
        """Make a key that may do everything, or what a rule says; return its id and its text."""
        role = "owner"
        if rule:
            body: dict[str, object] = {"role_name": uuid.uuid4().hex, "permissions": {"rules": [rule]}}
            role = self._client.post("/roles", json=body).raise_for_status().json()["role_id"]
        body = {"role_id": role, "description": "test", "expiry": "never"}
        made = self._client.post("/api-keys", json=body).raise_for_status().json()
        return made["key_info"]["key_id"], made["api_key"]

    def revoke(self, key_id: str) -> None:
        """Revoke a key."""
        self._client.delete(f"/api-keys/{key_id}").raise_for_status()


@pytest.fixture
def accounts(momento: Momento) -> Iterator[Accounts]:
    """Yield the account API."""
    headers = {"authorization": momento.connections.api_key}
    with httpx.Client(base_url=momento.connections.account_url, headers=headers) as client:
        yield Accounts(client)


def function_of(recorded: Recorded) -> str:
    """Return the name of the function that answers the route of a request."""
    if recorded.sent.method == "POST":
        return "submit_score"
    return "get_standing" if recorded.sent.target.count("/") == 2 else "get_leaderboard"


async def answer_self_hosted(data: Path, recorded: Recorded) -> Response:
    """Answer as the self-hosted service does, after the same submits."""
    store = await EmbeddedStore.open(data)
    routes = Routes(Boards(store))
    for name in ENTRIES:
        assert (await routes.answer(RECORDED[name].sent.request)).status == 202
    answer = await routes.answer(recorded.sent.request)
    await store.close()
    return answer


@pytest.fixture(scope="module")
def one_for_all(momento: Momento, running_ssm: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Execution]:
    """Yield an execution environment that many tests share."""
    store: ParameterStore = running_ssm()
    store.put(momento.connections.api_key, "/shared")
    settings = store.environment | {
        "LAURELS_STAGE": "dev",
        "LAURELS_KEY_PARAMETER": "/shared",
        "LAURELS_MOMENTO_CACHE": momento.new_cache(),
        "LAURELS_MOMENTO_ENDPOINT": momento.connections.endpoint,
    }
    with executing(settings, tmp_path_factory.mktemp("shared") / "log") as execution:
        yield execution


@pytest.mark.anyio
@pytest.mark.parametrize("recorded", RECORDED.values(), ids=RECORDED)
async def test_same_bytes_as_self_hosted(one_for_all: Execution, recorded: Recorded, tmp_path: Path) -> None:
    """A function on Momento answers an event as the embedded service answers the request behind it."""
    for name in BOARDS:
        dropped = RECORDED[name].event | {"httpMethod": "DELETE", "body": None}
        one_for_all.invoke("get_leaderboard", {**dropped, **without_query_and_name(dropped)})
    for name in ENTRIES:
        assert one_for_all.invoke("submit_score", RECORDED[name].event)["statusCode"] == 202
    answer = one_for_all.invoke(function_of(recorded), recorded.event)
    expected = await answer_self_hosted(tmp_path, recorded)
    body = b"" if recorded.sent.method == "HEAD" else expected.body
    assert answer["statusCode"] == expected.status
    assert answer["body"].encode() == body
    assert answer["headers"] == {name.decode(): value.decode() for name, value in expected.list_headers()}


def without_query_and_name(event: dict[str, Any]) -> dict[str, Any]:
    """Return what makes of an event one for the board."""
    return {
        "pathParameters": {"board": event["pathParameters"]["board"]},
        "multiValueQueryStringParameters": None,
        "queryStringParameters": None,
    }


def test_shared_cache(settings: dict[str, str], accounts: Accounts, ssm: ParameterStore, tmp_path: Path) -> None:
    """A key for the names in one cache that begin with a namespace serves a stage with that; others have no entry."""
    cache, namespace = {"name": settings["LAURELS_MOMENTO_CACHE"]}, {"LAURELS_NAMESPACE": "FEAT-123"}
    rule = {"type": "cache", "permissions": ["read", "write"], "caches": cache, "items": {"key_prefix": "FEAT-123"}}
    with executing(settings, tmp_path / "dev") as dev:
        ssm.put(accounts.make_key(rule)[1])
        with executing(settings | namespace, tmp_path / "feature") as feature:
            assert feature.invoke("submit_score", RECORDED["rest-submit"].event)["statusCode"] == 202
            assert '"rank":0' in feature.invoke("get_standing", STANDING)["body"]
            assert not feature.lines("Not ready yet")
        assert '"rank":null' in dev.invoke("get_standing", STANDING)["body"]


def test_one_line_a_request(execution: Execution) -> None:
    """Each request has one line, with its id, status and time; the first says that it was a cold start."""
    for _ in range(2):
        execution.invoke("get_standing", STANDING)
    lines = execution.lines("Answered")
    assert [(line["status"], line["cold_start"]) for line in lines] == [(200, True), (200, False)]
    assert {line["function_name"] for line in lines} == {"laurels-test"}
    assert len({line["function_request_id"] for line in lines}) == 2


@pytest.mark.parametrize(("stage", "lines"), [("prod", 0), ("dev", 1)])
def test_names_are_logged_only_outside_production(
    settings: dict[str, str], tmp_path: Path, stage: str, lines: int
) -> None:
    """In production no log line has a player's name; in other stages a line for debugging has."""
    with executing(settings | {"LAURELS_STAGE": stage}, tmp_path / "log") as execution:
        execution.invoke("get_standing", RECORDED["rest-standing-odd-name"].event)
        assert len(execution.lines("Answered")) == 1
        assert len(execution.lines("Asked")) == lines
        assert ("scope" in execution.text) is (stage != "prod")


def test_level_by_the_environment(settings: dict[str, str], tmp_path: Path) -> None:
    """The deployment may choose the log level itself."""
    with executing(settings | {"POWERTOOLS_LOG_LEVEL": "ERROR"}, tmp_path / "log") as execution:
        assert execution.invoke("get_standing", STANDING)["statusCode"] == 200
        assert not execution.lines("Answered")


def test_browsers(settings: dict[str, str], tmp_path: Path) -> None:
    """Answers are open to the configured origin."""
    with executing(settings | {"LAURELS_CORS_ORIGIN": "https://game.example"}, tmp_path / "log") as execution:
        answer = execution.invoke("get_standing", STANDING)
    assert answer["headers"]["access-control-allow-origin"] == "https://game.example"


def test_ascending(settings: dict[str, str], tmp_path: Path) -> None:
    """The deployment's order is kept."""
    with executing(settings | {"LAURELS_ORDER": "ascending"}, tmp_path / "log") as execution:
        for name in ENTRIES:
            execution.invoke("submit_score", RECORDED[name].event)
        assert execution.invoke("get_standing", STANDING)["body"] == '{"score":2077,"rank":1}'


def test_declared_boards(settings: dict[str, str], tmp_path: Path) -> None:
    """A board has its definition in the deployment's file, and the others have the file's default."""
    board = RECORDED["rest-submit"].event["pathParameters"]["board"]
    file = BoardsFile(Definition(order="ascending"), {board: Definition(operator="increment")})
    (tmp_path / "boards.json").write_bytes(msgspec.json.encode(file))
    with executing(settings | {"LAURELS_BOARDS": str(tmp_path / "boards.json")}, tmp_path / "log") as execution:
        for _ in range(2):
            execution.invoke("submit_score", RECORDED["rest-submit"].event)
        assert execution.invoke("get_standing", STANDING)["body"] == '{"score":4154,"rank":0}'


def test_time_to_live(settings: dict[str, str], tmp_path: Path) -> None:
    """A board expires when its time to live after the last submit is over."""
    with executing(settings | {"LAURELS_TTL_SECONDS": "1"}, tmp_path / "log") as execution:
        assert execution.invoke("submit_score", RECORDED["rest-submit"].event)["statusCode"] == 202
        deadline = time.monotonic() + 30
        while execution.invoke("get_leaderboard", RECORDED["rest-page-no-query"].event)["body"] != ABSENT_BODY:
            assert time.monotonic() < deadline


def test_key_that_is_not_there_yet(
    settings: dict[str, str], ssm: ParameterStore, momento: Momento, tmp_path: Path
) -> None:
    """Without a key each request is a 503 that says when to come again, until there is one."""
    ssm.delete()
    with executing(settings, tmp_path / "log") as execution:
        answer = execution.invoke("get_standing", STANDING)
        assert (answer["statusCode"], answer["headers"]["retry-after"]) == (503, "5")
        assert answer["headers"]["content-type"] == "application/problem+json"
        assert json.loads(answer["body"])["detail"].startswith("A parameter that the service needs cannot be read.")
        assert PARAMETER not in answer["body"]
        assert PARAMETER in execution.text
        ssm.put(momento.connections.api_key)
        assert execution.invoke("get_standing", STANDING)["statusCode"] == 200


def test_ssm_that_is_unreachable(settings: dict[str, str], ssm: ParameterStore, tmp_path: Path) -> None:
    """A function that starts while SSM cannot be reached goes on, and answers 503."""
    ssm.server.stop()
    with executing(settings, tmp_path / "log") as execution:
        assert execution.invoke("get_standing", STANDING)["statusCode"] == 503
        assert "Could not connect" in execution.text


def test_ssm_that_goes(execution: Execution, ssm: ParameterStore) -> None:
    """A function that has its key does not need SSM for a while."""
    ssm.server.stop()
    assert execution.invoke("get_standing", STANDING)["statusCode"] == 200


def test_rotation(settings: dict[str, str], accounts: Accounts, ssm: ParameterStore, tmp_path: Path) -> None:
    """A rotation fails no request: the new key is taken up when Momento refuses the old one."""
    first, second = accounts.make_key(), accounts.make_key()
    ssm.put(first[1])
    with executing(settings, tmp_path / "log") as execution:
        assert execution.invoke("submit_score", RECORDED["rest-submit"].event)["statusCode"] == 202
        ssm.put(second[1])
        accounts.revoke(first[0])
        assert execution.invoke("get_standing", STANDING)["body"] == '{"score":2077,"rank":0}'
        assert execution.lines(f"The key in the parameter {PARAMETER} has changed and is taken up")


def test_refused_key(settings: dict[str, str], accounts: Accounts, ssm: ParameterStore, tmp_path: Path) -> None:
    """If Momento refuses the key and SSM has no other, the answer is 503, and the log says why."""
    key_id, key = accounts.make_key()
    ssm.put(key)
    with executing(settings, tmp_path / "log") as execution:
        accounts.revoke(key_id)
        answer = execution.invoke("get_standing", STANDING)
        assert answer["statusCode"] == 503
        assert answer["headers"]["retry-after"] == "60"
        assert "The Momento key is refused" in execution.text


def test_key_is_in_no_output(settings: dict[str, str], accounts: Accounts, ssm: ParameterStore, tmp_path: Path) -> None:
    """With every logger at DEBUG and keys refused, no key is in a log, an answer or an environment."""
    keys = [accounts.make_key() for _ in range(2)]
    ssm.put(keys[0][1])
    with executing(settings | {"POWERTOOLS_LOG_LEVEL": "DEBUG"}, tmp_path / "log") as execution:
        answers = [execution.invoke("get_standing", STANDING)]
        ssm.put(keys[1][1])
        accounts.revoke(keys[0][0])
        answers.append(execution.invoke("get_standing", STANDING))
        accounts.revoke(keys[1][0])
        answers.append(execution.invoke("submit_score", RECORDED["rest-submit"].event))
        answers.append(execution.invoke("submit_score", {"Records": []}))
        assert [answer["statusCode"] for answer in answers] == [200, 200, 503, 500]
        for secret in (
            part for _, key in keys for part in (key, key.split(".")[2], base64.b64encode(key.encode()).decode())
        ):
            assert secret not in execution.text + json.dumps(answers) + repr(settings) + execution.environment


def test_fault_of_ours(execution: Execution) -> None:
    """An unexpected exception is a 500, with its traceback in the log, and the function goes on."""
    answer = execution.invoke("get_standing", {"Records": []})
    assert answer["statusCode"] == 500
    assert json.loads(answer["body"])["title"] == "Internal Server Error"
    (line,) = execution.lines("Failed to answer a request")
    assert line["exception_name"] == "ValidationError"
    assert line["level"] == "ERROR"
    assert line["function_request_id"]
    assert execution.invoke("get_standing", STANDING)["statusCode"] == 200


def test_body_too_large(execution: Execution) -> None:
    """A body over 64 KiB is a 413."""
    event = RECORDED["rest-submit"].event | {"body": "x" * (64 * 1024 + 1)}
    assert execution.invoke("submit_score", event)["statusCode"] == 413


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"LAURELS_ORDER": "up"}, "LAURELS_ORDER is wrong: Invalid enum value 'up'"),
        ({"LAURELS_BOARDS": "nowhere.json"}, r"LAURELS_BOARDS is wrong: .* No such file or directory: 'nowhere\.json'"),
        ({"LAURELS_BOARDS": "/dev/null"}, "LAURELS_BOARDS is wrong: Input data was truncated"),
    ],
    ids=["order", "no file", "no JSON"],
)
def test_wrong_setting(settings: dict[str, str], tmp_path: Path, wrong: dict[str, str], problem: str) -> None:
    """A function with a bad setting does not start, and says what is wrong."""
    execution = executing(settings | wrong, tmp_path / "log")
    with pytest.raises(AssertionError, match=problem):
        execution.__enter__()
