"""A function's telemetry: a line of JSON for each request, and metrics in CloudWatch's embedded format.

Everything is on the logger ``laurels`` and those below it. No key, body or header is logged; names of players only at
DEBUG, which is for stages other than ``prod``. Foreign loggers log warnings and above only: at DEBUG botocore logs the
answers of SSM, and with them the key.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from aws_lambda_powertools.logging.logger import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from laurels.http import Request

PRODUCTION = "prod"
TOKEN_PARAMETER = "access_token"  # noqa: S105 - its name
FOREIGN = ("asyncio", "boto3", "botocore", "grpc", "momento", "urllib3")
LEVEL_VARIABLE = "POWERTOOLS_LOG_LEVEL"


class Telemetry:
    """The log and the metrics of one function."""

    def __init__(self, stage: str) -> None:
        for name in FOREIGN:
            logging.getLogger(name).setLevel(logging.WARNING)
        level = os.environ.get(LEVEL_VARIABLE) or ("INFO" if stage == PRODUCTION else "DEBUG")
        self.log = Logger(service="laurels", level=level)
        self._metrics = Metrics(namespace="Laurels", service="laurels")
        self._stage = stage
        self._cold = True

    def begin(self, context: LambdaContext) -> None:
        """Put the request's id and the function's name on every line that follows."""
        self.log.append_keys(function_request_id=context.aws_request_id, function_name=context.function_name)
        if self._cold:
            self._metrics.set_default_dimensions(stage=self._stage, function_name=context.function_name)

    def count(self, metric: str) -> None:
        """Add one to a metric, which is sent with the request's own."""
        self._metrics.add_metric(metric, MetricUnit.Count, 1)

    def record(self, request: Request | None, status: int, milliseconds: float) -> None:
        """Log and measure one answer. Nearly all of its time is the store's."""
        facts: dict[str, Any] = {"status": status, "milliseconds": round(milliseconds, 2), "cold_start": self._cold}
        if request is not None:
            facts |= {"method": request.method, "board": request.path.lstrip(b"/").partition(b"/")[0].decode()}
            self.log.debug("Asked", extra={"path": request.path.decode(), "query": _hide_token(request.query.decode())})
        self.log.info("Answered", extra=facts)
        self._measure(status, milliseconds)
        self._cold = False

    def _measure(self, status: int, milliseconds: float) -> None:
        metrics = self._metrics
        metrics.add_metric("Answers", MetricUnit.Count, 1)
        metrics.add_metric(f"Status{status}", MetricUnit.Count, 1)
        metrics.add_metric("StoreMilliseconds", MetricUnit.Milliseconds, milliseconds)
        if self._cold:
            metrics.add_metric("ColdStart", MetricUnit.Count, 1)
        metrics.flush_metrics()


def _hide_token(query: str) -> str:
    """Return a query as the log has it: not at all if a token is in it, wherever that is."""
    return "(has a token)" if TOKEN_PARAMETER in unquote(query) else query
