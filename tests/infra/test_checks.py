"""Checks by other tools: cfn-lint, cdk-nag, and the CDK command itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aws_cdk import App, Stack, Validations, aws_sns
from cdk_nag import AwsSolutionsChecks

from infra.account import NAME, AccountStack
from infra.assets import ROOT
from infra.settings import read
from tests.infra.conftest import STAGES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infra.conftest import Synthesized

pytestmark = pytest.mark.slow

DEPENDS_TWICE = "W3005"
"""CDK writes DependsOn even if a reference implies it."""


def lint(*templates: Path) -> subprocess.CompletedProcess[str]:
    """Run cfn-lint."""
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--ignore-checks", DEPENDS_TWICE, "--"]
    return subprocess.run([*command, *map(str, templates)], capture_output=True, text=True, check=False)


def test_lint(synthesized: Callable[[str], Synthesized]) -> None:
    """cfn-lint finds nothing in any stage."""
    linted = lint(*(synthesized(name).file for name in STAGES))
    assert linted.stdout == ""
    assert linted.returncode == 0


@pytest.mark.parametrize("stage", STAGES)
def test_nag(synthesized: Callable[[str], Synthesized], stage: str) -> None:
    """cdk-nag's AwsSolutions finds nothing that is not acknowledged with a reason."""
    assert not synthesized(stage).findings


def test_nag_bites(tmp_path: Path) -> None:
    """A finding that is not acknowledged fails the synthesis."""
    app = App(outdir=str(tmp_path))
    aws_sns.Topic(Stack(app, "Careless"), "Topic")
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    with pytest.raises(RuntimeError, match="does not require publishers to use SSL"):
        app.synth()


def test_account(tmp_path: Path) -> None:
    """The stack that the stages of an account share passes the same checks."""
    app = App(outdir=str(tmp_path))
    AccountStack(app)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()
    linted = lint(tmp_path / f"{NAME}.template.json")
    assert linted.stdout == ""
    assert linted.returncode == 0


def test_account_is_no_stage() -> None:
    """No stage's stack can have the name of the account's."""
    settings, _ = read({"stageName": "account"})
    assert not NAME.startswith(settings.name.removesuffix("account"))


def test_account_command(tmp_path: Path) -> None:
    """The account's app makes a role with which API Gateway writes logs, and sets it there."""
    command = [sys.executable, "-m", "infra.account"]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"CDK_OUTDIR": str(tmp_path)}, check=True)
    made = json.loads((tmp_path / f"{NAME}.template.json").read_text())["Resources"].values()
    assert sorted(resource["Type"] for resource in made) == ["AWS::ApiGateway::Account", "AWS::IAM::Role"]


def test_command(tmp_path: Path) -> None:
    """The CDK command synthesizes a stage without an account."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    variables = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    context = ["-c", "stageName=FEAT-123", "-c", "ssmStageName=dev"]
    command = [str(ROOT / "node_modules" / ".bin" / "cdk"), "synth", "--quiet", "--output", str(tmp_path), *context]
    subprocess.run(command, cwd=ROOT, env=variables | {"PATH": path, "HOME": str(tmp_path)}, check=True)
    assert (tmp_path / "laurels-FEAT-123.template.json").exists()
