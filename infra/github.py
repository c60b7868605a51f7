"""What lets the workflows of a repository on GitHub deploy stages: a role that is taken with a job's own token (OIDC).

There is no key that could be lost. The token says of which repository and environment a job is, and the role is for one
of each. CDK's own roles do the deploying; beside that the role deletes the stages of pull requests, and nothing else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aws_cdk import ArnFormat, Aws, CfnOutput, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.errors import SettingRefused
from infra.functions import acknowledge

if TYPE_CHECKING:
    from collections.abc import Sequence

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
ENVIRONMENT = "stages"
"""Of GitHub's, as the workflow names it."""
STACKS = "laurels-PR-*"
"""How the stages of pull requests are called."""
QUALIFIER = "hnb659fds"
"""CDK's own, which is in the names of its roles unless it was set up with another one."""
CDK_ROLES = ("deploy", "file-publishing", "lookup")
REPOSITORY = re.compile(r"[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}")


class GitHub(Construct):
    """The role of a repository's workflows, and the provider of their tokens unless the account has it already."""

    def __init__(self, scope: Construct, id_: str, *, repository: str, has_provider: bool = False) -> None:
        super().__init__(scope, id_)
        if not REPOSITORY.fullmatch(repository):
            raise SettingRefused(
                "githubRepository", f"is {repository!r}", "It is an owner and a name, as in somebody/laurels."
            )
        self.role = iam.Role(
            self,
            "Role",
            role_name=f"laurels-github-{Aws.REGION}",
            description=f"Stages for pull requests of {repository}",
            assumed_by=iam.WebIdentityPrincipal(
                self._find_provider() if has_provider else self._make_provider(),
                {
                    "StringEquals": {
                        f"{ISSUER}:aud": AUDIENCE,
                        f"{ISSUER}:sub": f"repo:{repository}:environment:{ENVIRONMENT}",
                    }
                },
            ),
            inline_policies={"act": iam.PolicyDocument(statements=self._statements())},
        )
        stacks = f"arn:<AWS::Partition>:cloudformation:<AWS::Region>:<AWS::AccountId>:stack/{STACKS}/*"
        acknowledge(self.role, f"AwsSolutions-IAM5[Resource::{stacks}]", "Pull requests come and go.")
        acknowledge(self.role, "AwsSolutions-IAM5[Resource::*]", "To list stacks knows no resources.")
        CfnOutput(self, "Arn", value=self.role.role_arn, description="The variable STAGES_ROLE of the repository")

    def _make_provider(self) -> str:
        provider = iam.CfnOIDCProvider(self, "Provider", url=f"https://{ISSUER}", client_id_list=[AUDIENCE])
        arn: str = provider.attr_arn
        return arn

    def _find_provider(self) -> str:
        arn: str = Stack.of(self).format_arn(
            service="iam",
            region="",
            resource="oidc-provider",
            resource_name=ISSUER,
            arn_format=ArnFormat.SLASH_RESOURCE_NAME,
        )
        return arn

    def _statements(self) -> Sequence[iam.PolicyStatement]:
        stack = Stack.of(self)
        roles = [
            stack.format_arn(
                service="iam",
                region="",
                resource="role",
                resource_name=f"cdk-{QUALIFIER}-{kind}-role-{Aws.ACCOUNT_ID}-{Aws.REGION}",
                arn_format=ArnFormat.SLASH_RESOURCE_NAME,
            )
            for kind in CDK_ROLES
        ]
        stages = stack.format_arn(
            service="cloudformation",
            resource="stack",
            resource_name=f"{STACKS}/*",
            arn_format=ArnFormat.SLASH_RESOURCE_NAME,
        )
        return [
            iam.PolicyStatement(actions=["sts:AssumeRole"], resources=roles),
            iam.PolicyStatement(
                actions=["cloudformation:DeleteStack", "cloudformation:DescribeStacks"], resources=[stages]
            ),
            iam.PolicyStatement(actions=["cloudformation:ListStacks"], resources=["*"]),
        ]
