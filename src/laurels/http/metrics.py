"""``/-/metrics``: what the service counts, in OpenMetrics, the text format of Prometheus.

Counting is cheap and done elsewhere (:class:`~laurels.adapters.request_counts.RequestCounts`); prometheus-client only
writes the counts out, when they are asked for.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition
from prometheus_client.registry import Collector

from laurels.http.messages import Response
from laurels.http.operation import Answer, Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from laurels.http.gate import Context

OPENMETRICS, TEXT = b"application/openmetrics-text", b"text/plain"
TYPES = {
    OPENMETRICS: exposition.CONTENT_TYPE_LATEST.encode(),
    TEXT: b"text/plain; version=0.0.4; charset=utf-8",
}
LABELS = ("method", "route")
STORE_METRICS = {
    "boards": "Boards that have entries or a definition.",
    "boards_limit": "How many boards there may be (--max-boards).",
    "periods": "Periods of windows that have entries.",
    "periods_limit": "How many periods there may be (--max-periods).",
    "entries": "Entries on all boards and in all periods.",
    "entries_limit": "How many entries there may be (--max-entries).",
    "hidden": "Names that are hidden, on all boards.",
    "hidden_limit": "How many names may be hidden (--max-hidden).",
    "runs": "Used runs that are remembered.",
    "runs_limit": "How many used runs there may be (--max-runs).",
    "keys": "Idempotency keys that are remembered.",
    "keys_limit": "How many idempotency keys there may be (--max-keys).",
    "clock_settled": "1 if the clock has run evenly for an hour, so that what has ended by it is deleted; else 0.",
    "newest_record_ahead_seconds": "By how much the order of submits is ahead of the clock, which was set back.",
    "backlog_bytes": "Bytes of the journal that are not in the snapshot yet, and which a start has to replay.",
    "metadata_lost": "Metadata found damaged or missing on the disk by compactions; the entries are there.",
    "redis_connections": "Connections to servers of Redis.",
    "redis_connections_wanted": "How many there should be: fewer if a server is gone.",
    "redis_waiting": "Calls that wait for an answer of Redis.",
    "redis_waiting_limit": "How many may wait for one server (--redis-waiting).",
    "live_subscribers": "Clients that watch boards live.",
    "live_subscribers_limit": "How many there may be (--max-subscribers).",
    "live_views": "Views of boards that they look at.",
    "live_events": "Events that were made for them; each is sent to all who look at the same.",
    "live_drops": "How often a client read too slowly, and was sent a fresh page later.",
    "compaction_failing": "1 if the last compaction failed, until one succeeds: the journal grows meanwhile.",
}
"""What each figure of a store means, by its name in :meth:`Store.measure`."""


COUNTED = {"live_events", "live_drops"}
"""Those of them that only grow."""

Counted: TypeAlias = tuple[str, str, dict[int, int], list[int], float]
"""Of one method and one route: how many answers of each status, how many no slower than each bound, and all seconds."""


class Counts(Protocol):
    """What was counted of requests."""

    @property
    def bounds(self) -> Sequence[float]:
        """The bounds of the buckets, in seconds; the last bucket has none."""

    def read(self) -> Sequence[Counted]:
        """Return what was counted so far."""


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


class StoreCollector(Collector):
    """What the store measures of itself."""

    def __init__(self, measure: Callable[[], Mapping[str, float]]) -> None:
        self._measure = measure

    def collect(self) -> Iterator[Metric]:
        """Return the figures as they are now."""
        for name, value in self._measure().items():
            family = CounterMetricFamily if name in COUNTED else GaugeMetricFamily
            yield family(f"laurels_{name}", STORE_METRICS[name], value=value)


class WorkersCollector(Collector):
    """How many workers there are; and of each, by its number, its process and what its store measures of itself."""

    def __init__(self, read: Callable[[], Mapping[int, tuple[int, Mapping[str, float]]]]) -> None:
        """``read`` returns the process and the figures of each worker that runs, by its number from 0 on."""
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Return the figures as the workers last told them."""
        workers = self._read()
        yield GaugeMetricFamily("laurels_workers", "Workers that run.", value=len(workers))
        families: dict[str, Metric] = {}
        for number, (process, figures) in workers.items():
            of_process = ProcessCollector(pid=partial(str, process), registry=None)
            for metric in (*of_process.collect(), *StoreCollector(partial(dict, figures)).collect()):
                family = families.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                for sample in metric.samples:
                    family.add_sample(sample.name, {"worker": str(number + 1)}, sample.value)
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
