"""The metrics of functions, in CloudWatch's embedded format: lines of JSON in the log, which CloudWatch counts.

What a metric is of is in its dimensions, which are few by construction: stages, the three functions, statuses of HTTP,
the methods of a store, and the reasons below. Each combination that occurs is a metric to CloudWatch, and paid for as
one; so none has more dimensions than an alarm or a graph of ``infra/monitoring.py`` asks for.

A line has several metrics, each under its own dimensions, as far as they agree on what these are. (The package that
writes the logs has metrics too; a line of its has one set of metrics for all of its dimensions.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from laurels.errors import (
    AnswerLost,
    CacheMissing,
    KeyRefused,
    LimitReached,
    NotKept,
    ParameterUnreadable,
    StoreError,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

NAMESPACE = "Laurels"


class Metric(NamedTuple):
    """A metric, and the sets of dimensions that it is kept under."""

    name: str
    unit: Literal["Count", "Milliseconds"]
    dimensions: tuple[tuple[str, ...], ...]


ANSWERS = Metric("Answers", "Count", (("stage", "operation", "status"),))
ANSWER_TIME = Metric("AnswerMilliseconds", "Milliseconds", (("stage", "operation"),))
COLD_STARTS = Metric("ColdStarts", "Count", (("stage", "operation"),))
"""Requests that were the first of an environment."""
STORE_TIME = Metric("StoreMilliseconds", "Milliseconds", (("stage", "store"), ("stage", "store", "call")))
STORE_ERRORS = Metric("StoreErrors", "Count", (("stage", "store"), ("stage", "store", "reason")))
UNTOLD_SUBMITS = Metric("UntoldSubmits", "Count", (("stage",),))
"""Those that counted, and that listeners were not told of."""
METRICS = (ANSWERS, ANSWER_TIME, COLD_STARTS, STORE_TIME, STORE_ERRORS, UNTOLD_SUBMITS)

FAULT = "fault"
"""The reason of an error that no store has of its own."""
LIMIT = "limit"
REASONS: Mapping[type[StoreError], str] = {
    LimitReached: LIMIT,
    KeyRefused: "key",
    ParameterUnreadable: "parameter",
    CacheMissing: "cache",
    AnswerLost: "unanswered",
    StoreUnavailable: "unavailable",
    StoreFull: "full",
    StoreRefused: "refused",
}
"""Why a call of a store failed; a class that is not here has the reason of the one above it."""


class Observation(NamedTuple):
    """One value of a metric, and what it is of."""

    metric: Metric
    value: float
    of: Mapping[str, str]


def reason_of(error: Exception) -> str | None:
    """Return why a call of a store failed; None if it did not, but refused what nobody could do."""
    reasons = (REASONS[kind] for kind in type(error).__mro__ if kind in REASONS)
    if isinstance(error, StoreError) and not isinstance(error, NotKept):
        return next(reasons, FAULT)
    return None


def format_lines(observations: Sequence[Observation], milliseconds: int) -> Iterator[str]:
    """Return the lines that tell CloudWatch what was observed at a time, in milliseconds since the epoch."""
    lines: list[_Line] = []
    for observation in observations:
        line = next((line for line in lines if line.fits(observation)), None)
        if line is None:
            line = _Line()
            lines.append(line)
        line.add(observation)
    return (line.format(milliseconds) for line in lines)


class _Line:
    """A line, in which a dimension has one value."""

    def __init__(self) -> None:
        self._of: dict[str, str] = {}
        self._values: dict[Metric, list[float]] = {}

    def fits(self, observation: Observation) -> bool:
        return all(self._of.get(name, value) == value for name, value in observation.of.items())

    def add(self, observation: Observation) -> None:
        self._of.update(observation.of)
        self._values.setdefault(observation.metric, []).append(observation.value)

    def format(self, milliseconds: int) -> str:
        directives = [
            {
                "Namespace": NAMESPACE,
                "Dimensions": metric.dimensions,
                "Metrics": [{"Name": metric.name, "Unit": metric.unit}],
            }
            for metric in self._values
        ]
        line: dict[str, Any] = {"_aws": {"Timestamp": milliseconds, "CloudWatchMetrics": directives}}
        line |= self._of
        line |= {metric.name: values for metric, values in self._values.items()}
        return msgspec.json.encode(line).decode()
