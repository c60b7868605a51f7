"""Settings are read from CDK's context, and refused if AWS would refuse them later."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from infra.errors import SettingRefused
from infra.runtimes import ROOT
from infra.settings import FIELDS, GUARDS, OF_STORES, read

if TYPE_CHECKING:
    from pathlib import Path

REFUSED: dict[str, list[object]] = {
    "stageName": ["", "feature/x", "a_b", "-a", "a-", "a" * 25, "naïve", "a b", "a\n", 5],
    "store": ["", "redis", "Valkey"],
    "ssmStageName": ["a/b", "a b", "é"],
    "cacheName": ["", "a b", "a/b"],
    "namespace": ["", "a\nb", "a/b"],
    "architecture": ["arm", "x86"],
    "pythonRuntime": ["", "3.12", "python3.10", "python3.99"],
    "order": ["up"],
    "boardsFile": ["", "boards.json", "boards"],
    "ttlDays": ["", "0", "a week", "1.5"],
    "momentoEndpoint": ["https://cell.momentohq.com", "cell/"],
    "parameterKeyArn": ["alias/mine", "arn:aws:kms:eu-west-1:1:key/a"],
    "corsOrigin": ["game.example", "https://game.example/path", "'*'"],
    "accessParameter": ["", "access", "laurels/dev/access", "/a b", "/a//b", "/aws/access", "/ssm", "/a" * 16, "/é"],
    "accessFile": ["", "access.json", "access"],
    "secretParameter": ["tokens", "/Aws/tokens", "/laurels/"],
    "open": ["maybe", ""],
    "apiKeys": ["", "a b", "a,,b", "a/b", "-a", "a" * 33],
    "apiKeyRate": ["0", "10001"],
    "apiKeyBurst": ["0", "many"],
    "apiKeyQuota": ["100", "100/hour", "0/day", "1.5/day"],
    "cognitoUserPool": ["eu-west-1_AbCdEfGhI", "arn:aws:cognito-idp:eu-west-1:1:userpool/eu-west-1_AbCdEfGhI"],
    "authorizerFunction": ["who", "arn:aws:lambda:eu-west-1:123456789012:layer:who"],
    "rateLimit": ["0", "10001"],
    "burstLimit": ["0", "many"],
    "lastingStages": ["prod staging"],
    "logRetentionDays": ["8"],
    "alarmTopicArn": ["alarms"],
    "alarmEmail": ["ops"],
    "alarmFailedPercent": ["0", "101", "high"],
    "alarmRefusedPercent": ["-1", "nan"],
    "alarmThrottledPercent": ["0"],
    "alarmLatencyMs": ["0", "30000"],
    "alarmMinRequests": ["0"],
    "manageCache": ["maybe"],
    "rotateKeyDays": ["-1"],
    "live": ["maybe"],
    "cacheLogin": ["", "none"],
    "cacheGigabytes": ["0", "5001", "much"],
    "cacheUnits": ["999", "15000001"],
    "snapshotDays": ["0", "36"],
    "concurrency": ["0", "all"],
}

DEPLOYING = (ROOT / "docs" / "deploying.md").read_text()
DERIVED = {"ssmStageName", "cacheName", "pythonRuntime"}
"""Settings whose default is no constant."""


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in REFUSED for value in REFUSED[name]])
def test_refused(name: str, value: object) -> None:
    """A setting that cannot be deployed is refused with its name, its value and what would be right."""
    with pytest.raises(SettingRefused, match=r"It is .*\.$") as refusal:
        read({name: value})
    assert str(refusal.value).startswith(f"The setting {name} is {value!r}. ")


def test_all_settings_can_be_refused() -> None:
    """Every setting has values that are refused."""
    assert REFUSED.keys() == FIELDS.keys()


@pytest.mark.parametrize("name", ["stagename", "stage-name", "StageName", "stage_name", "stagNeame"])
def test_misspelt(name: str) -> None:
    """A name that is nearly a setting's is refused: ignored, it would deploy another stage than was meant."""
    with pytest.raises(SettingRefused, match=r"Did you mean stageName\?"):
        read({name: "prod"})


def test_defaults() -> None:
    """Without any setting the stage is dev, with its own key; the defaults that were taken are returned."""
    settings, taken = read({"@aws-cdk/core:flag": True})
    assert settings.name == "laurels-dev"
    assert settings.key_parameter == "/leaderboard-api/dev/momento-api-key"
    assert taken["stageName"] == "dev"
    assert taken["ssmStageName"] == "dev"
    assert taken["logRetentionDays"] == 7


