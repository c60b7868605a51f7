"""A stage whose boards are in ElastiCache Serverless for Valkey: its cache, its network, and who may connect."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from infra.access import read_access_file
from infra.boards import read_declarations
from infra.errors import SettingRefused
from infra.settings import ACCESS_STRING, OF_STORES, read
from laurels.errors import AccessFileUnusable
from laurels.serverless import environment
from laurels.serverless.parameters import CONFIG
from laurels.serverless.valkey import ANSWER_SECONDS
from laurels.stores.redis.handshake import CONNECT_SECONDS
from tests.access.issuing import public
from tests.infra.test_settings import REFUSED
from tests.infra.test_stack import ROUTES, allow, statements

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.infra.conftest import Properties, Synthesized

pytestmark = pytest.mark.slow

STAGES = ["valkey", "valkey-lasting", "valkey-password"]


@pytest.fixture(params=STAGES)
def stage(synthesized: Callable[[str], Synthesized], request: pytest.FixtureRequest) -> Synthesized:
    """Return each of the stages with Valkey."""
    return synthesized(request.param)


@pytest.fixture
def ephemeral(synthesized: Callable[[str], Synthesized]) -> Synthesized:
    """Return one with nothing but its name and its store."""
    return synthesized("valkey")


@pytest.fixture
def lasting(synthesized: Callable[[str], Synthesized]) -> Synthesized:
    """Return one that lasts, with an access file in a parameter."""
    return synthesized("valkey-lasting")


@pytest.fixture
def guarded(synthesized: Callable[[str], Synthesized]) -> Synthesized:
    """Return one with a password."""
    return synthesized("valkey-password")


def group(stage: Synthesized, name: str) -> list[str]:
    """Return what a template refers to a security group by."""
    found = stage.template["Resources"].items()
    (key,) = [key for key, made in found if made["Properties"].get("GroupName") == f"{stage.settings.name}-{name}"]
    return [key, "GroupId"]


def way(rule: Properties, side: str) -> tuple[list[str], list[str], int, int]:
    """Return from which group to which other a rule leads, and over which ports."""
    own, other = rule["GroupId"]["Fn::GetAtt"], rule[side]["Fn::GetAtt"]
    source, target = (own, other) if side.startswith("Dest") else (other, own)
    return source, target, rule["FromPort"], rule["ToPort"]


def variables(stage: Synthesized) -> Properties:
    """Return the environment of a function."""
    made = stage.one("Lambda::Function", FunctionName=f"{stage.settings.name}-get-standing")
    found: Properties = made["Environment"]["Variables"]
    return found


@pytest.mark.parametrize("name", ["dev", "everything", "lasting"])
def test_nothing_of_it_with_momento(synthesized: Callable[[str], Synthesized], name: str) -> None:
    """A stage with Momento, which is the default, has no network, no cache and no reserved concurrency."""
    made = synthesized(name)
    assert made.settings.store == "momento"
    kinds = {resource["Type"].split("::")[1] for resource in made.template["Resources"].values()}
    assert not kinds & {"EC2", "ElastiCache", "SecretsManager"}
    assert not [
        one for one in made.of("Lambda::Function") if "VpcConfig" in one or "ReservedConcurrentExecutions" in one
    ]


def test_no_way_out(stage: Synthesized) -> None:
    """The network has no gateway, no NAT and no route that leads out of it."""
    kinds = {resource["Type"] for resource in stage.template["Resources"].values()}
    assert len(stage.of("EC2::Subnet")) == 2
    assert not {kind for kind in kinds if "Gateway" in kind.removeprefix("AWS::ApiGateway")} - {
        kind for kind in kinds if kind.startswith("AWS::ApiGateway")
    }
    assert "AWS::EC2::Route" not in kinds
    assert not [one for one in stage.of("EC2::Subnet") if one["MapPublicIpOnLaunch"]]


def test_who_reaches_whom(stage: Synthesized) -> None:
    """Functions reach the cache over its two ports, and endpoints by TLS if there are any, and nothing else."""
    ways = [(group(stage, "functions"), group(stage, "cache"), 6379, 6380)]
    if stage.of("EC2::VPCEndpoint"):
        ways.append((group(stage, "functions"), group(stage, "endpoints"), 443, 443))
    out = [way(rule, "DestinationSecurityGroupId") for rule in stage.of("EC2::SecurityGroupEgress")]
    into = [way(rule, "SourceSecurityGroupId") for rule in stage.of("EC2::SecurityGroupIngress")]
    assert sorted(out) == sorted(into) == sorted(ways)
    nowhere = "255.255.255.255/32"  # CDK's way to say that nothing is let out
    for made in stage.of("EC2::SecurityGroup"):
        assert "SecurityGroupIngress" not in made
        assert {rule["CidrIp"] for rule in made.get("SecurityGroupEgress", [])} <= {nowhere}


def test_where_functions_run(stage: Synthesized) -> None:
    """The functions are in the network's subnets and in their own group alone, and so is the cache in its."""
    functions = stage.of("Lambda::Function")
    assert len(functions) == 3
    cache = stage.one("ElastiCache::ServerlessCache")
    for made in functions:
        assert made["VpcConfig"]["SubnetIds"] == cache["SubnetIds"]
        assert made["VpcConfig"]["SecurityGroupIds"] == [{"Fn::GetAtt": group(stage, "functions")}]
    assert cache["SecurityGroupIds"] == [{"Fn::GetAtt": group(stage, "cache")}]


