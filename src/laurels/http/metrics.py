"""``/-/metrics``: what the service counts, in OpenMetrics, the text format of Prometheus.

Counting is cheap and done elsewhere (:class:`~laurels.adapters.request_counts.RequestCounts`); prometheus-client only
writes the counts out, when they are asked for.
"""

from __future__ import annotations

import platform
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition
from prometheus_client.registry import Collector

from laurels.figures import Histogram
from laurels.http.figures import FIGURES
from laurels.http.messages import Response
from laurels.http.operation import Answer, Operation
from laurels.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from laurels.figures import Figure, Figures
    from laurels.http.gate import Context

OPENMETRICS, TEXT = b"application/openmetrics-text", b"text/plain"
TYPES = {
    OPENMETRICS: exposition.CONTENT_TYPE_LATEST.encode(),
    TEXT: b"text/plain; version=0.0.4; charset=utf-8",
}
LABELS = ("method", "route")
Counted: TypeAlias = tuple[str, str, dict[int, int], list[int], float]
"""Of one method and one route: how many answers of each status, how many no slower than each bound, and all seconds."""


class Counts(Protocol):
    """What was counted of requests."""

    @property
    def bounds(self) -> Sequence[float]:
        """The bounds of the buckets, in seconds; the last bucket has none."""

    def read(self) -> Sequence[Counted]:
        """Return what was counted so far."""

    def read_refusals(self) -> Mapping[str, int]:
        """Return how many requests were refused, by the reason."""


class RequestCollector(Collector):
    """The requests that were answered, refused ones too; those that came to no route have an empty one."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._bounds = [*map(str, counts.bounds), "+Inf"]

    def collect(self) -> Iterator[Metric]:
        """Return the metrics as they are now."""
        requests = CounterMetricFamily("laurels_requests", "Answered requests.", labels=(*LABELS, "status"))
        seconds = HistogramMetricFamily(
            "laurels_request_duration_seconds", "From the head of a request to its answer.", labels=LABELS
        )
        for *labels, statuses, buckets, total in self._counts.read():
            for status, count in statuses.items():
                requests.add_metric((*labels, str(status)), count)
            seconds.add_metric(labels, list(zip(self._bounds, buckets, strict=True)), total)
        yield requests
        yield seconds
        refusals = CounterMetricFamily("laurels_refusals", "Requests that were refused, or failed.", labels=("reason",))
        for reason, count in self._counts.read_refusals().items():
            refusals.add_metric((reason,), count)
        yield refusals


class InfoCollector(Collector):
    """What runs, and since when."""

    def __init__(self, store: str, started: float) -> None:
        """``store`` is the scheme of its URL."""
        self._values = {"version": __version__, "store": store, "python": platform.python_version()}
        self._started = started

    def collect(self) -> Iterator[Metric]:
        """Return the metrics."""
        yield InfoMetricFamily("laurels", "What runs.", self._values)
        about = "When the service was started, in seconds since 1970."
        yield GaugeMetricFamily("laurels_start_time_seconds", about, value=self._started)


class FiguresCollector(Collector):
    """What the parts of a process measure of themselves."""

    def __init__(self, measure: Callable[[], Figures]) -> None:
        self._measure = measure

    def collect(self) -> Iterator[Metric]:
        """Return the figures as they are now."""
        for name, figure in self._measure().items():
            metric = _begin_metric(name)
            _add_samples(metric, figure, FIGURES[name].labels, {})
            yield metric


def _begin_metric(name: str) -> Metric:
    return Metric(f"laurels_{name}", FIGURES[name].about, FIGURES[name].kind)


def _add_samples(metric: Metric, figure: Figure, names: Sequence[str], labels: dict[str, str]) -> None:
    """Add the samples of a figure, which has a number for each value of the labels of these names."""
    if isinstance(figure, Histogram):
        bounds = [*map(str, figure.bounds), "+Inf"]
        for bound, count in zip(bounds, figure.counts, strict=True):
            metric.add_sample(f"{metric.name}_bucket", {**labels, "le": bound}, count)
        metric.add_sample(f"{metric.name}_count", labels, figure.counts[-1])
        metric.add_sample(f"{metric.name}_sum", labels, figure.total)
    elif names:
        for value, below in cast("Mapping[str, Figure]", figure).items():
            _add_samples(metric, below, names[1:], {**labels, names[0]: value})
    else:
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        metric.add_sample(name, labels, cast("float", figure))


class WorkersCollector(Collector):
    """How many workers there are; and of each, by its number, its process and what its parts measure of themselves."""

    def __init__(self, read: Callable[[], Mapping[int, tuple[int, Figures]]]) -> None:
        """``read`` returns the process and the figures of each worker that runs, by its number from 0 on."""
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Return the figures as the workers last told them."""
        workers = self._read()
        yield GaugeMetricFamily("laurels_workers", "Workers that run.", value=len(workers))
        families: dict[str, Metric] = {}
        for number, (process, figures) in workers.items():
            of_process = ProcessCollector(pid=partial(str, process), registry=None)
            for metric in (*of_process.collect(), *FiguresCollector(partial(dict, figures)).collect()):
                family = families.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                for sample in metric.samples:
                    family.add_sample(sample.name, {"worker": str(number + 1), **sample.labels}, sample.value)
        yield from families.values()


def metrics_operation(*collectors: Collector) -> Operation:
    """Return the operation that answers with what the collectors have."""
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)

    async def show_metrics(_: Context, kind: bytes) -> Response:
        write = exposition.generate_latest if kind == OPENMETRICS else generate_latest
        return Response(200, write(registry), TYPES[kind], ((b"vary", b"accept"),))

    return Operation(
        name="metrics",
        method="GET",
        path="/-/metrics",
        tag="Service",
        title="Read the metrics",
        about="Returns what the service counts, in OpenMetrics, or in Prometheus's older text format if `Accept` "
        "prefers `text/plain`.",
        answers=(Answer(200, "The metrics.", kinds=tuple(TYPES.values())),),
        handler=show_metrics,
        scope="metrics",
        concerns="no board",
        produces=tuple(TYPES),
    )