def test_given() -> None:
    """Given settings are not among the defaults; the key is the one of the stage in ssmStageName."""
    settings, taken = read({"stageName": "FEAT-123", "ssmStageName": "dev"})
    assert settings.name == "laurels-FEAT-123"
    assert settings.key_parameter == "/leaderboard-api/dev/momento-api-key"
    assert not taken.keys() & {"stageName", "ssmStageName"}


def test_shared_cache() -> None:
    """A stage may keep its boards in the cache of another, apart from the boards there if it has a namespace."""
    settings, taken = read({"stageName": "FEAT-123", "cacheName": "laurels-dev", "namespace": "FEAT-123"})
    assert settings.route_environment["LAURELS_MOMENTO_CACHE"] == "laurels-dev"
    assert settings.route_environment["LAURELS_NAMESPACE"] == "FEAT-123"
    assert not taken.keys() & {"cacheName", "namespace"}
    own, taken = read({"stageName": "FEAT-123"})
    assert own.route_environment["LAURELS_MOMENTO_CACHE"] == taken["cacheName"] == "laurels-FEAT-123"
    assert "LAURELS_NAMESPACE" not in own.route_environment


def test_manages_its_own_cache_only() -> None:
    """A stack neither makes nor deletes a cache that other stages may use."""
    with pytest.raises(SettingRefused, match="laurels-dev may be that of other stages"):
        read({"stageName": "FEAT-123", "cacheName": "laurels-dev", "manageCache": "true"})
    assert read({"cacheName": "laurels-dev", "manageCache": "true"})[0].manage_cache


@pytest.mark.parametrize(("stage", "days"), [("prod", 90), ("staging", 90), ("dev", 7)])
def test_lasting_stages(stage: str, days: int) -> None:
    """Lasting stages keep their logs longer."""
    settings, _ = read({"stageName": stage, "lastingStages": "prod,staging", "open": "true"})
    assert settings.is_lasting is (stage != "dev")
    assert settings.log_retention_days == days


def test_rotates_its_own_key_only() -> None:
    """A stage does not rotate the key of another."""
    with pytest.raises(SettingRefused, match="in the stage that owns it"):
        read({"stageName": "FEAT-123", "ssmStageName": "dev", "rotateKeyDays": "30"})


def test_rotation_needs_the_endpoint() -> None:
    """Rotation makes keys without an endpoint in them, so the endpoint must be set."""
    with pytest.raises(SettingRefused, match="momentoEndpoint is missing"):
        read({"rotateKeyDays": "30"})


def test_rotation_keeps_no_customer_key() -> None:
    """Rotation would store its key without the customer's KMS key, so both settings together are refused."""
    with pytest.raises(SettingRefused, match="Leave out one of the two"):
        read({"rotateKeyDays": "30", "parameterKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab"})


USER_POOL = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_AbCdEfGhI"
AUTHORIZER = "arn:aws:lambda:eu-west-1:123456789012:function:who:live"
GIVEN = {
    "accessParameter": "/laurels/prod/access",
    "apiKeys": "game-server",
    "cognitoUserPool": USER_POOL,
    "authorizerFunction": AUTHORIZER,
}
"""Each setting that says who may do what."""


def test_guards() -> None:
    """These are all of them."""
    assert GIVEN.keys() == GUARDS


def test_ephemeral_stage_is_open_by_default() -> None:
    """A stage for trying things is open if nothing else is said, and its defaults say so."""
    settings, taken = read({"stageName": "FEAT-123"})
    assert settings.open
    assert taken["open"] is True
    assert "LAURELS_ACCESS_PARAMETER" not in settings.route_environment


@pytest.mark.parametrize(
    "context", [{"stageName": "prod"}, {"stageName": "dev", "open": "false"}], ids=["prod", "said"]
)
def test_open_stage_must_be_said_to_be(context: dict[str, str]) -> None:
    """A lasting stage, or one that is said not to be open, needs something that says who may do what."""
    with pytest.raises(
        SettingRefused, match=r"nothing says who .* Give accessParameter, .*, or apiKeys, .* or open=true: then"
    ):
        read(context)
    assert read(context | {"open": "true"})[0].open


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("stage", ["prod", "dev"])
def test_guarded_stage(name: str, stage: str) -> None:
    """With any of the settings that say who may, a stage is not open, and cannot be said to be."""
    settings, _ = read({"stageName": stage, name: GIVEN[name]})
    assert not settings.open
    with pytest.raises(SettingRefused, match=f"open is true, and {name} says who may do what"):
        read({"stageName": stage, name: GIVEN[name], "open": "true"})


