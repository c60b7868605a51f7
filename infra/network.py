"""The network of a stage with its cache in it, and no way out of it: no internet gateway, no NAT.

    functions ──6379, 6380──> cache
        └────────443────────> endpoints of the services whose secrets the functions read, if they read any

The groups allow that and nothing else. Lambda itself writes the functions' logs and traces, and not over this network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import RemovalPolicies
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.functions import Place, own_log_group, own_role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.settings import Settings

CIDR = "10.0.0.0/24"
"""It is connected with no other network, so any will do: 64 addresses in each of two zones."""
CACHE_PORTS = ec2.Port.tcp_range(6379, 6380)
"""ElastiCache Serverless answers on the first, and reads that may be stale on the second."""


class Network(Construct):
    """Two isolated subnets, and the groups of functions, cache and endpoints."""

    def __init__(self, scope: Construct, id_: str, *, settings: Settings) -> None:
        super().__init__(scope, id_)
        self._settings = settings
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            vpc_name=settings.name,
            ip_addresses=ec2.IpAddresses.cidr(CIDR),
            max_azs=2,
            nat_gateways=0,
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(name="isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=26)
            ],
        )
        self._log_refused()
        functions = self._group("functions", "The functions: they reach the cache, and what they read secrets from")
        self.cache = self._group("cache", "The cache: reached by the functions alone")
        self._endpoints: ec2.SecurityGroup | None = None
        self.place = Place(self.vpc, ec2.SubnetSelection(subnets=self.vpc.isolated_subnets), functions)
        _allow(functions, self.cache, CACHE_PORTS)
        self._keep(self.vpc)

    def add_endpoint(
        self, name: str, service: ec2.InterfaceVpcEndpointAwsService, action: str, resources: Sequence[str]
    ) -> None:
        """Let the functions do one thing with ``resources`` of a service. It costs by the hour and zone.

        So a stage that is not lasting has it in one zone.
        """
        if self._endpoints is None:
            self._endpoints = self._group("endpoints", "What the functions read secrets from")
            _allow(self.place.group, self._endpoints, ec2.Port.tcp(443))
        zones = None if self._settings.is_lasting else 1
        endpoint = ec2.InterfaceVpcEndpoint(
            self,
            name,
            vpc=self.vpc,
            service=service,
            subnets=ec2.SubnetSelection(subnets=self.vpc.isolated_subnets[:zones]),
            security_groups=[self._endpoints],
            open=False,
        )
        endpoint.add_to_policy(
            iam.PolicyStatement(actions=[action], resources=list(resources), principals=[iam.AnyPrincipal()])
        )

    def _group(self, name: str, description: str) -> ec2.SecurityGroup:
        group = ec2.SecurityGroup(
            self,
            name.title(),
            vpc=self.vpc,
            security_group_name=f"{self._settings.name}-{name}",
            description=description,
            allow_all_outbound=False,
        )
        self._keep(group)
        return group

    def _keep(self, part: Construct) -> None:
        """Have a part outlive the stack of a lasting stage: its cache, which does, would keep it from being deleted."""
        if self._settings.is_lasting:
            RemovalPolicies.of(part).retain_on_update_or_delete()

    def _log_refused(self) -> None:
        """Log what the groups refuse. There should be none, so it costs next to nothing."""
        name = f"{self._settings.name}-refused"
        group = own_log_group(self, "RefusedLogs", name=f"/aws/vpc/{name}", settings=self._settings)
        write = iam.PolicyStatement(
            actions=["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogGroups", "logs:DescribeLogStreams"],
            resources=[group.log_group_arn],
        )
        role = own_role(self, "RefusedRole", name=name, statements=[write], service="vpc-flow-logs.amazonaws.com")
        ec2.FlowLog(
            self,
            "Refused",
            resource_type=ec2.FlowLogResourceType.from_vpc(self.vpc),
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(group, role.without_policy_updates()),
            traffic_type=ec2.FlowLogTrafficType.REJECT,
        )


def _allow(of: ec2.SecurityGroup, to: ec2.SecurityGroup, port: ec2.Port) -> None:
    """Let what is in one group reach what is in another; CDK adds what that one must let in."""
    of.connections.allow_to(to, port)
