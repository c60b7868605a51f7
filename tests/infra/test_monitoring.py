"""Alarms, where they go, and the dashboard."""

from __future__ import annotations

import inspect
import json
from fnmatch import fnmatch
from typing import TYPE_CHECKING

import pytest

from infra.monitoring import KEY_TROUBLES
from laurels.errors import KeyRefused
from laurels.serverless import key

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
"""The metric of each, what is made of it, what that may not exceed, and for how many times five minutes."""


@pytest.mark.parametrize("name", ALARMS)
def test_alarms(dev: Synthesized, name: str) -> None:
    """Each alarm has its metric and what that may not exceed; silence is none, and without a target nothing is told."""
    alarm = dev.one("CloudWatch::Alarm", AlarmName=f"laurels-dev-{name}")
    statistic = alarm.get("ExtendedStatistic") or alarm["Statistic"]
    assert (alarm["MetricName"], statistic, alarm["Threshold"], alarm["EvaluationPeriods"]) == ALARMS[name]
    assert (alarm["ComparisonOperator"], alarm["Period"]) == ("GreaterThanThreshold", 300)
    assert (alarm["TreatMissingData"], alarm.get("AlarmActions")) == ("notBreaching", None)


def test_no_other_alarms(dev: Synthesized, everything: Synthesized) -> None:
    """What was opted into is watched too."""
    assert len(dev.of("CloudWatch::Alarm")) == len(ALARMS)
    assert len(everything.of("CloudWatch::Alarm")) == len(ALARMS) + 4


def test_alarms_go_to_both(everything: Synthesized) -> None:
    """Alarms go to the topic that was given, and to the one that was made for the address."""
    for alarm in everything.of("CloudWatch::Alarm"):
        given, made = alarm["AlarmActions"]
        assert (given, "Ref" in made) == ("arn:aws:sns:eu-west-1:123456789012:pager", True)
    assert everything.one("SNS::Subscription")["Endpoint"] == "ops@game.example"


def test_cloudwatch_may_publish(everything: Synthesized) -> None:
    """The topic lets in this account's alarms, and nobody without TLS."""
    (deny, allow) = everything.one("SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert allow["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allow["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


@pytest.mark.parametrize("pattern", KEY_TROUBLES)
def test_troubles_are_told_in_these_words(pattern: str) -> None:
    """The log has the words that the filter looks for."""
    told = [str(KeyRefused("")), *(line.strip().partition('"')[2] for line in inspect.getsource(key).splitlines())]
    assert [text for text in told if fnmatch(text, f"{pattern.removesuffix('*')}*")]


def test_troubles_are_counted(dev: Synthesized) -> None:
    """Each function's log is looked through; all count into the alarm's one metric."""
    filters = dev.of("Logs::MetricFilter")
    counted = {json.dumps(found["MetricTransformations"]) for found in filters}
    assert (len(filters), len(counted)) == (3, 1)
    assert all(pattern in filters[0]["FilterPattern"] for pattern in KEY_TROUBLES)


def test_dashboard(dev: Synthesized) -> None:
    """There are six graphs on one dashboard."""
    body = json.dumps(dev.one("CloudWatch::Dashboard")["DashboardBody"])
    assert body.count("timeSeries") == 6