@pytest.mark.parametrize(
    ("name", "services", "zones"),
    [("valkey", [], 0), ("valkey-lasting", ["ssm"], 2), ("valkey-password", ["secretsmanager", "ssm"], 1)],
)
def test_endpoints(synthesized: Callable[[str], Synthesized], name: str, services: list[str], zones: int) -> None:
    """There is an endpoint for each service that functions read from; in one zone if the stage does not last."""
    made = synthesized(name).of("EC2::VPCEndpoint")
    assert [json.dumps(one["ServiceName"]).split(".")[-1].strip('"]}') for one in made] == services
    for one in made:
        assert len(one["SubnetIds"]) == zones
        assert one["PrivateDnsEnabled"]
        (statement,) = one["PolicyDocument"]["Statement"]
        assert statement["Action"] in {"ssm:GetParameter", "secretsmanager:GetSecretValue"}
        assert statement["Resource"] != "*"


@pytest.mark.parametrize("function", ROUTES)
def test_signed_tokens(lasting: Synthesized, function: str) -> None:
    """With tokens a function may connect to its own cache as its own user; it reads the access file, and no key."""
    reads, connects, joins = statements(lasting, function)
    assert json.dumps(reads["Resource"]).endswith(':parameter/laurels/prod/access"]]}')
    assert connects["Action"] == "elasticache:Connect"
    assert [arn["Fn::Join"][1][-1] for arn in connects["Resource"]] == [
        ":serverlesscache:laurels-prod",
        ":user:laurels-prod",
    ]
    assert {action.split(":")[0] for action in joins["Action"]} == {"ec2"}


def test_user(stage: Synthesized) -> None:
    """The cache has one user, which has the rights of the store and no more, and no default user."""
    user, users = stage.one("ElastiCache::User"), stage.one("ElastiCache::UserGroup")
    assert user["UserId"] == user["UserName"] == stage.settings.name.lower()
    assert (user["AccessString"], user["Engine"], users["Engine"]) == (ACCESS_STRING, "valkey", "valkey")
    assert users["UserIds"] == [user["UserId"]]
    assert stage.one("ElastiCache::ServerlessCache")["UserGroupId"] == users["UserGroupId"]


def test_password(guarded: Synthesized) -> None:
    """A password is made by Secrets Manager, which alone has it; the functions read it and sign nothing."""
    mode = guarded.one("ElastiCache::User")["AuthenticationMode"]
    assert mode["Type"] == "password"
    assert json.dumps(mode["Passwords"]).count("{{resolve:secretsmanager:") == 1
    (secret,) = [key for key, made in guarded.template["Resources"].items() if made["Type"].endswith("::Secret")]
    assert statements(guarded, "get-standing")[1] == allow("secretsmanager:GetSecretValue", {"Ref": secret})
    assert "LAURELS_CACHE" not in variables(guarded)
    assert variables(guarded)["LAURELS_PASSWORD_SECRET"] == {"Ref": secret}


