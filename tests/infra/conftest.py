"""Stages synthesized in this process, each once in a test run."""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aws_cdk import App, Validations
from aws_cdk.assertions import Template
from cdk_nag import AwsSolutionsChecks

from infra.app import add_stage

if TYPE_CHECKING:
    from collections.abc import Callable

Properties = dict[str, Any]

BOARDS = Path(__file__).parent / "boards.toml"
ACCESS = Path(__file__).parent / "access.toml"

STAGES: dict[str, dict[str, str]] = {
    "dev": {},
    "prod": {"stageName": "prod", "open": "true"},
    "feature": {
        "stageName": "FEAT-123",
        "ssmStageName": "dev",
        "cacheName": "laurels-dev",
        "namespace": "FEAT-123",
        "pythonRuntime": f"python3.{sys.version_info.minor}",
    },
    "everything": {
        "stageName": "full",
        "architecture": "x86_64",
        "order": "ascending",
        "ttlDays": "1",
        "momentoEndpoint": "cell-1.prod.a.momentohq.com",
        "corsOrigin": "https://game.example",
        "rateLimit": "5",
        "burstLimit": "10",
        "logRetentionDays": "30",
        "alarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:pager",
        "alarmEmail": "ops@game.example",
        "alarmFailedPercent": "0.5",
        "alarmRefusedPercent": "50",
        "alarmThrottledPercent": "2.5",
        "alarmLatencyMs": "300",
        "alarmMinRequests": "10",
        "manageCache": "true",
        "rotateKeyDays": "30",
    },
    "access": {
        "stageName": "access",
        "corsOrigin": "https://game.example",
        "accessParameter": "/laurels/access/who",
        "accessFile": str(ACCESS),
        "secretParameter": "/laurels/access/tokens",
    },
    "keys": {
        "stageName": "keys",
        "corsOrigin": "https://game.example",
        "apiKeys": "game-server,website",
        "apiKeyRate": "5",
        "apiKeyBurst": "10",
        "apiKeyQuota": "100000/month",
    },
    "cognito": {
        "stageName": "cognito",
        "cognitoUserPool": "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_AbCdEfGhI",
        "accessParameter": "/laurels/access/who",
        "parameterKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab",
    },
    "authorizer": {
        "stageName": "authorizer",
        "corsOrigin": "*",
        "authorizerFunction": "arn:aws:lambda:eu-west-1:123456789012:function:who",
        "apiKeys": "one",
    },
    "live": {
        "stageName": "live",
        "live": "true",
        "corsOrigin": "https://game.example",
        "momentoEndpoint": "cell-1.prod.a.momentohq.com",
        "rotateKeyDays": "30",
    },
    "boards": {"stageName": "boards", "boardsFile": str(BOARDS)},
    "valkey": {"stageName": "VALKEY-1", "store": "valkey"},
    "valkey-lasting": {
        "stageName": "prod",
        "store": "valkey",
        "accessParameter": "/laurels/prod/access",
        "concurrency": "50",
        "alarmEmail": "ops@game.example",
    },
    "valkey-password": {
        "stageName": "password",
        "store": "valkey",
        "cacheLogin": "password",
        "accessParameter": "/laurels/password/access",
        "cacheGigabytes": "5",
        "cacheUnits": "20000",
        "snapshotDays": "3",
        "boardsFile": str(BOARDS),
    },
    "lasting": {
        "stageName": "prod",
        "open": "true",
        "manageCache": "true",
        "parameterKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab",
    },
}


class Synthesized:
    """One stage's template, and cdk-nag's findings."""

    def __init__(self, directory: Path, context: dict[str, str]) -> None:
        app = App(context=context, outdir=str(directory))
        self.settings, _ = add_stage(app)
        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        app.synth()
        self.file = directory / f"{self.settings.name}.template.json"
        self.template: dict[str, Any] = json.loads(self.file.read_text())
        self._resources = Template.from_json(self.template)
        self.findings = json.loads((directory / "validation-report.json").read_text())["pluginReports"]

    def of(self, kind: str, **known: Any) -> list[Properties]:
        """Return the properties of all resources of a kind that have the ``known`` ones."""
        found = self._resources.find_resources(f"AWS::{kind}", {"Properties": known})
        return [made["Properties"] for made in found.values()]

    def one(self, kind: str, **known: Any) -> Properties:
        """Return the properties of the only resource of a kind that has the ``known`` ones."""
        (found,) = self.of(kind, **known)
        return found

    def output(self, name: str) -> Any:
        """Return the value of an output."""
        return self.template["Outputs"][name]["Value"]


@pytest.fixture(scope="session")
def synthesized(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Synthesized]:
    """Return a function that synthesizes a stage of :data:`STAGES`."""
    return cache(lambda name: Synthesized(tmp_path_factory.mktemp(name), STAGES[name]))


@pytest.fixture(scope="session")
def dev(synthesized: Callable[[str], Synthesized]) -> Synthesized:
    """Return the stage without any setting."""
    return synthesized("dev")


@pytest.fixture(scope="session")
def everything(synthesized: Callable[[str], Synthesized]) -> Synthesized:
    """Return a stage with every setting set."""
    return synthesized("everything")
