"""A stage's resources: their names, permissions, and which of them outlive it."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from infra.runtimes import ROOT
from tests.infra.conftest import STAGES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infra.conftest import Synthesized

pytestmark = pytest.mark.slow

NAMES = {
    "AWS::ApiGateway::ApiKey": "Name",
    "AWS::ApiGateway::Authorizer": "Name",
    "AWS::ApiGateway::RequestValidator": "Name",
    "AWS::ApiGateway::RestApi": "Name",
    "AWS::ApiGateway::Stage": "StageName",
    "AWS::ApiGateway::UsagePlan": "UsagePlanName",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::EC2::SecurityGroup": "GroupName",
    "AWS::EC2::VPC": "Tags",
    "AWS::ElastiCache::ServerlessCache": "ServerlessCacheName",
    "AWS::ElastiCache::User": "UserId",
    "AWS::ElastiCache::UserGroup": "UserGroupId",
    "AWS::Events::Rule": "Name",
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::Logs::MetricFilter": "FilterName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SecretsManager::Secret": "Name",
    "Custom::MomentoCache": "CacheName",
}
WITHIN_OTHERS = {
    "AWS::ApiGateway::Deployment",
    "AWS::ApiGateway::GatewayResponse",
    "AWS::ApiGateway::Method",
    "AWS::ApiGateway::Model",
    "AWS::ApiGateway::Resource",
    "AWS::ApiGateway::UsagePlanKey",
    "AWS::EC2::FlowLog",
    "AWS::EC2::RouteTable",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::EC2::Subnet",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPCEndpoint",
    "AWS::Lambda::Permission",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
}
ROUTES = ["submit-score", "get-standing", "get-leaderboard"]


def names(stage: Synthesized) -> list[str]:
    """Return the names of all resources that have one."""
    resources = stage.template["Resources"].values()
    return [json.dumps(made["Properties"][NAMES[made["Type"]]]) for made in resources if made["Type"] in NAMES]


def parameter(name: str) -> dict[str, Any]:
    """Return a parameter's ARN, as in a template."""
    parts = ["arn:", {"Ref": "AWS::Partition"}, ":ssm:", {"Ref": "AWS::Region"}, ":", {"Ref": "AWS::AccountId"}]
    return {"Fn::Join": ["", [*parts, f":parameter/leaderboard-api/{name}"]]}


