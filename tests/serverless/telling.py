"""What reads the telemetry of functions: metrics as CloudWatch does, and subsegments as X-Ray's daemon does."""

from __future__ import annotations

import json
import re
import socket
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from jsonschema import Draft202012Validator

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

SCHEMA = Draft202012Validator(json.loads((Path(__file__).parent.parent / "data" / "emf.schema.json").read_text()))

Counted = dict[tuple[str, tuple[tuple[str, str], ...]], list[float]]


def count(lines: Iterable[dict[str, Any]]) -> Counted:
    """Return the values of each metric by its name and its dimensions; refuse lines that CloudWatch would not take."""
    found: Counted = defaultdict(list)
    for line in lines:
        SCHEMA.validate(line)
        for directive in line["_aws"]["CloudWatchMetrics"]:
            assert directive["Namespace"] == "Laurels"
            for names in directive["Dimensions"]:
                of = tuple((name, line[name]) for name in sorted(names))
                assert all(isinstance(value, str) and 1 <= len(value) <= 1024 for _, value in of)
                for metric in directive["Metrics"]:
                    values = line[metric["Name"]]
                    assert 1 <= len(values) <= 100
                    found[metric["Name"], of] += values
    return dict(found)


class Daemon:
    """A socket in place of X-Ray's daemon."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    @property
    def address(self) -> str:
        """Where it is, as Lambda tells a function."""
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def received(self) -> list[dict[str, Any]]:
        """Return the subsegments that have come since the last time, in their order."""
        found: list[dict[str, Any]] = []
        while True:
            try:
                header, _, document = self._socket.recv(65536).partition(b"\n")
            except BlockingIOError:
                return found
            assert json.loads(header) == {"format": "json", "version": 1}
            found.append(_check(json.loads(document)))


def _check(document: dict[str, Any]) -> dict[str, Any]:
    """Return a subsegment that is as its documentation has it."""
    assert re.fullmatch(r"[\w\s.:/%&#=+\\@-]{1,200}", document["name"])
    assert re.fullmatch("[0-9a-f]{16}", document["id"])
    assert re.fullmatch("1-[0-9a-f]{8}-[0-9a-f]{24}", document["trace_id"])
    assert document["type"] == "subsegment"
    assert document["start_time"] <= document["end_time"]
    assert all(re.fullmatch(r"\w{1,500}", name) for name in document["annotations"])
    assert document.keys() - {"error", "fault", "throttle", "namespace"} == {
        "name", "id", "trace_id", "parent_id", "type", "start_time", "end_time", "annotations"
    }  # fmt: skip
    return document
