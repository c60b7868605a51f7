"""The stage's Momento cache, made with the stack and deleted with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import CustomResource, RemovalPolicy, custom_resources
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.functions import Function, own_log_group, own_role, use_parameters, write_logs

if TYPE_CHECKING:
    from infra.settings import Settings

SECONDS = 60


class Cache(Construct):
    """A custom resource. A lasting stage's cache outlives the stack, as its logs do."""

    def __init__(self, scope: Construct, id_: str, *, settings: Settings) -> None:
        super().__init__(scope, id_)
        optional = {"LAURELS_MOMENTO_ENDPOINT": settings.momento_endpoint} if settings.momento_endpoint else {}
        self.function = Function(
            self,
            "CacheOwner",
            name="cache",
            handler="laurels.serverless.caches.handler",
            description="Make and delete the Momento cache of the stage",
            settings=settings,
            environment={"LAURELS_ADMIN_KEY_PARAMETER": settings.admin_key_parameter} | optional,
            statements=use_parameters(self, [settings.admin_key_parameter], settings=settings),
            seconds=SECONDS,
        )
        provider = self._make_provider(settings)
        CustomResource(
            self,
            "Cache",
            service_token=provider.service_token,
            resource_type="Custom::MomentoCache",
            properties={"CacheName": settings.cache_name},
            removal_policy=RemovalPolicy.RETAIN if settings.is_lasting else RemovalPolicy.DESTROY,
        )

    def _make_provider(self, settings: Settings) -> custom_resources.Provider:
        """Make CDK's function between CloudFormation and ours; it may call ours and nothing else."""
        name = f"{settings.name}-cache-provider"
        function = self.function.function
        logs = own_log_group(self, "ProviderLogs", name=f"/aws/lambda/{name}", settings=settings)
        call = iam.PolicyStatement(
            actions=["lambda:GetFunction", "lambda:InvokeFunction"], resources=[function.function_arn]
        )
        role = own_role(self, "ProviderRole", name=name, statements=[write_logs(logs), call])
        return custom_resources.Provider(
            self,
            "Provider",
            on_event_handler=function,
            framework_on_event_role=role.without_policy_updates(),
            log_group=logs,
            provider_function_name=name,
        )
