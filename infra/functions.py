"""A Lambda function with its own role and its own log group, and the three functions of the routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aws_cdk import Acknowledgment, ArnFormat, Aws, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.access import has_issuers
from infra.assets import ASSETS, NO_FILES, build
from infra.boards import read_declarations
from infra.runtimes import find_target
from infra.settings import MEMORY_MB, ROUTE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.settings import Settings, StoreName

NO_VARIABLES: Mapping[str, str] = {}
INTERFACES = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)
"""What Lambda needs a function's role to allow, by its documentation."""


class Place(NamedTuple):
    """The network that a function runs in: which part of which, and what it may reach there."""

    vpc: ec2.IVpc
    subnets: ec2.SubnetSelection
    group: ec2.ISecurityGroup


class Function(Construct):
    """One handler as a function. It may log and trace; ``statements`` allow more.

    ``extra_files`` are added to its code, by their names; ``with_issuers`` lets it verify tokens of foreign issuers;
    ``store`` is the one that the routes open. Without a ``place`` it runs in a network of Lambda's.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        handler: str,
        description: str,
        settings: Settings,
        environment: dict[str, str],
        statements: Sequence[iam.PolicyStatement],
        seconds: int = ROUTE_SECONDS,
        extra_files: Mapping[str, bytes] = NO_FILES,
        with_issuers: bool = False,
        store: StoreName = "momento",
        place: Place | None = None,
    ) -> None:
        super().__init__(scope, id_)
        full_name = f"{settings.name}-{name}"
        self.seconds = seconds
        self.log_group = own_log_group(self, "Logs", name=f"/aws/lambda/{full_name}", settings=settings)
        role = own_role(
            self,
            "Role",
            name=full_name,
            statements=[
                write_logs(self.log_group),
                _write_traces(),
                *statements,
                *([_join_network()] if place else []),
            ],
        )
        target = find_target(settings.python_runtime, settings.architecture)
        asset = build(target, ASSETS, handler.rpartition(".")[0], extra_files, with_issuers=with_issuers, store=store)
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=full_name,
            description=description,
            runtime=lambda_.Runtime(settings.python_runtime, lambda_.RuntimeFamily.PYTHON),
            architecture=getattr(lambda_.Architecture, settings.architecture.upper().replace("ARM64", "ARM_64")),
            handler=handler,
            code=lambda_.Code.from_asset(str(asset), asset_hash=asset.name.rpartition("-")[2]),
            memory_size=MEMORY_MB,
            timeout=Duration.seconds(seconds),
            role=role.without_policy_updates(),  # CDK would add a policy for the traces, which it has already
            log_group=self.log_group,
            tracing=lambda_.Tracing.ACTIVE,
            environment=settings.environment | environment,
            reserved_concurrent_executions=settings.concurrency,
            **({"vpc": place.vpc, "vpc_subnets": place.subnets, "security_groups": [place.group]} if place else {}),
        )
        acknowledge(
            role, "AwsSolutions-IAM5[Resource::*]", "The actions of X-Ray, and on interfaces, know no resources."
        )
        acknowledge(self.function, "AwsSolutions-L1", "Its Python is the one that compiled its asset.")


class Functions(Construct):
    """A function for each of the three core routes, and what of a store's it needs beside the settings."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        settings: Settings,
        environment: Mapping[str, str] = NO_VARIABLES,
        statements: Sequence[iam.PolicyStatement] = (),
        place: Place | None = None,
    ) -> None:
        super().__init__(scope, id_)
        self._settings = settings
        self._environment = environment
        self._statements = statements
        self._place = place
        self._extra_files = read_declarations(settings)
        self._with_issuers = has_issuers(settings)
        self.submit_score = self._route("submit-score", "Keep the score of a name on a board")
        self.get_standing = self._route("get-standing", "Give score and rank of a name on a board")
        live = [settings.live_key_parameter] if settings.live else []
        self.get_leaderboard = self._route("get-leaderboard", "Give a page of a board", live)

    @property
    def all(self) -> tuple[Function, Function, Function]:
        """All three."""
        return self.submit_score, self.get_standing, self.get_leaderboard

    def _route(self, name: str, description: str, further: Sequence[str] = ()) -> Function:
        """Make the function of a route, which may read ``further`` parameters."""
        function = name.replace("-", "_")
        live = self._settings.live_environment.get(function, NO_VARIABLES)
        return Function(
            self,
            name.title().replace("-", ""),
            name=name,
            handler=f"laurels.serverless.handlers.{function}",
            description=description,
            settings=self._settings,
            environment={**self._settings.route_environment, **self._environment, **live},
            statements=[
                *use_parameters(self, [*self._settings.parameters_read, *further], settings=self._settings),
                *self._statements,
            ],
            extra_files=self._extra_files,
            with_issuers=self._with_issuers,
            store=self._settings.store,
            place=self._place,
        )


def own_log_group(scope: Construct, id_: str, *, name: str, settings: Settings) -> logs.LogGroup:
    """Make a log group that is deleted with the stack, unless the stage is a lasting one.

    Even there a first deployment that fails deletes its groups: otherwise the next one could not make them.
    """
    kept = RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
    group = logs.LogGroup(
        scope, id_, log_group_name=name, removal_policy=kept if settings.is_lasting else RemovalPolicy.DESTROY
    )
    group.node.default_child.retention_in_days = settings.log_retention_days
    return group


def own_role(
    scope: Construct,
    id_: str,
    *,
    name: str,
    statements: Sequence[iam.PolicyStatement],
    service: str = "lambda.amazonaws.com",
) -> iam.Role:
    """Make a function's role with these statements. Roles belong to the account, so the region is in the name."""
    return iam.Role(
        scope,
        id_,
        role_name=f"{name}-{Aws.REGION}",
        assumed_by=iam.ServicePrincipal(service),
        inline_policies={"act": iam.PolicyDocument(statements=list(statements))},
    )


def use_parameters(
    scope: Construct, names: Sequence[str], *, settings: Settings, actions: Sequence[str] = ("ssm:GetParameter",)
) -> list[iam.PolicyStatement]:
    """Allow ``actions`` on exactly these parameters, and decryption with their key if that is a customer's own.

    The key that AWS manages for SSM needs no statement: its policy allows everyone who may use the parameter.
    """
    if not names:
        return []
    statements = [iam.PolicyStatement(actions=list(actions), resources=parameter_arns(scope, names))]
    if settings.parameter_key_arn:
        statements.append(iam.PolicyStatement(actions=["kms:Decrypt"], resources=[settings.parameter_key_arn]))
    return statements


def parameter_arns(scope: Construct, names: Sequence[str]) -> list[str]:
    """Return the ARNs of parameters in the stack's account and region."""
    return [
        Stack.of(scope).format_arn(
            service="ssm",
            resource="parameter",
            resource_name=name.removeprefix("/"),
            arn_format=ArnFormat.SLASH_RESOURCE_NAME,
        )
        for name in names
    ]


def write_logs(group: logs.LogGroup) -> iam.PolicyStatement:
    """Allow writing to one log group."""
    return iam.PolicyStatement(actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[group.log_group_arn])


def acknowledge(scope: Construct, rule: str, reason: str) -> None:
    """Record why a rule of cdk-nag does not apply here."""
    Validations.of(scope).acknowledge(Acknowledgment(id=rule, reason=reason))


def _write_traces() -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=["xray:PutTelemetryRecords", "xray:PutTraceSegments"], resources=["*"])


def _join_network() -> iam.PolicyStatement:
    """Allow what Lambda does in a function's name to connect it with a network."""
    return iam.PolicyStatement(actions=list(INTERFACES), resources=["*"])
