"""Alarms, their topics, and the dashboard."""

from __future__ import annotations

import inspect
import json
import re
from fnmatch import fnmatch
from typing import TYPE_CHECKING

import pytest

from infra.monitoring import KEY_TROUBLES
from laurels.errors import KeyRefused
from laurels.serverless import parameters

if TYPE_CHECKING:
    from tests.infra.conftest import Synthesized

pytestmark = pytest.mark.slow

ALARMS = {
    "5xx": ("5XXError", "Average", 0.01, 2),
    "latency": ("Latency", "p99", 1000, 3),
    "key": ("laurels-dev-key-troubles", "Sum", 0, 1),
    "SubmitScore-errors": ("Errors", "Sum", 0, 1),
    "GetStanding-errors": ("Errors", "Sum", 0, 1),
    "GetLeaderboard-errors": ("Errors", "Sum", 0, 1),
    "SubmitScore-throttles": ("Throttles", "Sum", 0, 1),
    "GetStanding-throttles": ("Throttles", "Sum", 0, 1),
    "GetLeaderboard-throttles": ("Throttles", "Sum", 0, 1),
}
"""The metric of each, its statistic, its threshold, and its number of periods of five minutes."""


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


def test_no_other_alarms(dev: Synthesized, everything: Synthesized) -> None:
    """The optional functions have two alarms each, and there are no others."""
    assert len(dev.of("CloudWatch::Alarm")) == len(ALARMS)
    assert len(everything.of("CloudWatch::Alarm")) == len(ALARMS) + 4


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


@pytest.mark.parametrize("pattern", KEY_TROUBLES)
def test_troubles_are_logged_in_these_words(pattern: str) -> None:
    """Each pattern of the filter matches a message of the code."""
    logged = [line.strip().partition('"')[2] for line in inspect.getsource(parameters).splitlines()]
    both = [re.sub("(The|the old) %s", rf"\1 {what}", text) for text in logged for what in ("key", "access file")]
    messages = [str(KeyRefused("")), *both]
    assert [text for text in messages if fnmatch(text, f"{pattern.removesuffix('*')}*")]


def test_troubles_are_counted(dev: Synthesized) -> None:
    """Each function's log has the filter, and all of them count into the alarm's one metric."""
    filters = dev.of("Logs::MetricFilter")
    metrics = {json.dumps(found["MetricTransformations"]) for found in filters}
    assert len(filters) == 3
    assert len(metrics) == 1
    assert all(pattern in filters[0]["FilterPattern"] for pattern in KEY_TROUBLES)


def test_dashboard(dev: Synthesized) -> None:
    """There are six graphs on one dashboard."""
    body = json.dumps(dev.one("CloudWatch::Dashboard")["DashboardBody"])
    assert body.count("timeSeries") == 6
