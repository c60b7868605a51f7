"""What an account needs once in each region before a stage can be deployed: permission for API Gateway to write logs.

With ``-c githubRepository=OWNER/NAME`` also what the workflows of a repository need to deploy stages for pull requests.

It is a setting of the account and not of an API, so it is not in the stages' stacks: the first stage to be destroyed
would remove it for the others.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from aws_cdk import App, Aws, Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam

from infra.errors import DeploymentError, SettingRefused
from infra.functions import acknowledge
from infra.github import GitHub

if TYPE_CHECKING:
    from constructs import Construct

NAME = "laurels"
"""No stage's stack has this name: theirs have a hyphen and the stage after it."""
EXISTING = "existing"
POLICY = "service-role/AmazonAPIGatewayPushToCloudWatchLogs"


class AccountStack(Stack):
    """The account's role for API Gateway's logs."""

    def __init__(self, scope: Construct) -> None:
        super().__init__(scope, NAME, stack_name=NAME, description="Laurels: what all stages of an account share")
        role = iam.Role(
            self,
            "GatewayLogs",
            role_name=f"{NAME}-gateway-logs-{Aws.REGION}",
            assumed_by=iam.ServicePrincipal("apigateway.amazonaws.com"),
            managed_policies=[iam.ManagedPolicy.from_aws_managed_policy_name(POLICY)],
        )
        acknowledge(
            role, f"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{POLICY}]", "It is made for this."
        )
        apigateway.CfnAccount(self, "Account", cloud_watch_role_arn=role.role_arn)
        if repository := self.node.try_get_context("githubRepository"):
            provider = self.node.try_get_context("githubProvider")
            if provider not in {None, EXISTING}:
                raise SettingRefused("githubProvider", f"is {provider!r}", f"It is {EXISTING}, or left out.")
            GitHub(self, "GitHub", repository=repository, has_provider=provider == EXISTING)


def main() -> None:
    """Synthesize the template."""
    app = App()
    try:
        AccountStack(app)
    except DeploymentError as error:
        sys.exit(str(error))
    app.synth()


if __name__ == "__main__":
    main()