def statements(stage: Synthesized, function: str) -> list[dict[str, Any]]:
    """Return the statements of a function's role, except for its logs and traces."""
    (role,) = [role for role in stage.of("IAM::Role") if f'-{function}-"' in json.dumps(role["RoleName"])]
    (policy,) = role["Policies"]
    found: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    assert found[0]["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert found[1] == {
        "Action": ["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
        "Effect": "Allow",
        "Resource": "*",
    }
    return found[2:]


def allow(actions: str | list[str], resource: Any) -> dict[str, Any]:
    """Return a statement, as in a template."""
    return {"Action": actions, "Effect": "Allow", "Resource": resource}


@pytest.mark.parametrize("stage", STAGES)
def test_names_carry_the_stage(synthesized: Callable[[str], Synthesized], stage: str) -> None:
    """Every name has the stage in it; a resource without a name is a part of one that has."""
    made = synthesized(stage)
    stage_name = made.settings.stage_name.lower()  # ElastiCache knows no capitals
    assert not [name for name in names(made) if stage_name not in name.lower()]
    assert {resource["Type"] for resource in made.template["Resources"].values()} <= NAMES.keys() | WITHIN_OTHERS


def test_tag(dev: Synthesized) -> None:
    """Each function has the tag of its stage, by which costs can be split."""
    assert all({"Key": "laurels:stage", "Value": "dev"} in function["Tags"] for function in dev.of("Lambda::Function"))


def test_longest_names_fit(everything: Synthesized) -> None:
    """With the longest names of a stage and of a region, a role's name is within AWS's 64 characters."""
    fixed = [role["RoleName"]["Fn::Join"][1][0].replace("full", "", 1) for role in everything.of("IAM::Role")]
    assert max(map(len, fixed)) + 24 + len("ap-southeast-1") <= 64


def test_stages_share_nothing(dev: Synthesized, synthesized: Callable[[str], Synthesized]) -> None:
    """Two stages have no name in common; one may use the other's key and cache, and nothing else of it."""
    assert not set(names(dev)) & set(names(synthesized("feature")))
    assert statements(synthesized("feature"), "get-standing") == [
        allow("ssm:GetParameter", parameter("dev/momento-api-key"))
    ]


@pytest.mark.parametrize("function", ROUTES)
def test_least_privilege(dev: Synthesized, function: str) -> None:
    """A route's function may read exactly one parameter, besides writing its logs and traces."""
    assert statements(dev, function) == [allow("ssm:GetParameter", parameter("dev/momento-api-key"))]


def test_no_role_beyond_its_own(everything: Synthesized) -> None:
    """There are no policies except those in the roles."""
    assert not everything.of("IAM::Policy")
    assert not [role for role in everything.of("IAM::Role") if "ManagedPolicyArns" in role]


def test_own_logs(dev: Synthesized) -> None:
    """Each role may write to the log group of its own function, and each function logs there."""
    groups = {
        role["Policies"][0]["PolicyDocument"]["Statement"][0]["Resource"]["Fn::GetAtt"][0]
        for role in dev.of("IAM::Role")
    }
    assert groups == {function["LoggingConfig"]["LogGroup"]["Ref"] for function in dev.of("Lambda::Function")}
    assert len(groups) == 3


@pytest.mark.parametrize("function", [*ROUTES, "cache"])
def test_customer_key(synthesized: Callable[[str], Synthesized], function: str) -> None:
    """For a parameter under a customer's key, decryption with exactly that key is allowed."""
    stage = synthesized("lasting")
    assert statements(stage, function)[1:] == [allow("kms:Decrypt", stage.settings.parameter_key_arn)]


def test_cache_owner(everything: Synthesized) -> None:
    """The cache's function may read the super-user key, and the functions of the routes may not."""
    assert statements(everything, "cache")[0] == allow("ssm:GetParameter", parameter("full/momento-super-user-key"))
    for function in ROUTES:
        assert "super-user" not in json.dumps(statements(everything, function))


def test_rotation(everything: Synthesized) -> None:
    """Rotation may read the super-user key, and read and write the key of the functions."""
    assert statements(everything, "rotation") == [
        allow("ssm:GetParameter", parameter("full/momento-super-user-key")),
        allow(["ssm:GetParameter", "ssm:GetParameterHistory", "ssm:PutParameter"], parameter("full/momento-api-key")),
    ]


def test_rotation_runs_hourly(everything: Synthesized) -> None:
    """The schedule calls the function every hour; the days between two keys are in its environment."""
    assert everything.one("Events::Rule")["ScheduleExpression"] == "rate(1 hour)"
    rotation = everything.one("Lambda::Function", FunctionName="laurels-full-rotation")
    assert rotation["Environment"]["Variables"]["LAURELS_ROTATE_DAYS"] == "30"


def test_provider(everything: Synthesized) -> None:
    """CDK's function in front of the cache's may call that one and write its own logs."""
    (role,) = [role for role in everything.of("IAM::Role") if "cache-provider" in json.dumps(role["RoleName"])]
    actions = [statement["Action"] for statement in role["Policies"][0]["PolicyDocument"]["Statement"]]
    assert actions == [["logs:CreateLogStream", "logs:PutLogEvents"], ["lambda:GetFunction", "lambda:InvokeFunction"]]


@pytest.mark.parametrize("stage", ["dev", "feature"])
def test_optional_parts_are_not_there_by_default(synthesized: Callable[[str], Synthesized], stage: str) -> None:
    """By default there are three functions, and no custom resource, schedule or topic."""
    made = synthesized(stage)
    kinds = {resource["Type"] for resource in made.template["Resources"].values()}
    assert len(made.of("Lambda::Function")) == 3
    assert not kinds & {"Custom::MomentoCache", "AWS::Events::Rule", "AWS::SNS::Topic"}


@pytest.mark.parametrize(
    ("stage", "policies", "days"),
    [
        ("dev", {"Delete"}, 7),
        ("everything", {"Delete"}, 30),
        ("lasting", {"RetainExceptOnCreate", "Retain"}, 90),
    ],
)
def test_what_stays_behind(
    synthesized: Callable[[str], Synthesized], stage: str, policies: set[str], days: int
) -> None:
    """When an ephemeral stage is destroyed nothing stays; a lasting stage's logs and cache do."""
    resources = synthesized(stage).template["Resources"].values()
    kept = [made for made in resources if made["Type"] in {"AWS::Logs::LogGroup", "Custom::MomentoCache"}]
    assert {made["DeletionPolicy"] for made in kept} == policies
    assert {made["Properties"].get("RetentionInDays", days) for made in kept} == {days}
    assert not [made for made in resources if made.get("DeletionPolicy", "Delete") != "Delete" and made not in kept]


@pytest.mark.parametrize(
    ("kind", "policy"), [("AWS::Logs::LogGroup", "RetainExceptOnCreate"), ("Custom::MomentoCache", "Retain")]
)
def test_failed_first_deployment(synthesized: Callable[[str], Synthesized], kind: str, policy: str) -> None:
    """After a failed first deployment of a lasting stage no log group is in the way of the next; the cache stays."""
    resources = synthesized("lasting").template["Resources"].values()
    assert {made["DeletionPolicy"] for made in resources if made["Type"] == kind} == {policy}


def test_every_function_has_an_own_log_group(everything: Synthesized) -> None:
    """Every function, CDK's too, has a log group: otherwise Lambda would make one that outlives the stage."""
    groups = {
        group["LogGroupName"] for group in everything.of("Logs::LogGroup") if isinstance(group["LogGroupName"], str)
    }
    functions = {function["FunctionName"] for function in everything.of("Lambda::Function")}
    assert groups == {f"/aws/lambda/{name}" for name in functions} | {"/aws/apigateway/laurels-full"}


def test_outputs(dev: Synthesized) -> None:
    """The outputs are the endpoint, who may, the key's parameter, and the command that makes the cache."""
    assert dev.template["Outputs"].keys() == {"Endpoint", "Access", "Cache", "KeyParameter"}
    assert json.dumps(dev.output("Endpoint")).endswith('"/"]]}')
    assert dev.output("Cache") == "Run: laurels momento create-cache laurels-dev"
    assert dev.output("KeyParameter") == "/leaderboard-api/dev/momento-api-key"


def test_command_of_the_output_is_installed() -> None:
    """The packages for the command in the output are installed with the CDK."""
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["momento"]
    locked = re.findall(r"^([\w-]+)==", (ROOT / "requirements" / "infra.txt").read_text(), re.MULTILINE)
    assert {re.split("[=<>]", each)[0] for each in needed if not each.startswith("laurels[")} <= set(locked)


def test_cache_output(everything: Synthesized, synthesized: Callable[[str], Synthesized]) -> None:
    """If the cache is made with the stage, or is that of another, the output is its name."""
    assert everything.output("Cache") == "laurels-full"
    assert synthesized("feature").output("Cache") == "laurels-dev"
