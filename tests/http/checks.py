"""What Schemathesis cannot know of the service, and checks besides its own; it loads this file by its path."""

from __future__ import annotations

from typing import Any

import schemathesis

from laurels.http.parameters import HOMES
from laurels.http.reads import READS

TESTER = "tester"
"""The name of the key that asks; it is not revoked."""

IN_VAIN = {"make_run", "release", "reject"}
"""What no case makes succeed by itself: a run is for a player's token, and what is held was submitted before."""

_PERIOD = {"window", "period"}
UNTOLD = {
    "boards": {"after", "prefix"},
    "submit": {"/score", "/operator", "/run", "/submittedAt", "Idempotency-Key"},
    "held": {"cursor"},
    "submit_many": {"Idempotency-Key"},
    "standing": _PERIOD | {"include"},
    "read": _PERIOD
    | {"startRank", "endRank", "include", "cursor", "around", "span", "name", "limit"}
    | {"minScore", "maxScore"},
    "set_metadata": _PERIOD,
    "remove": _PERIOD,
    "restore": _PERIOD,
    "drop": _PERIOD,
    "define": {"/time_zone", "/windows", "/keep", "/scores", "/ttl", "/guard", "/title", "/display"},
    "summary": _PERIOD | {"percentiles"},  # of which no schema says how many digits they may have
    "rank": _PERIOD,
    "hidden": _PERIOD | {"after"},
    "give_token": {"name", "/boards", "/seconds"},
}
"""What, of each operation, may be refused although it fits the schema: parameters, and fields by their pointers."""


_ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC")
_WINDOWS = ("daily", "weekly", "monthly", "0 17 * * FRI", "*/7 * * * *")


def operation_of(case: Any) -> str:
    """Give the name of the operation that a case is of."""
    name: str = case.operation.definition.raw["operationId"]
    return name


@schemathesis.hook
def map_case(_: Any, case: Any) -> Any:
    """Make most of the data that fits the schema data that is good, so that it gets further than the first rule."""
    if operation_of(case) == "revoke" and case.path_parameters.get("key") == TESTER:
        case.path_parameters["key"] = "another"
    if case.meta and case.meta.generation.mode.is_positive:
        if operation_of(case) == "read" and case.query:
            asked = {HOMES[key] for key in case.query if key in HOMES}
            kinds = [read for read in READS if read.inputs.subject in asked] or READS[:1]
            known = {parameter.name for parameter in kinds[-1].inputs.parameters}
            case.query = {key: value for key, value in case.query.items() if key in known}
        if operation_of(case) == "define" and isinstance(case.body, dict):
            if len(str(case.body)) % 2:
                case.headers.pop("If-Match", None)
            case.body = case.body | {
                "time_zone": _ZONES[len(str(case.body)) % len(_ZONES)],
                "partitions": 1,
                "windows": _WINDOWS[: len(case.body.get("windows", ()))],
            }
            kept = zip(case.body["windows"], case.body.get("keep", {}).values(), strict=False)
            case.body["keep"] = dict(kept)
    return case


@schemathesis.check
def refusals_say_why(_: Any, response: Any, case: Any) -> None:
    """Hold an error to saying what was wrong, and one for good data to what the schema cannot tell."""
    if response.status_code < 400:
        return
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["detail"].endswith((".", "?"))
    if case.meta and case.meta.generation.mode.is_positive and response.status_code in {400, 422}:
        blamed = problem.get("parameter") or "/" + problem["pointer"].split("/")[1]
        assert blamed in UNTOLD.get(operation_of(case), ())


@schemathesis.check
def batches_count_their_entries(_: Any, response: Any, case: Any) -> None:
    """Count the entries of a batch: each is accepted or refused."""
    if operation_of(case) == "submit_many" and response.status_code == 200:
        receipt = response.json()
        assert receipt["accepted"] + len(receipt["refused"]) == len(case.body["entries"])


@schemathesis.check
class EveryOperationSucceeds:
    """Each operation gives a good answer at least once, or nothing was tried that could find a fault."""

    def __init__(self) -> None:
        self.tried: set[str] = set()
        self.good: set[str] = set()

    def after_response(self, _: Any, response: Any, case: Any) -> None:
        """Note an answer, but not to another method: each path is asked with OPTIONS, too, which always succeeds."""
        operation = operation_of(case)
        if operation in IN_VAIN or response.request.method != case.operation.method.upper():
            return
        self.tried.add(operation)
        if response.status_code < 300:
            self.good.add(operation)

    def after_run(self, _: Any) -> None:
        """Look at them all."""
        assert self.good >= self.tried, self.tried - self.good
