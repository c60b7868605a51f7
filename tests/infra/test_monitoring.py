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

ALARMS = {
    "5xx": ("5XXError", 0.01),
    "latency": ("Latency", 1000),
    "key": ("laurels-dev-key-troubles", 0),
    "SubmitScore-errors": ("Errors", 0),
    "GetStanding-errors": ("Errors", 0),
    "GetLeaderboard-errors": ("Errors", 0),
    "SubmitScore-throttles": ("Throttles", 0),
    "GetStanding-throttles": ("Throttles", 0),
    "GetLeaderboard-throttles": ("Throttles", 0),
}


@pytest.mark.parametrize("name", ALARMS)
def test_alarms(dev: Synthesized, name: str) -> None:
    """Each alarm has its metric and what that may not exceed; silence is none, and without a target nothing is told."""
    alarm = dev.one("CloudWatch::Alarm", AlarmName=f"laurels-dev-{name}")
    assert (alarm["MetricName"], alarm["Threshold"]) == ALARMS[name]
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert (alarm["TreatMissingData"], alarm.get("AlarmActions")) == ("notBreaching", None)


def test_no_other_alarms(dev: Synthesized, everything: Synthesized) -> None:
    """What was opted into is watched too."""
    assert len(dev.of("CloudWatch::Alarm")) == len(ALARMS)
    assert len(everything.of("CloudWatch::Alarm")) == len(ALARMS) + 4


def test_latency_is_the_99th_percentile(dev: Synthesized) -> None:
    """One slow request in 100 is what the alarm hears."""
    assert dev.one("CloudWatch::Alarm", MetricName="Latency")["ExtendedStatistic"] == "p99"


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
