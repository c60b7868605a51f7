"""Alarms, their topics, and the dashboard."""

from __future__ import annotations

import inspect
import json
import re
from fnmatch import fnmatch
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from infra.monitoring import KEY_TROUBLES, REFUSALS, TROUBLES
from infra.runtimes import ROOT
from laurels.errors import KeyRefused
from laurels.serverless import parameters
from laurels.serverless.metrics import FAULT, METRICS, REASONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infra.conftest import Properties, Synthesized

pytestmark = pytest.mark.slow

DEPLOYING = (ROOT / "docs" / "deploying.md").read_text()
FUNCTIONS = ("SubmitScore", "GetStanding", "GetLeaderboard")
ALARMS = {
    "5xx": ("5XXError", "Average", 0.01, 2),
    "latency": ("Latency", "p99", 1000, 3),
    "key": ("KeyTroubles", "Sum", 0, 1),
    "store-limit": ("StoreErrors", "Sum", 0, 1),
    **{f"{name}-errors": ("Errors", "Sum", 0, 1) for name in FUNCTIONS},
    **{f"{name}-throttles": ("Throttles", "Sum", 0, 1) for name in FUNCTIONS},
    **{f"{name}-duration": ("Duration", "Maximum", 8000, 1) for name in FUNCTIONS},
}
"""The metric of each, its statistic, its threshold, and its number of periods of five minutes."""
RATES = {
    "4xx": (("4XXError", "Sum"), ("Count", "Sum"), 20, 3),
    "429": (("Refusals", "Sum"), ("Count", "Sum"), 5, 2),
    "store": (("StoreErrors", "Sum"), ("StoreMilliseconds", "SampleCount"), 1, 2),
}
"""What is a part of what, in percent, and the rest as above."""
TOLD = {metric.name: metric.dimensions for metric in (*METRICS, REFUSALS, KEY_TROUBLES)}
"""The metrics of ours, and what each is kept under."""


@pytest.mark.parametrize("name", ALARMS)
def test_alarms(dev: Synthesized, name: str) -> None:
    """Each alarm has its metric and threshold; missing data is no alarm, and without a topic there is no action."""
    alarm = dev.one("CloudWatch::Alarm", AlarmName=f"laurels-dev-{name}")
    statistic = alarm.get("ExtendedStatistic") or alarm["Statistic"]
    assert (alarm["MetricName"], statistic, alarm["Threshold"], alarm["EvaluationPeriods"]) == ALARMS[name]
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert alarm["Period"] == 300
    assert alarm["TreatMissingData"] == "notBreaching"
    assert "AlarmActions" not in alarm


def read_rate(alarm: Properties) -> tuple[str, dict[str, tuple[str, str]]]:
    """Return what an alarm computes, and of which metrics and statistics of theirs."""
    (computed,) = (each["Expression"] for each in alarm["Metrics"] if each["ReturnData"])
    parts = {each["Id"]: each["MetricStat"] for each in alarm["Metrics"] if "MetricStat" in each}
    return computed, {name: (stat["Metric"]["MetricName"], stat["Stat"]) for name, stat in parts.items()}


@pytest.mark.parametrize("name", RATES)
def test_rates(dev: Synthesized, name: str) -> None:
    """A rate is of 100 requests in five minutes at least, and none if nothing of the kind has happened."""
    alarm = dev.one("CloudWatch::Alarm", AlarmName=f"laurels-dev-{name}")
    part, whole, threshold, periods = RATES[name]
    computed, metrics = read_rate(alarm)
    assert computed == "IF(whole >= 100, 100 * FILL(part, 0) / whole, 0)"
    assert metrics == {"part": part, "whole": whole}
    assert (alarm["Threshold"], alarm["EvaluationPeriods"]) == (threshold, periods)
    assert (alarm["ComparisonOperator"], alarm["TreatMissingData"]) == ("GreaterThanThreshold", "notBreaching")


def test_thresholds_are_settings(everything: Synthesized) -> None:
    """A deployment chooses its own."""
    thresholds = {alarm["AlarmName"]: alarm["Threshold"] for alarm in everything.of("CloudWatch::Alarm")}
    chosen = [thresholds[f"laurels-full-{name}"] for name in ("5xx", "4xx", "429", "latency")]
    assert chosen == [0.005, 50, 2.5, 300]
    assert read_rate(everything.one("CloudWatch::Alarm", AlarmName="laurels-full-429"))[0].startswith("IF(whole >= 10,")


def test_no_other_alarms(dev: Synthesized, everything: Synthesized) -> None:
    """The optional functions have three alarms each, with a time of their own, and there are no others."""
    assert len(dev.of("CloudWatch::Alarm")) == len(ALARMS) + len(RATES)
    assert len(everything.of("CloudWatch::Alarm")) == len(ALARMS) + len(RATES) + 6
    rotation = everything.one("CloudWatch::Alarm", AlarmName="laurels-full-KeyRotation-duration")
    assert rotation["Threshold"] == 0.8 * 120_000


