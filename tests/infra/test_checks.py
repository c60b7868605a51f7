"""Checks by other tools: cfn-lint, cdk-nag, and the CDK command itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aws_cdk import App, Stack, Validations, aws_sns
from cdk_nag import AwsSolutionsChecks

from infra.account import NAME, AccountStack
from infra.runtimes import ROOT
from infra.settings import read
from tests.infra.conftest import STAGES
from tests.processes import FOREIGN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infra.conftest import Synthesized

pytestmark = pytest.mark.slow

OURS = Path(sys.executable).parent
UNPACKED = Path.home() / ".cache" / "aws" / "jsii" / "package-cache"
"""Where jsii keeps CDK's packages: it would unpack them again for each new home."""
DEPENDS_TWICE = "W3005"
"""CDK writes DependsOn even if a reference implies it."""


def lint(*templates: Path) -> subprocess.CompletedProcess[str]:
    """Run cfn-lint."""
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--ignore-checks", DEPENDS_TWICE, "--"]
    return subprocess.run([*command, *map(str, templates)], env=FOREIGN, capture_output=True, text=True, check=False)


def test_lint(synthesized: Callable[[str], Synthesized]) -> None:
    """cfn-lint finds nothing in any stage; those that are left out have the resources of others, under other names."""
    linted = lint(*(synthesized(name).file for name in STAGES.keys() - {"prod", "feature", "boards"}))
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
    command = [str(ROOT / "infra" / "run"), "account"]
    subprocess.run(command, env=os.environ | {"CDK_OUTDIR": str(tmp_path)}, check=True, timeout=300)
    made = json.loads((tmp_path / f"{NAME}.template.json").read_text())["Resources"].values()
    assert sorted(resource["Type"] for resource in made) == ["AWS::ApiGateway::Account", "AWS::IAM::Role"]


def cdk(directory: Path, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the CDK command without an account, and without our Python on the PATH."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "VIRTUAL_ENV"))}
    path = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if Path(part) != OURS)
    command = [str(ROOT / "node_modules" / ".bin" / "cdk"), *arguments, "--output", str(directory / "out")]
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment | {"PATH": path, "HOME": str(directory), "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(UNPACKED)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_command(tmp_path: Path) -> None:
    """The CDK command synthesizes a stage by itself; the app writes the defaults that it took, and that it is open."""
    done = cdk(tmp_path, "synth", "--quiet", "-c", "stageName=FEAT-9")
    assert done.returncode == 0, done.stderr
    defaults, is_open = [line for line in done.stderr.splitlines() if "FEAT-9" in line or "Open: " in line]
    assert "ssmStageName=FEAT-9, cacheName=laurels-FEAT-9, architecture=arm64" in defaults
    assert is_open.startswith("Open: whoever has the address of this stage may do everything.")
    assert (tmp_path / "out" / "laurels-FEAT-9.template.json").exists()


@pytest.mark.parametrize("venv", [False, True], ids=["no .venv", "none of CDK's packages"])
def test_command_without_packages(tmp_path: Path, *, venv: bool) -> None:
    """In a checkout without what a deployment needs, the CDK command says what installs it."""
    shutil.copy(ROOT / "cdk.json", tmp_path)
    (tmp_path / "infra").mkdir()
    shutil.copy(ROOT / "infra" / "run", tmp_path / "infra")
    if venv:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / ".venv"], check=True, timeout=300)
    done = cdk(tmp_path, "synth", cwd=tmp_path)
    assert done.returncode == 1
    assert "CDK's packages are not in .venv. Run `make install-cdk` first." in done.stderr
