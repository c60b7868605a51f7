"""The rules by which Prometheus gives alarm, and the dashboard for Grafana: over figures that there are."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from laurels.http.metrics import COUNTED, STORE_METRICS
from tests.asking import ask
from tests.newcomer import ROOT, environment, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Server

ALERTS: list[dict[str, Any]] = yaml.safe_load((ROOT / "examples" / "alerts.yaml").read_text())["groups"][0]["rules"]
PANELS: list[dict[str, Any]] = msgspec.json.decode((ROOT / "examples" / "dashboard.json").read_bytes())["panels"]
SHOWN = [str(target["expr"]) for panel in PANELS for target in panel["targets"]]
FIGURE = re.compile(r"\b(?:laurels|process)_\w+")
CASES = ROOT / "tests" / "data" / "alerts.yaml"

needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool")


def test_figures_are_exported(server: Server) -> None:
    """Each figure that an alert or a panel reads is one that services have."""
    ask(server, "GET", "/-/health")
    text = ask(server, "GET", "/-/metrics", headers={"accept": "text/plain"}).body.decode()
    exported = {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}
    exported |= {f"laurels_{name}_total" if name in COUNTED else f"laurels_{name}" for name in STORE_METRICS}
    read = {name for words in (*SHOWN, *(alert["expr"] for alert in ALERTS)) for name in FIGURE.findall(words)}
    assert read - exported == set()
    assert len(read) > 20


def test_each_alert_has_a_case() -> None:
    """For each alert it is tested what makes it fire."""
    cases = yaml.safe_load(CASES.read_text())["tests"]
    assert {alert["alert"] for alert in ALERTS} == {case["alert_rule_test"][0]["alertname"] for case in cases}


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
