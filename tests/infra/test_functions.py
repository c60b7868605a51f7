"""The functions in the template."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.runtimes import newest_runtime
from laurels.serverless import caches, environment
from laurels.serverless.parameters import connect_ssm
from laurels.serverless.rotation import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infra.conftest import Synthesized

pytestmark = pytest.mark.slow

HANDLERS = {
    "laurels-dev-submit-score": "laurels.serverless.handlers.submit_score",
    "laurels-dev-get-standing": "laurels.serverless.handlers.get_standing",
    "laurels-dev-get-leaderboard": "laurels.serverless.handlers.get_leaderboard",
}


@pytest.mark.parametrize("name", HANDLERS)
def test_settings(dev: Synthesized, name: str) -> None:
    """A function has its handler, 1,024 MB, less time than the gateway, tracing, and the Python of its asset."""
    made = dev.one("Lambda::Function", FunctionName=name)
    assert made["Handler"] == HANDLERS[name]
    assert made["MemorySize"] == 1024
    assert made["Architectures"] == ["arm64"]
    assert made["TracingConfig"] == {"Mode": "Active"}
    assert made["Timeout"] < 29
    assert made["Runtime"] == newest_runtime()


@pytest.mark.parametrize("stage", ["dev", "feature"])
def test_runtime(synthesized: Callable[[str], Synthesized], stage: str) -> None:
    """Each function's runtime is the version of Python that compiled its asset."""
    found = synthesized(stage)
    for made in found.of("Lambda::Function"):
        asset = found.file.parent / f"asset.{made['Code']['S3Key'].removesuffix('.zip')}"
        (compiled,) = (asset / "laurels" / "__pycache__").glob("errors.*.pyc")
        assert made["Runtime"] == compiled.name.replace("errors.cpython-3", "python3.").removesuffix(".pyc")


def test_silent_parameter_store(dev: Synthesized, monkeypatch: pytest.MonkeyPatch) -> None:
    """If SSM does not answer, even on the second attempt, the function has time left to say so."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    config = connect_ssm().meta.config
    longest = (config.connect_timeout + config.read_timeout) * config.retries["total_max_attempts"]
    assert longest < dev.one("Lambda::Function", FunctionName="laurels-dev-get-standing")["Timeout"]


def test_environment(dev: Synthesized) -> None:
    """The environment has names and settings, and no key."""
    made = dev.one("Lambda::Function", FunctionName="laurels-dev-get-standing")
    assert made["Environment"]["Variables"] == {
        "LAURELS_KEY_PARAMETER": "/leaderboard-api/dev/momento-api-key",
        "LAURELS_MOMENTO_CACHE": "laurels-dev",
        "LAURELS_ORDER": "descending",
        "LAURELS_STAGE": "dev",
        "LAURELS_TTL_SECONDS": "604800",
        "POWERTOOLS_LOG_LEVEL": "DEBUG",
    }


def test_functions_of_the_routes_read_their_environment(everything: Synthesized) -> None:
    """The functions of the routes read every setting of the environment that the stack writes."""
    made = everything.one("Lambda::Function", FunctionName="laurels-full-submit-score")
    assert environment.read(made["Environment"]["Variables"]) == environment.Settings(
        stage="full",
        key_parameter="/leaderboard-api/full/momento-api-key",
        momento_cache="laurels-full",
        momento_endpoint="cell-1.prod.a.momentohq.com",
        order="ascending",
        ttl_seconds=86400,
        cors_origin="https://game.example",
    )


def test_optional_functions_read_their_environment(everything: Synthesized) -> None:
    """So do the functions of the optional parts."""
    cache, rotation = (
        everything.one("Lambda::Function", FunctionName=f"laurels-full-{name}")["Environment"]["Variables"]
        for name in ("cache", "rotation")
    )
    admin = "/leaderboard-api/full/momento-super-user-key"
    assert environment.read_as(caches.Settings, cache) == caches.Settings(
        admin_key_parameter=admin, momento_endpoint="cell-1.prod.a.momentohq.com"
    )
    assert environment.read_as(Settings, rotation) == Settings(
        key_parameter="/leaderboard-api/full/momento-api-key", admin_key_parameter=admin, rotate_days=30
    )


@pytest.mark.parametrize(("stage", "level"), [("dev", "DEBUG"), ("prod", "INFO"), ("feature", "DEBUG")])
def test_log_level(synthesized: Callable[[str], Synthesized], stage: str, level: str) -> None:
    """Only stages that are not lasting log at DEBUG."""
    levels = {
        made["Environment"]["Variables"]["POWERTOOLS_LOG_LEVEL"] for made in synthesized(stage).of("Lambda::Function")
    }
    assert levels == {level}


def test_one_asset_for_the_routes(dev: Synthesized) -> None:
    """The functions of the routes share one asset."""
    assert len({made["Code"]["S3Key"] for made in dev.of("Lambda::Function")}) == 1


def test_other_processor(everything: Synthesized) -> None:
    """A stage can run on the other processor."""
    ours = [made for made in everything.of("Lambda::Function") if made["Runtime"].startswith("python")]
    assert {made["Architectures"][0] for made in ours} == {"x86_64"}
    assert len(ours) == 5