@pytest.mark.parametrize("stage", ["dev", "valkey"])
def test_alarms_are_on_what_functions_send(synthesized: Callable[[str], Synthesized], stage: str) -> None:
    """An alarm on a metric of ours is on dimensions that it is kept under, with the stage's own values."""
    found = synthesized(stage)
    stats = [
        each["MetricStat"]["Metric"]
        for alarm in found.of("CloudWatch::Alarm")
        for each in alarm.get("Metrics", ())
        if "MetricStat" in each
    ]
    ours = [metric for metric in (*stats, *found.of("CloudWatch::Alarm")) if metric.get("Namespace") == "Laurels"]
    assert {metric["MetricName"] for metric in ours} == {"Refusals", "StoreErrors", "StoreMilliseconds", "KeyTroubles"}
    for metric in ours:
        of = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
        assert of.keys() in [set(names) for names in TOLD[metric["MetricName"]]]
        assert of["stage"] == found.settings.stage_name
        assert of.get("store") in {None, found.settings.store}


def test_alarms_go_to_both(everything: Synthesized) -> None:
    """Alarms go to the given topic, and to the one that is made for the e-mail address."""
    for alarm in everything.of("CloudWatch::Alarm"):
        given, made = alarm["AlarmActions"]
        assert given == "arn:aws:sns:eu-west-1:123456789012:pager"
        assert "Ref" in made
    assert everything.one("SNS::Subscription")["Endpoint"] == "ops@game.example"


def test_cloudwatch_may_publish(everything: Synthesized) -> None:
    """The topic allows this account's alarms, and nothing without TLS."""
    (deny, allow) = everything.one("SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    assert deny["Effect"] == "Deny"
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert allow["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allow["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


@pytest.mark.parametrize("name", TOLD)
def test_metrics_are_documented(name: str) -> None:
    """Each metric has a row in the docs, with its dimensions, and the reasons if it has any."""
    dimensions, meaning = re.findall(rf"^\| `{name}` \| (.*?) \| (.*) \|$", DEPLOYING, re.MULTILINE)[0]
    assert re.findall(r"`(\w+)`", dimensions) == list(dict.fromkeys(chain.from_iterable(TOLD[name])))
    if "`reason`" in dimensions:
        assert {FAULT, *REASONS.values()} == set(re.findall(r"`(\w+)`", meaning))


def test_alarms_are_documented(dev: Synthesized) -> None:
    """Each alarm is in the table of the docs."""
    table = "".join(re.findall(r"^\| `laurels-STAGE-.*$", DEPLOYING, re.MULTILINE))
    names = {alarm["AlarmName"].removeprefix("laurels-dev-") for alarm in dev.of("CloudWatch::Alarm")}
    ends = {name.rpartition("-")[2] if name.startswith(FUNCTIONS) else name for name in names}
    assert [end for end in ends if f"-{end}`" not in table] == []


@pytest.mark.parametrize("pattern", TROUBLES)
def test_troubles_are_logged_in_these_words(pattern: str) -> None:
    """Each pattern of the filter matches a message of the code."""
    logged = [line.strip().partition('"')[2] for line in inspect.getsource(parameters).splitlines()]
    both = [re.sub("(The|the old) %s", rf"\1 {what}", text) for text in logged for what in ("key", "access file")]
    messages = [str(KeyRefused("")), *both]
    assert [text for text in messages if fnmatch(text, f"{pattern.removesuffix('*')}*")]


def test_log_lines_are_counted(dev: Synthesized) -> None:
    """Each function's log is searched for troubles with keys, and the gateway's for refusals; lines say of which stage.

    The names of the metrics are those of every stage.
    """
    filters = {each["FilterName"].removeprefix("laurels-dev-"): each for each in dev.of("Logs::MetricFilter")}
    assert filters.keys() == {"Refusals", *(f"{name}KeyTroubles" for name in FUNCTIONS)}
    for name, found in filters.items():
        (counted,) = found["MetricTransformations"]
        dimensions = {each["Key"]: each["Value"] for each in counted["Dimensions"]}
        assert (counted["MetricNamespace"], counted["MetricValue"]) == ("Laurels", "1")
        assert tuple(dimensions) in TOLD[counted["MetricName"]]
        assert all(value == f"$.{key}" for key, value in dimensions.items())
        if name != "Refusals":
            assert all(pattern in found["FilterPattern"] for pattern in TROUBLES)
    assert filters["Refusals"]["FilterPattern"] == '{ $.status = "4*" }'
    line = json.loads(dev.one("ApiGateway::Stage")["AccessLogSetting"]["Format"])
    assert (line["stage"], line["status"]) == ("$context.stage", "$context.status")


def test_dashboard(dev: Synthesized) -> None:
    """There are twelve graphs and all alarms on one dashboard; what is searched for is what functions send."""
    body = dev.one("CloudWatch::Dashboard")["DashboardBody"]["Fn::Join"][1]
    widgets = json.loads("".join(part if isinstance(part, str) else "?" for part in body))["widgets"]
    assert [widget["type"] for widget in widgets] == ["metric"] * 12 + ["alarm"]
    assert len(widgets[-1]["properties"]["alarms"]) == len(dev.of("CloudWatch::Alarm"))
    searches = re.findall(r"\{Laurels,([a-z,]+)\} MetricName=\\+\"(\w+)\\+\" stage=\\+\"dev\\+\"", json.dumps(widgets))
    assert {name for _, name in searches} == {"Refusals", *(metric.name for metric in METRICS)} - {"UntoldSubmits"}
    assert all(tuple(of.split(",")) in TOLD[name] for of, name in searches)
