"""A function's telemetry: a line of JSON for each request, metrics as lines too, and subsegments if it is traced.

Everything is on the logger ``laurels`` and those below it. No key, body or header is logged; names of players only at
DEBUG, which is for stages other than ``prod``. Foreign loggers log warnings and above only: at DEBUG botocore logs the
answers of SSM, and with them the key.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from aws_lambda_powertools.logging.logger import Logger

from laurels.serverless.metrics import (
    ANSWER_TIME,
    ANSWERS,
    COLD_STARTS,
    STORE_ERRORS,
    STORE_TIME,
    UNTOLD_SUBMITS,
    Observation,
    format_lines,
    reason_of,
)
from laurels.serverless.segments import TRACE_VARIABLE, Daemon, subsegment
from laurels.serverless.store_calls import observe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from laurels.http import Request
    from laurels.serverless.metrics import Metric
    from laurels.serverless.segments import Part
    from laurels.stores.contract import Store
    from laurels.tracing import Trace

PRODUCTION = "prod"
TOKEN_PARAMETER = "access_token"  # noqa: S105 - its name
FOREIGN = ("asyncio", "boto3", "botocore", "grpc", "momento", "urllib3")
LEVEL_VARIABLE = "POWERTOOLS_LOG_LEVEL"
OF_TRACE = ("trace_id", "span_id")
"""What log lines name a caller's trace by; X-Ray's own is ``xray_trace_id``."""
STORES = {"momento": "Momento", "valkey": "Valkey"}
"""The stores by their names in metrics, and what they are called in traces."""


class Telemetry:
    """The log, the metrics and the traces of one function."""

    def __init__(self, stage: str) -> None:
        for name in FOREIGN:
            logging.getLogger(name).setLevel(logging.WARNING)
        level = os.environ.get(LEVEL_VARIABLE) or ("INFO" if stage == PRODUCTION else "DEBUG")
        self.log = Logger(service="laurels", level=level, stage=stage)
        self._daemon = Daemon(os.environ)
        self._stage = stage
        self._observed: list[Observation] | None = None
        """What is to be told of the invocation under way, if there is one."""
        self._cold = True

    def observe(self, store: Store, name: str) -> None:
        """Measure and trace the calls of a store, which has this name in metrics."""

        def record(call: str, milliseconds: float, error: Exception | None) -> None:
            self._add(STORE_TIME, milliseconds, store=name, call=call)
            if error is not None and (reason := reason_of(error)):
                self._add(STORE_ERRORS, 1, store=name, reason=reason)

        observe(store, STORES[name], record)

    @contextmanager
    def invocation(self, context: LambdaContext, operation: str) -> Iterator[Part]:
        """Put an invocation's id and function on every line inside, and trace it; send its metrics at the end."""
        self.log.append_keys(function_request_id=context.aws_request_id, function_name=context.function_name)
        self.log.remove_keys(OF_TRACE)
        self._observed = []
        with self._daemon.tracing(os.environ.get(TRACE_VARIABLE)), subsegment(operation, stage=self._stage) as part:
            part.annotations["cold_start"] = self._cold
            yield part
        for line in format_lines(self._observed, time.time_ns() // 1_000_000):
            sys.stdout.write(f"{line}\n")
        self._observed = None

    def take_over(self, trace: Trace | None) -> None:
        """Put the trace that a request says it is part of, if it does, on every line that follows of its invocation."""
        if trace is not None:
            self.log.append_keys(trace_id=trace.trace_id, span_id=trace.span_id)

    def count_untold(self) -> None:
        """Count a submit that nobody was told of."""
        self._add(UNTOLD_SUBMITS, 1)

    def record(self, operation: str, request: Request | None, status: int, milliseconds: float) -> None:
        """Log and measure one answer."""
        facts: dict[str, Any] = {"status": status, "milliseconds": round(milliseconds, 2), "cold_start": self._cold}
        if request is not None:
            facts |= {"method": request.method, "board": request.path.lstrip(b"/").partition(b"/")[0].decode()}
            self.log.debug("Asked", extra={"path": request.path.decode(), "query": _hide_token(request.query.decode())})
        self.log.info("Answered", extra=facts)
        self._add(ANSWERS, 1, operation=operation, status=str(status))
        self._add(ANSWER_TIME, milliseconds, operation=operation)
        if self._cold:
            self._add(COLD_STARTS, 1, operation=operation)
        self._cold = False

    def _add(self, metric: Metric, value: float, **of: str) -> None:
        if self._observed is not None:  # what is done before the first invocation is not a request's
            self._observed.append(Observation(metric, value, {"stage": self._stage, **of}))


def _hide_token(query: str) -> str:
    """Return a query as the log has it: not at all if a token is in it, wherever that is."""
    return "(has a token)" if TOKEN_PARAMETER in unquote(query) else query
