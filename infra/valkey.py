"""The stage's cache in ElastiCache Serverless for Valkey, made with the stack, and who may connect to it.

Its only user has a name and rights of its own, for Laurels' keys and the commands of the store. With ``iam`` a function
connects with a token that it signs with its role; with ``password`` with what Secrets Manager has made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_cdk import ArnFormat, RemovalPolicies, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticache as elasticache
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.functions import acknowledge, parameter_arns
from infra.network import Network
from infra.settings import ACCESS_STRING

if TYPE_CHECKING:
    from infra.settings import Settings

VERSION = "8"
"""Of Valkey."""
PASSWORD_CHARACTERS = 64
NO_ROTATION = (
    "A password that changed by itself would lock out the functions until ElastiCache has it too. Tokens, which are "
    "the default, live for 15 minutes."
)


class Valkey(Construct):
    """A cache, its user and its network. Those of a lasting stage outlive the stack, as its logs do."""

    def __init__(self, scope: Construct, id_: str, *, settings: Settings) -> None:
        super().__init__(scope, id_)
        self._settings = settings
        self.name = settings.valkey_name
        self._network = Network(self, "Network", settings=settings)
        self._secret = self._make_secret() if settings.cache_login == "password" else None
        user = self._make_user()
        group = elasticache.CfnUserGroup(
            self, "Users", engine="valkey", user_group_id=self.name, user_ids=[user.user_id]
        )
        group.add_dependency(user)
        self._cache = self._make_cache(group)
        if settings.is_lasting:
            for kept in (user, group, self._cache):
                RemovalPolicies.of(kept).retain_on_update_or_delete()
        if settings.parameters_read:
            self._network.add_endpoint(
                "Ssm",
                ec2.InterfaceVpcEndpointAwsService.SSM,
                "ssm:GetParameter",
                parameter_arns(self, settings.parameters_read),
            )

    @property
    def for_functions(self) -> dict[str, Any]:
        """What the functions need to reach the cache, as arguments."""
        address, port = self._cache.attr_endpoint_address, self._cache.attr_endpoint_port
        variables = {"LAURELS_STORE": f"rediss+cluster://{address}:{port}", "LAURELS_CACHE_USER": self.name}
        own = {"LAURELS_PASSWORD_SECRET": self._secret.secret_arn} if self._secret else {"LAURELS_CACHE": self.name}
        return {"environment": variables | own, "statements": [self._connect()], "place": self._network.place}

    def _connect(self) -> iam.PolicyStatement:
        if self._secret:
            return iam.PolicyStatement(
                actions=["secretsmanager:GetSecretValue"], resources=[self._secret.secret_full_arn or ""]
            )
        arns = [
            Stack.of(self).format_arn(
                service="elasticache", resource=kind, resource_name=self.name, arn_format=ArnFormat.COLON_RESOURCE_NAME
            )
            for kind in ("serverlesscache", "user")
        ]
        return iam.PolicyStatement(actions=["elasticache:Connect"], resources=arns)

    def _make_secret(self) -> secretsmanager.Secret:
        secret = secretsmanager.Secret(
            self,
            "Password",
            secret_name=f"{self._settings.name}-valkey",
            description="The password of the functions for their cache",
            generate_secret_string=secretsmanager.SecretStringGenerator(
                exclude_punctuation=True, password_length=PASSWORD_CHARACTERS
            ),
        )
        acknowledge(secret, "AwsSolutions-SMG4", NO_ROTATION)
        self._network.add_endpoint(
            "SecretsManager",
            ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
            "secretsmanager:GetSecretValue",
            [secret.secret_arn],
        )
        return secret

    def _make_user(self) -> elasticache.CfnUser:
        """Make the user; with tokens its id and its name must be the same."""
        mode: dict[str, Any] = {"Type": "iam"}
        if self._secret:
            mode = {"Type": "password", "Passwords": [self._secret.secret_value.unsafe_unwrap()]}
        return elasticache.CfnUser(
            self,
            "User",
            engine="valkey",
            user_id=self.name,
            user_name=self.name,
            access_string=ACCESS_STRING,
            authentication_mode=mode,
        )

    def _make_cache(self, group: elasticache.CfnUserGroup) -> elasticache.CfnServerlessCache:
        settings = self._settings
        limits: dict[str, Any] = {}
        if settings.cache_gigabytes:
            limits["data_storage"] = elasticache.CfnServerlessCache.DataStorageProperty(
                unit="GB", maximum=settings.cache_gigabytes
            )
        if settings.cache_units:
            limits["ecpu_per_second"] = elasticache.CfnServerlessCache.ECPUPerSecondProperty(
                maximum=settings.cache_units
            )
        cache = elasticache.CfnServerlessCache(
            self,
            "Cache",
            engine="valkey",
            major_engine_version=VERSION,
            serverless_cache_name=self.name,
            description=f"The boards of the stage {settings.stage_name}",
            security_group_ids=[self._network.cache.security_group_id],
            subnet_ids=[subnet.subnet_id for subnet in self._network.vpc.isolated_subnets],
            user_group_id=group.user_group_id,
            cache_usage_limits=elasticache.CfnServerlessCache.CacheUsageLimitsProperty(**limits) if limits else None,
            snapshot_retention_limit=settings.snapshot_days,
        )
        cache.add_dependency(group)
        return cache
