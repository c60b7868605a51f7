"""Stages with live boards, and that those without know nothing of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from infra.answers import LIVE_ROUTES
from infra.errors import SettingRefused
from infra.gateway import LIVE_SHARE
from infra.settings import read
from laurels.serverless.metrics import UNTOLD_SUBMITS
from tests.infra.conftest import STAGES, Synthesized

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Properties = dict[str, Any]

pytestmark = pytest.mark.slow

OPERATIONS = {f"{function}:{operation.method}:{operation.path}" for function, operation in LIVE_ROUTES}


@pytest.fixture(scope="module")
def live(synthesized: Callable[[str], Synthesized]) -> Synthesized:
    """Return a stage with live boards."""
    return synthesized("live")


def full_path(stage: Synthesized, reference: Any) -> str:
    """Return the path of a resource of the API."""
    if "Ref" not in reference:
        return ""
    found = stage.template["Resources"][reference["Ref"]]["Properties"]
    return f"{full_path(stage, found['ParentId'])}/{found['PathPart']}"


def find_function(stage: Synthesized, name: str) -> Properties:
    """Return a function."""
    return stage.one("Lambda::Function", FunctionName=f"{stage.settings.name}-{name}")


def parameters_of(stage: Synthesized, name: str) -> str:
    """Return what the role of a function allows, as text."""
    return json.dumps(
        next(role for role in stage.of("IAM::Role") if f"{stage.settings.name}-{name}" in json.dumps(role["RoleName"]))
    )


def test_routes(live: Synthesized) -> None:
    """The feed's own route goes to the function of pages; the routes beside it are no board's any more."""
    found = set()
    for method in live.of("ApiGateway::Method"):
        uri = json.dumps(method["Integration"].get("Uri", ""))
        for name in ("SubmitScore", "GetStanding", "GetLeaderboard"):
            if name in uri and method["HttpMethod"] != "HEAD":
                function = {"SubmitScore": "submit_score", "GetStanding": "get_standing"}.get(name, "get_leaderboard")
                found.add(f"{function}:{method['HttpMethod']}:{full_path(live, method['ResourceId'])}")
    assert found == OPERATIONS


def test_each_function_has_what_it_needs(live: Synthesized) -> None:
    """That of submits publishes, that of pages alone may read the key that makes tokens, that of standings neither."""
    environments = {
        name: find_function(live, name)["Environment"]["Variables"]
        for name in ("submit-score", "get-standing", "get-leaderboard")
    }
    key = "/leaderboard-api/live/momento-live-key"
    assert [name for name, known in environments.items() if "LAURELS_LIVE" in known] == ["submit-score"]
    assert {name: known.get("LAURELS_LIVE_KEY_PARAMETER") for name, known in environments.items()} == {
        "submit-score": None,
        "get-standing": None,
        "get-leaderboard": key,
    }
    assert [name for name in environments if "momento-live-key" in parameters_of(live, name)] == ["get-leaderboard"]


def test_who_begins_to_listen_keeps_no_submit_out(live: Synthesized) -> None:
    """The route has a share of the stage's rate, and is logged as the others are."""
    settings = {each["ResourcePath"]: each for each in live.one("ApiGateway::Stage")["MethodSettings"]}
    of_all, own = settings["/*"], settings["/~1-~1boards~1{board}~1live"]
    for limit in ("ThrottlingRateLimit", "ThrottlingBurstLimit"):
        assert own[limit] == of_all[limit] / LIVE_SHARE
    for logged in ("LoggingLevel", "DataTraceEnabled"):
        assert own[logged] == of_all[logged]


def test_alarm(live: Synthesized) -> None:
    """Submits that nobody was told of raise an alarm on the metric that the function sends."""
    alarm = live.one("CloudWatch::Alarm", AlarmName="laurels-live-live")
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == ("Laurels", UNTOLD_SUBMITS.name, "Sum")
    assert alarm["Dimensions"] == [{"Name": "stage", "Value": "live"}]


def test_rotated_key_publishes(live: Synthesized) -> None:
    """The function that makes keys knows that they are to publish."""
    assert find_function(live, "rotation")["Environment"]["Variables"]["LAURELS_LIVE"] == "true"


def test_without_it_nothing_is_other(tmp_path: Path, dev: Synthesized) -> None:
    """live=false is the template of a stage that says nothing, byte for byte, and that knows no live boards."""
    off = Synthesized(tmp_path, {"live": "false"})
    assert off.file.read_bytes() == dev.file.read_bytes()
    assert not [
        word
        for word in (b"LAURELS_LIVE", UNTOLD_SUBMITS.name.encode(), b'"PathPart": "-"')
        if word in dev.file.read_bytes()
    ]


def test_only_with_momento() -> None:
    """Valkey has no topics that a browser could listen to."""
    with pytest.raises(SettingRefused, match="live is given, and means nothing with store=valkey"):
        read({"store": "valkey", "live": "true"})


def test_is_among_the_stages() -> None:
    """The stage is one of those that cdk-nag looks at."""
    assert STAGES["live"]["live"] == "true"
