"""What the gateway asks for before it calls a function: a token that an authorizer accepts, or an API key.

    cognitoUserPool       Authorization has an ID token of that user pool
    authorizerFunction    that function says whether what Authorization has is good
    apiKeys               X-Api-Key has one of the keys, each with the rate, the burst and the quota of the plan

The functions' own gate, with an access file, comes after that: it alone knows boards and names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_cdk import Aws, Duration
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.functions import acknowledge

if TYPE_CHECKING:
    from infra.settings import Settings

REMEMBERED = Duration.minutes(5)
"""How long the gateway remembers what the authorizer's function said, of the same credential, method and path alone."""
UNAUTHORIZED, OTHER_AUTHORIZER = "AwsSolutions-APIG4", "AwsSolutions-COG4"
OPEN = "The setting open says that whoever has the address may do everything."
BY_THE_FUNCTION = "The functions ask who it is, by the access file in their parameter: infra/functions.py."
BY_API_KEY = "The gateway asks for a key of the usage plan, which is no authorizer for cdk-nag."
BY_AUTHORIZER = "The authorizer is a function that the operator has chosen."


class Guard(Construct):
    """The authorizer, and the usage plan, of an API, as the settings have them. It may have neither."""

    def __init__(self, scope: Construct, id_: str, *, api: apigateway.RestApi, settings: Settings) -> None:
        super().__init__(scope, id_)
        self._settings = settings
        self.options: dict[str, Any] = {"api_key_required": bool(settings.api_keys), **self._authorize()}
        """What a method needs to be guarded, as arguments."""
        if settings.api_keys:
            self._add_plan(api)

    def acknowledge(self, method: apigateway.Method) -> None:
        """Record which rules of cdk-nag do not apply to a guarded method, and why."""
        settings = self._settings
        if settings.cognito_user_pool:
            return
        if settings.authorizer_function:
            acknowledge(method, OTHER_AUTHORIZER, BY_AUTHORIZER)
            return
        reason = BY_THE_FUNCTION if settings.access_parameter else BY_API_KEY if settings.api_keys else OPEN
        acknowledge(method, UNAUTHORIZED, reason)
        acknowledge(method, OTHER_AUTHORIZER, reason)

    def _authorize(self) -> dict[str, Any]:
        settings = self._settings
        if settings.cognito_user_pool:
            pool = cognito.UserPool.from_user_pool_arn(self, "UserPool", settings.cognito_user_pool)
            authorizer: apigateway.IAuthorizer = apigateway.CognitoUserPoolsAuthorizer(
                self, "Authorizer", authorizer_name=settings.name, cognito_user_pools=[pool]
            )
            return {"authorization_type": apigateway.AuthorizationType.COGNITO, "authorizer": authorizer}
        if settings.authorizer_function:
            authorizer = self._ask_function(settings.authorizer_function)
            return {"authorization_type": apigateway.AuthorizationType.CUSTOM, "authorizer": authorizer}
        return {"authorization_type": apigateway.AuthorizationType.NONE}

    def _ask_function(self, arn: str) -> apigateway.RequestAuthorizer:
        """Let the gateway ask a function, whose own policy stays as it is: the gateway gets a role that may call it.

        A function that is asked for one request may answer with a policy for that one alone. It would be remembered for
        all others of the same credential, and refuse them, if method and path were not a part of what it is kept by.
        """
        call = iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[arn])
        role = iam.Role(
            self,
            "Role",
            role_name=f"{self._settings.name}-authorizer-{Aws.REGION}",
            assumed_by=iam.ServicePrincipal("apigateway.amazonaws.com"),
            inline_policies={"act": iam.PolicyDocument(statements=[call])},
        )
        source = apigateway.IdentitySource
        return apigateway.RequestAuthorizer(
            self,
            "Authorizer",
            authorizer_name=self._settings.name,
            handler=lambda_.Function.from_function_arn(self, "Function", arn),
            identity_sources=[source.header("Authorization"), source.context("httpMethod"), source.context("path")],
            results_cache_ttl=REMEMBERED,
            assume_role=role.without_policy_updates(),
        )

    def _add_plan(self, api: apigateway.RestApi) -> None:
        settings = self._settings
        quota = None
        if settings.api_key_quota:
            count, _, period = settings.api_key_quota.partition("/")
            quota = apigateway.QuotaSettings(limit=int(count), period=getattr(apigateway.Period, period.upper()))
        throttle = None
        if settings.api_key_rate or settings.api_key_burst:
            throttle = apigateway.ThrottleSettings(
                rate_limit=settings.api_key_rate or settings.rate_limit,
                burst_limit=settings.api_key_burst or settings.burst_limit,
            )
        plan = api.add_usage_plan("UsagePlan", name=settings.name, quota=quota, throttle=throttle)
        plan.add_api_stage(stage=api.deployment_stage)
        for name in settings.api_key_names:
            key = api.add_api_key(f"ApiKey{name}", api_key_name=f"{settings.name}-{name}")
            plan.add_api_key(key)