def test_tokens_have_no_password(ephemeral: Synthesized) -> None:
    """By default there is no password anywhere."""
    assert ephemeral.one("ElastiCache::User")["AuthenticationMode"] == {"Type": "iam"}
    assert not ephemeral.of("SecretsManager::Secret")


def test_environment(ephemeral: Synthesized) -> None:
    """The environment has where the cache is, over TLS, and as whom to connect; nothing of Momento's."""
    found = variables(ephemeral)
    address = found.pop("LAURELS_STORE")["Fn::Join"]
    assert address[1][0] == "rediss+cluster://"
    assert [part["Fn::GetAtt"][1] for part in address[1] if isinstance(part, dict)] == [
        "Endpoint.Address",
        "Endpoint.Port",
    ]
    assert environment.read(found) == environment.Settings(
        stage="VALKEY-1", cache="laurels-valkey-1", cache_user="laurels-valkey-1"
    )


def test_limits(ephemeral: Synthesized, lasting: Synthesized, guarded: Synthesized) -> None:
    """What does not last has the least limits; what lasts has none, and daily snapshots; settings change both."""
    made = [each.one("ElastiCache::ServerlessCache") for each in (ephemeral, lasting, guarded)]
    assert [each.get("CacheUsageLimits") for each in made] == [
        {"DataStorage": {"Maximum": 1, "Unit": "GB"}, "ECPUPerSecond": {"Maximum": 1000}},
        None,
        {"DataStorage": {"Maximum": 5, "Unit": "GB"}, "ECPUPerSecond": {"Maximum": 20000}},
    ]
    assert [each.get("SnapshotRetentionLimit") for each in made] == [None, 7, 3]


def test_what_stays_behind(ephemeral: Synthesized, lasting: Synthesized) -> None:
    """Of an ephemeral stage nothing stays; of a lasting one the cache does, with all that it hangs on."""
    kept = {
        made["Type"]
        for made in lasting.template["Resources"].values()
        if made.get("DeletionPolicy") == "RetainExceptOnCreate"
    }
    needed = {"ServerlessCache", "User", "UserGroup"}
    assert {f"AWS::ElastiCache::{kind}" for kind in needed} <= kept
    assert {f"AWS::EC2::{kind}" for kind in ("VPC", "Subnet", "SecurityGroup", "SecurityGroupIngress")} <= kept
    assert "AWS::EC2::VPCEndpoint" not in kept  # it would go on costing
    left = {made.get("DeletionPolicy", "Delete") for made in ephemeral.template["Resources"].values()}
    assert left == {"Delete"}


def test_concurrency(lasting: Synthesized, ephemeral: Synthesized) -> None:
    """Each function may be held to so many invocations at once, and with that to so many connections."""
    assert {made["ReservedConcurrentExecutions"] for made in lasting.of("Lambda::Function")} == {50}
    assert not [made for made in ephemeral.of("Lambda::Function") if "ReservedConcurrentExecutions" in made]


def test_silent_cache_and_secrets(ephemeral: Synthesized) -> None:
    """If neither the secrets nor the cache answers, the function has time left to say so."""
    longest = (CONFIG.connect_timeout + CONFIG.read_timeout) * CONFIG.retries["total_max_attempts"]
    seconds = ephemeral.one("Lambda::Function", FunctionName="laurels-VALKEY-1-get-standing")["Timeout"]
    assert max(longest, CONNECT_SECONDS + ANSWER_SECONDS) < seconds


@pytest.mark.parametrize(
    ("name", "metric", "threshold"),
    [
        ("cache-throttled", "ThrottledCmds", 0),
        ("cache-evictions", "Evictions", 0),
        ("cache-login", "AuthenticationFailures", 0),
        ("cache-bytes", "BytesUsedForCache", 0.8e9),
    ],
)
def test_alarms(ephemeral: Synthesized, name: str, metric: str, threshold: float) -> None:
    """There is an alarm for each thing that may be wrong with the cache."""
    alarm = ephemeral.one("CloudWatch::Alarm", AlarmName=f"laurels-VALKEY-1-{name}")
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Threshold"]) == ("AWS/ElastiCache", metric, threshold)
    assert alarm["Dimensions"] == [{"Name": "clusterId", "Value": "laurels-valkey-1"}]


