"""The rules by which Prometheus gives alarm, and the dashboard for Grafana: over figures that there are."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from laurels.http.figures import FIGURES
from tests.asking import ask
from tests.conftest import running, started
from tests.newcomer import ROOT, environment, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Server
    from tests.momento import Momento
    from tests.redis_servers import Node

ALERTS: list[dict[str, Any]] = yaml.safe_load((ROOT / "examples" / "alerts.yaml").read_text())["groups"][0]["rules"]
PANELS: list[dict[str, Any]] = msgspec.json.decode((ROOT / "examples" / "dashboard.json").read_bytes())["panels"]
SHOWN = [str(target["expr"]) for panel in PANELS for target in panel["targets"]]
FIGURE = re.compile(r"\b(?:laurels|process)_\w+")
CASES = ROOT / "tests" / "data" / "alerts.yaml"
ACCESS = '[public]\nscopes = ["metrics", "read", "submit"]\n'

needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool")


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a service that measures all that one with the embedded store can."""
    directory = tmp_path_factory.mktemp("embedded")
    (directory / "access.toml").write_text(ACCESS)
    files = [
        f"--access={directory}/access.toml",
        f"--audit-log={directory}/audit.log",
        f"--archive={directory}/archive",
    ]
    with running(directory / "data", *files) as server:
        assert ask(server, "POST", "/kart/v", {"score": 1}).status == 202
        yield server


@pytest.fixture
def on_redis(tmp_path: Path, redis_server: Node) -> Iterator[Server]:
    """Start a service of two workers over Redis."""
    with running(tmp_path, "--store", redis_server.url, "--workers", "2") as server:
        assert ask(server, "POST", "/kart/v", {"score": 1}).status == 202
        yield server


@pytest.fixture
def on_momento(tmp_path: Path, momento: Momento) -> Iterator[Server]:
    """Start a service over Momento."""
    store = f"momento:{momento.new_cache()}"
    command = [sys.executable, "-m", "laurels", "serve", "--port", "0", "--data", str(tmp_path), "--store", store]
    with started(command, os.environ | {"MOMENTO_ENDPOINT": f"http://{momento.host}:{momento.port}"}) as server:
        yield server


def read_metrics(server: Server) -> dict[str, str]:
    """Return the type of each metric, by the names of its samples."""
    text = ask(server, "GET", "/-/metrics").body.decode()
    families = parse_openmetrics(text)  # type: ignore[no-untyped-call]
    return {sample.name: family.type for family in families for sample in family.samples}


def test_figures_are_exported(embedded: Server, on_redis: Server, on_momento: Server) -> None:
    """What alerts and panels read is served, and so is each figure that has a meaning: by one store or another."""
    exported = read_metrics(embedded) | read_metrics(on_redis) | read_metrics(on_momento)
    read = {name for words in (*SHOWN, *(alert["expr"] for alert in ALERTS)) for name in FIGURE.findall(words)}
    assert read - exported.keys() == set()
    assert len(read) > 60
    ends = {"gauge": "", "counter": "_total", "histogram": "_bucket"}
    meant = {f"laurels_{name}{ends[meaning.kind]}": meaning.kind for name, meaning in FIGURES.items()}
    assert meant.items() <= exported.items()


@needs_promtool
def test_metrics_are_as_prometheus_wants_them(embedded: Server, on_redis: Server, on_momento: Server) -> None:
    """Names, types and help are what its conventions ask for, from one process and from several."""
    for server in (embedded, on_redis, on_momento):
        text = ask(server, "GET", "/-/metrics", headers={"accept": "text/plain"}).body.decode()
        command = ["promtool", "check", "metrics"]
        checked = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_each_alert_has_a_case() -> None:
    """For each alert it is tested what makes it fire."""
    cases = yaml.safe_load(CASES.read_text())["tests"]
    tested = [(case["alert_rule_test"][0]["alertname"], case["alert_rule_test"][0]["exp_alerts"]) for case in cases]
    fired = {(name, alert["exp_labels"].get("limit")) for name, alerts in tested for alert in alerts}
    assert {(alert["alert"], alert["labels"].get("limit")) for alert in ALERTS} == fired


@needs_promtool
def test_alerts_fire() -> None:
    """Each alert fires on figures that call for it, with its words, and not before."""
    run(["promtool", "check", "rules", "--lint-fatal", str(ROOT / "examples" / "alerts.yaml")], ROOT, environment())
    run(["promtool", "test", "rules", str(CASES)], ROOT, environment())


@needs_promtool
def test_panels_can_be_asked_for(tmp_path: Path) -> None:
    """What the dashboard asks Prometheus for is well-formed."""
    asked = [words.replace("$__rate_interval", "1m") for words in SHOWN]
    rules = [{"record": f"panel:{place}", "expr": words} for place, words in enumerate(asked)]
    (tmp_path / "panels.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    run(["promtool", "check", "rules", str(tmp_path / "panels.yaml")], tmp_path, environment())