@pytest.mark.parametrize(
    ("context", "problem"),
    [
        ({"accessFile": "access.toml"}, "accessFile is given, and accessParameter is not"),
        ({"secretParameter": "/laurels/dev/tokens"}, "secretParameter is given, and accessParameter is not"),
        ({"apiKeyRate": "5"}, "apiKeyRate is given, and apiKeys is not"),
        ({"apiKeyBurst": "5"}, "apiKeyBurst is given, and apiKeys is not"),
        ({"apiKeyQuota": "5/day"}, "apiKeyQuota is given, and apiKeys is not"),
        ({"cognitoUserPool": USER_POOL, "authorizerFunction": AUTHORIZER}, "a route has one authorizer"),
        ({"apiKeys": "one,two,one"}, "apiKeys has one twice"),
    ],
    ids=lambda of: "+".join(of) if isinstance(of, dict) else "",
)
def test_settings_of_access_that_contradict_each_other(context: dict[str, str], problem: str) -> None:
    """A setting that is nothing without another one, or against another one, is refused."""
    with pytest.raises(SettingRefused, match=problem):
        read(context)


def test_parameters_that_are_read() -> None:
    """The functions read the key, and what access needs; the environment has the name of the access file's."""
    settings, _ = read({"accessParameter": "/laurels/dev/access", "secretParameter": "/laurels/dev/tokens"})
    assert settings.parameters_read == [settings.key_parameter, "/laurels/dev/access", "/laurels/dev/tokens"]
    assert settings.route_environment["LAURELS_ACCESS_PARAMETER"] == "/laurels/dev/access"
    assert "/laurels/dev/tokens" not in settings.route_environment.values()


def run(context: dict[str, str], directory: Path) -> subprocess.CompletedProcess[str]:
    """Run the app as CDK does."""
    variables = {"CDK_CONTEXT_JSON": json.dumps(context), "CDK_OUTDIR": str(directory)}
    command = [sys.executable, "-m", "infra.app"]
    return subprocess.run(command, env=os.environ | variables, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_app_ends_with_the_reason(tmp_path: Path) -> None:
    """The app ends with the refusal as its only output."""
    ended = run({"stageName": "feature/x"}, tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "1 to 24 letters, digits and hyphens" in ended.stderr


def test_documented_deployments() -> None:
    """Each deployment in the docs has settings that are taken; one shares key and cache of dev, and not its boards."""
    lines = re.findall(r'^make cdk ARGS="deploy((?: -c \S+=\S+)*)"', DEPLOYING, re.MULTILINE)
    found = [read(dict(re.findall(r"-c (\S+)=(\S+)", line)))[0] for line in lines]
    first, _, shared, valkey, guarded, live = found
    assert [each.stage_name for each in found] == ["dev", "FEAT-123", "FEAT-123", "FEAT-123", "prod", "dev"]
    assert [each.store for each in found if each is not valkey] == ["momento"] * 5
    assert valkey.store == "valkey"
    assert (shared.key_parameter, shared.cache_name) == (first.key_parameter, first.cache_name)
    assert shared.namespace == "FEAT-123"
    assert (guarded.open, guarded.access_parameter) == (False, "/laurels/prod/access")
    assert f"--name {live.live_key_parameter} " in DEPLOYING
    assert [each for each in found if each.live] == [live]


@pytest.mark.parametrize("page", ["README.md", "docs/deploying.md"])
def test_two_keys(page: str) -> None:
    """The key that makes caches is another than the one that is stored for the functions."""
    text = (ROOT / page).read_text()
    stored = set(re.findall(r'momento-api-key --value "\$(\w+)"', text))
    made = set(re.findall(r'^(?:MOMENTO_API_KEY="\$(\w+)" )?\S+ momento \w+-cache', text, re.MULTILINE))
    assert (stored, made) == ({"FUNCTIONS_KEY"}, {"ADMIN_KEY"})


@pytest.mark.parametrize("name", FIELDS)
def test_documented(name: str) -> None:
    """Every setting has a row in the docs, with its default."""
    row = re.search(rf"^\| `{name}` \|.*\| (.*) \|$", DEPLOYING, re.MULTILINE)
    default = read({"store": "valkey"} if name in OF_STORES["valkey"] else {})[1].get(name)
    assert row
    assert name in DERIVED or default is None or f"`{str(default).lower()}`" in row[1]