def test_no_alarm_without_a_limit(lasting: Synthesized) -> None:
    """What has no limit cannot be nearly full."""
    assert not lasting.of("CloudWatch::Alarm", AlarmName="laurels-prod-cache-bytes")


def test_dashboard(ephemeral: Synthesized) -> None:
    """The dashboard has five graphs of the cache beside the usual twelve."""
    assert json.dumps(ephemeral.one("CloudWatch::Dashboard")["DashboardBody"]).count("timeSeries") == 17


def test_outputs(ephemeral: Synthesized) -> None:
    """The outputs have the cache, and no parameter for a key."""
    assert ephemeral.template["Outputs"].keys() == {"Endpoint", "Access", "Cache"}
    assert ephemeral.output("Cache") == "laurels-valkey-1"


RIGHT = {"ttlDays": "1", "namespace": "a", "ssmStageName": "dev", "cacheName": "a", "momentoEndpoint": "a.example"}
RIGHT |= {"live": "true", "manageCache": "true", "rotateKeyDays": "30", "cacheLogin": "iam", "cacheGigabytes": "1"}
RIGHT |= {"cacheUnits": "1000", "snapshotDays": "1"}


@pytest.mark.parametrize(("store", "name"), [(store, name) for store in OF_STORES for name in sorted(OF_STORES[store])])
def test_settings_of_the_other_store(store: str, name: str) -> None:
    """A setting that means something with one of the stores alone is refused with the other."""
    other = "valkey" if store == "momento" else "momento"
    with pytest.raises(SettingRefused, match=f"The setting {name} is given, and means nothing with store={other}"):
        read({"store": other, name: RIGHT[name]})


def test_every_setting_of_a_store_is_one() -> None:
    """The names are those of settings."""
    assert set().union(*OF_STORES.values()) <= REFUSED.keys()


def test_other_store() -> None:
    """A store that cannot be deployed is refused, with what would be right."""
    with pytest.raises(SettingRefused, match=r"store is 'redis'\. It is momento, or valkey for ElastiCache Serverless"):
        read({"store": "redis"})


def test_name_that_elasticache_refuses() -> None:
    """A stage whose name ElastiCache would refuse is refused at once; with Momento it is not."""
    with pytest.raises(SettingRefused, match="two hyphens"):
        read({"stageName": "a--b", "store": "valkey"})
    assert read({"stageName": "a--b"})[0].store == "momento"


def test_issuers_that_cannot_be_reached(tmp_path: Path) -> None:
    """An issuer whose keys are at an address is refused, with the reason; one with keys in the file is not."""
    file = tmp_path / "access.toml"
    context = {"store": "valkey", "accessParameter": "/laurels/dev/access", "accessFile": str(file)}
    issuer = 'issuer = "https://id.example", audience = "game"'
    file.write_text(f'[players]\nissuers = [{{ {issuer}, jwks = "https://id.example/keys" }}]')
    with pytest.raises(AccessFileUnusable, match="nothing leads to the internet: give its public keys as keys"):
        read_access_file(read(context)[0])
    assert read_access_file(read(context | {"store": "momento"})[0])
    keys = ", ".join(f'{name} = "{value}"' for name, value in public("ES256").items())
    for text in (f"[players]\nissuers = [{{ {issuer}, keys = [{{ {keys} }}] }}]", '[public]\nscopes = ["read"]'):
        file.write_text(text)
        assert read_access_file(read(context)[0])


def test_boards_that_only_valkey_keeps(tmp_path: Path) -> None:
    """Boards may have what Redis keeps and Momento does not."""
    file = tmp_path / "boards.toml"
    file.write_text('[boards.kart]\nties = "earliest"\nranking = "dense"\nwindows = ["daily"]')
    assert read_declarations(read({"store": "valkey", "boardsFile": str(file)})[0])
