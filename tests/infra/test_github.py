"""The role of a repository's workflows, and whom it is given to."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from aws_cdk import App, Validations
from aws_cdk.assertions import Template
from cdk_nag import AwsSolutionsChecks

from infra import account
from infra.account import AccountStack
from infra.errors import SettingRefused
from infra.github import CDK_ROLES, ENVIRONMENT, STACKS
from infra.runtimes import ROOT
from tests.infra.test_checks import lint

pytestmark = pytest.mark.slow

REPOSITORY = {"githubRepository": "somebody/laurels"}
WORKFLOW: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "stage.yml").read_text())


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what is made for a repository; it passes the checks of templates."""
    directory = tmp_path_factory.mktemp("account")
    app = App(outdir=str(directory), context=REPOSITORY)
    stack = AccountStack(app)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()
    linted = lint(directory / "laurels.template.json")
    assert (linted.stdout, linted.returncode) == ("", 0)
    return made(stack)


def made(stack: AccountStack) -> dict[str, Any]:
    """Return the resources of the account's stack that are of GitHub, by type."""
    resources = Template.from_stack(stack).to_json()["Resources"]
    return {each["Type"]: each["Properties"] for name, each in resources.items() if name.startswith("GitHub")}


def test_trust(found: dict[str, Any]) -> None:
    """The role is for the jobs of one repository in the workflow's environment, by tokens that are made for AWS."""
    assert found["AWS::IAM::OIDCProvider"]["ClientIdList"] == ["sts.amazonaws.com"]
    (trusted,) = found["AWS::IAM::Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert trusted["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert "GitHubProvider" in json.dumps(trusted["Principal"]["Federated"])
    issuer = "token.actions.githubusercontent.com"
    subject = "repo:somebody/laurels:environment:stages"
    assert trusted["Condition"] == {"StringEquals": {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": subject}}
    jobs = [job for job in WORKFLOW["jobs"].values() if "id-token" in job["permissions"]]
    environments = [job["environment"] for job in jobs]
    assert {each if isinstance(each, str) else each["name"] for each in environments} == {ENVIRONMENT}


def test_rights(found: dict[str, Any]) -> None:
    """It may take CDK's roles and delete the stages of pull requests, and nothing else."""
    (policy,) = found["AWS::IAM::Role"]["Policies"]
    allowed = {
        json.dumps(each["Action"]): json.dumps(each["Resource"]) for each in policy["PolicyDocument"]["Statement"]
    }
    assert allowed.keys() == {
        '"sts:AssumeRole"',
        '["cloudformation:DeleteStack", "cloudformation:DescribeStacks"]',
        '"cloudformation:ListStacks"',
    }
    assert allowed['"sts:AssumeRole"'].count("role/cdk-hnb659fds-") == len(CDK_ROLES)
    stages = allowed['["cloudformation:DeleteStack", "cloudformation:DescribeStacks"]']
    assert f":stack/{STACKS}/*" in stages
    assert WORKFLOW["env"]["STACK"].startswith(STACKS.removesuffix("*"))


def test_provider_that_is_there() -> None:
    """An account that has GitHub's provider already gets no second one, which would fail."""
    found = made(AccountStack(App(context=REPOSITORY | {"githubProvider": "existing"})))
    assert found.keys() == {"AWS::IAM::Role"}
    trusted = json.dumps(found["AWS::IAM::Role"]["AssumeRolePolicyDocument"])
    assert ":oidc-provider/token.actions.githubusercontent.com" in trusted


@pytest.mark.parametrize(
    "context",
    [{"githubRepository": "*"}, {"githubRepository": "somebody/*"}, REPOSITORY | {"githubProvider": "mine"}],
    ids=["any", "any of an owner", "provider"],
)
def test_refused(context: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A pattern is no repository, and a role is not given to all of them by mistake; the app ends with the reason."""
    with pytest.raises(SettingRefused, match="The setting github"):
        AccountStack(App(context=context))
    monkeypatch.setattr(account, "App", lambda: App(context=context))
    with pytest.raises(SystemExit, match="The setting github"):
        account.main()
