"""What functions tell of themselves: metrics that CloudWatch can read, and subsegments that X-Ray can."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import httpx
import pytest

from laurels.errors import AnswerLost, KeyRefused, LimitReached, NotKept, NotOnBoard, StoreError, SumUncertain
from laurels.serverless import metrics
from laurels.serverless.metrics import METRICS, Observation, format_lines, reason_of
from laurels.serverless.segments import DAEMON_VARIABLE, TRACE_VARIABLE, subsegment
from laurels.serverless.segments import Daemon as DaemonOfFunction
from tests.serverless.conftest import PARAMETER, executing
from tests.serverless.recorded import RECORDED
from tests.serverless.telling import Daemon, count

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.momento import Momento
    from tests.serverless.conftest import Execution

REASON = (
    "An error occurred (ParameterNotFound) when calling the GetParameter operation: Parameter "
    f"{PARAMETER}-of-nobody not found."
)
ROOT, PARENT = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"
TRACE = f"Root={ROOT};Parent={PARENT};Sampled=1;Lineage=1:a87bd80c:0"
SUBMIT, STANDING, REFUSED = (RECORDED[name].event for name in ("rest-submit", "rest-standing", "rest-submit-refused"))


@pytest.fixture
def account(momento: Momento) -> Iterator[httpx.Client]:
    """Yield the account API; the faults that are set there end with the test."""
    connections = momento.connections
    with httpx.Client(base_url=connections.account_url, headers={"authorization": connections.api_key}) as account:
        yield account
        account.put("/-/faults", json={"faults": []}).raise_for_status()


@pytest.fixture
def execution(settings: dict[str, str], tmp_path: Path) -> Iterator[Execution]:
    """Yield a warm execution environment."""
    with executing(settings, tmp_path / "log") as execution:
        yield execution


def of(**dimensions: str) -> tuple[tuple[str, str], ...]:
    """Return dimensions, those of the stage with them."""
    return tuple(sorted({"stage": "dev", **dimensions}.items()))


@pytest.mark.slow
def test_metrics(execution: Execution) -> None:
    """Requests are counted by operation and status, cold starts by operation, the store's calls timed by what they are.

    A request is one line, and no name of a metric has anything in it that is a dimension.
    """
    execution.invoke("submit_score", SUBMIT)
    execution.invoke("submit_score", REFUSED)
    execution.invoke("get_standing", STANDING)
    assert len(execution.metrics) == 3
    counted = count(execution.metrics)
    assert counted["Answers", of(operation="submit_score", status="202")] == [1]
    assert counted["Answers", of(operation="submit_score", status="422")] == [1]
    assert counted["ColdStarts", of(operation="submit_score")] == [1]
    assert len(counted["AnswerMilliseconds", of(operation="submit_score")]) == 2
    (taken,) = counted["StoreMilliseconds", of(store="momento", call="standing")]
    assert 0 < taken <= counted["AnswerMilliseconds", of(operation="get_standing")][0]
    assert len(counted["StoreMilliseconds", of(store="momento")]) == 2
    known = {metric.name: metric.dimensions for metric in METRICS}
    assert {name for name, _ in counted} <= known.keys()
    assert all(tuple(key for key, _ in found) in map(tuple, map(sorted, known[name])) for name, found in counted)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "status", "reason", "marks"),
    [
        ("SortedSetGetScore:RESOURCE_EXHAUSTED:9", 429, "limit", {"error": True, "throttle": True}),
        ("SortedSetGetRank:UNAVAILABLE:99", 503, "unanswered", {"fault": True}),
    ],
    ids=["limit", "outage"],
)
def test_a_store_that_fails(
    settings: dict[str, str],
    account: httpx.Client,
    tmp_path: Path,
    fault: str,
    status: int,
    reason: str,
    marks: dict[str, bool],
) -> None:
    """Its errors are counted by their reason, and both the request and the call are marked in the trace."""
    with Daemon() as daemon:
        variables = {DAEMON_VARIABLE: daemon.address, TRACE_VARIABLE: TRACE}
        with executing(settings | variables, tmp_path / "log") as execution:
            execution.invoke("submit_score", SUBMIT)
            account.put("/-/faults", json={"faults": [fault]}).raise_for_status()
            daemon.received()
            assert execution.invoke("get_standing", STANDING)["statusCode"] == status
        counted = count(execution.metrics)
        call, request = daemon.received()
    assert counted["StoreErrors", of(store="momento", reason=reason)] == [1]
    assert counted["StoreErrors", of(store="momento")] == [1]
    assert counted["Answers", of(operation="get_standing", status=str(status))] == [1]
    for part in (call, request):
        assert {name: part.get(name) for name in marks} == marks
    assert request["annotations"]["status"] == status


@pytest.mark.slow
def test_subsegments(settings: dict[str, str], tmp_path: Path) -> None:
    """A traced request is a part of the trace, with the store's calls in it, and reads of parameters where they are."""
    with Daemon() as daemon:
        variables = {DAEMON_VARIABLE: daemon.address, TRACE_VARIABLE: TRACE}
        unread = {"LAURELS_KEY_PARAMETER": f"{PARAMETER}-of-nobody"}
        with executing(settings | variables | unread, tmp_path / "log") as execution:
            execution.invoke("get_standing", STANDING)
        read, call, request = daemon.received()
    assert {part["trace_id"] for part in (read, call, request)} == {ROOT}
    assert (request["name"], request["parent_id"]) == ("get_standing", PARENT)
    assert request["annotations"] == {"stage": "dev", "cold_start": True, "status": 503}
    assert (call["name"], call["parent_id"], call["namespace"]) == ("Momento", request["id"], "remote")
    assert call["annotations"] == {"call": "standing"}
    assert (read["name"], read["parent_id"], read["namespace"]) == ("SSM", call["id"], "aws")
    assert read["annotations"] == {"call": "GetParameter", "parameter": f"{PARAMETER}-of-nobody"}
    assert read["fault"]
    (trouble, *_) = execution.lines(f"The key cannot be read from the parameter {PARAMETER}-of-nobody: {REASON}")
    assert trouble["stage"] == "dev"


@pytest.mark.slow
def test_traceparent(execution: Execution) -> None:
    """The trace that a request is part of is on its lines, and on no others; one of a wrong form is ignored."""
    trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    for header in (f"00-{trace}-{span}-01", f"00-{trace}-{span}", None):
        headers = {"multiValueHeaders": {"traceparent": [header]} if header else {}}
        assert execution.invoke("get_standing", STANDING | headers)["statusCode"] == 200
    named = [(line.get("trace_id"), line.get("span_id")) for line in execution.lines("Answered")]
    assert named == [(trace, span), (None, None), (None, None)]
    assert [line["trace_id"] for line in execution.lines("Asked") if "trace_id" in line] == [trace]


@pytest.mark.parametrize(
    "variables",
    [{TRACE_VARIABLE: TRACE}, {TRACE_VARIABLE: TRACE.replace("Sampled=1", "Sampled=0")}, {TRACE_VARIABLE: "?"}, {}],
    ids=["no daemon", "not kept", "no trace", "nothing"],
)
def test_not_traced(variables: dict[str, str]) -> None:
    """Without a daemon, or a trace that is kept, nothing is sent."""
    with Daemon() as daemon:
        has_daemon = variables != {TRACE_VARIABLE: TRACE}
        of_function = DaemonOfFunction({DAEMON_VARIABLE: daemon.address} if has_daemon else {})
        with of_function.tracing(variables.get(TRACE_VARIABLE)), subsegment("a", call="b") as part:
            part.mark_status(503)
        assert daemon.received() == []


def test_daemon_elsewhere() -> None:
    """An address for each protocol is understood; a daemon that is gone, or does not listen, changes nothing."""
    with Daemon() as daemon:
        of_function = DaemonOfFunction({DAEMON_VARIABLE: f"tcp:127.0.0.1:9 udp:{daemon.address}"})
        for _ in range(2):
            with of_function.tracing(TRACE), subsegment("a"):
                pass
        assert len(daemon.received()) == 2
        gone = daemon.address
    for address in (gone, "127.0.0.1:0"):
        of_function = DaemonOfFunction({DAEMON_VARIABLE: address})
        for _ in range(2):
            with of_function.tracing(TRACE), subsegment("a"):
                pass


@pytest.mark.parametrize(
    ("status", "marks"),
    [(202, {}), (404, {"error": True}), (429, {"error": True, "throttle": True}), (500, {"fault": True})],
)
def test_marks_of_a_status(status: int, marks: dict[str, bool]) -> None:
    """A status is marked by X-Ray's names."""
    with subsegment("a") as part:
        part.mark_status(status)
    assert (part.annotations["status"], part.marks) == (status, marks)


@pytest.mark.parametrize(
    ("error", "marks"),
    [
        (NotOnBoard("around", "v"), {"error": True}),
        (NotKept("keep windows"), {"error": True}),
        (AnswerLost("It did not answer"), {"fault": True}),
        (asyncio.CancelledError(), {"fault": True}),
    ],
    ids=["client", "feature", "store", "cancelled"],
)
def test_marks_of_an_error(error: BaseException, marks: dict[str, bool]) -> None:
    """What the caller did wrong is an error, all else a fault; and the error goes on."""
    with Daemon() as daemon:
        of_function = DaemonOfFunction({DAEMON_VARIABLE: daemon.address})
        with of_function.tracing(TRACE), pytest.raises(type(error)), subsegment("a"):
            raise error
        (part,) = daemon.received()
    assert {name: part[name] for name in part.keys() & {"error", "fault", "throttle"}} == marks


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (LimitReached("Momento: too much"), "limit"),
        (KeyRefused("it is wrong"), "key"),
        (SumUncertain("It did not answer"), "unanswered"),
        (StoreError("Something else"), metrics.FAULT),
        (NotKept("keep windows"), None),
        (NotOnBoard("around", "v"), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_reasons(error: Exception, reason: str | None) -> None:
    """A class without a reason of its own has that of the one above it; what a client did wrong has none."""
    assert reason_of(error) == reason


def test_lines() -> None:
    """What disagrees on a dimension is on lines of its own; the values of one metric are together."""
    made = [
        Observation(metrics.STORE_TIME, taken, {"stage": "dev", "store": "valkey", "call": call})
        for call, taken in (("page", 1.5), ("count", 0.5), ("page", 2.5))
    ]
    lines = [json.loads(line) for line in format_lines(made, 1_700_000_000_000)]
    assert len(lines) == 2
    counted = count(lines)
    assert counted["StoreMilliseconds", of(store="valkey", call="page")] == [1.5, 2.5]
    assert counted["StoreMilliseconds", of(store="valkey", call="count")] == [0.5]
    assert sorted(counted["StoreMilliseconds", of(store="valkey")]) == [0.5, 1.5, 2.5]
