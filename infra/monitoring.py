"""Alarms, the topics that they are sent to, and one dashboard.

Functions write their metrics into their logs (:mod:`laurels.serverless.metrics`). What the gateway refuses never
reaches one, so its own log is counted by status. A rate is of so many requests at least: of three a night, one that is
refused is no third of anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Aws, Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from laurels.serverless.metrics import (
    ANSWER_TIME,
    ANSWERS,
    COLD_STARTS,
    LIMIT,
    NAMESPACE,
    STORE_ERRORS,
    STORE_TIME,
    UNTOLD_SUBMITS,
    Metric,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aws_cdk import aws_apigateway as apigateway

    from infra.functions import Function
    from infra.settings import Settings

REFUSALS = Metric("Refusals", "Count", (("stage", "status"),))
"""Answers of 4xx, by the gateway or a function, from the gateway's log."""
KEY_TROUBLES = Metric("KeyTroubles", "Count", (("stage",),))
"""Lines of the functions' logs about keys and parameters."""
PERIOD = Duration.minutes(5)
STORE_FAILED_PERCENT = 1
TIME_USED = 0.8
"""The share of its time at which a function is close to being ended."""
GB = 10**9
FULL = 0.8
"""The share of its limit at which a cache is worth a look."""
TROUBLES = (
    "*the old key serves on*",
    "*the old access file serves on*",
    "The key cannot be read*",
    "The access file cannot be read*",
    "The Momento key is refused*",
)
"""Patterns of the log's lines about a key that is refused, and about a parameter that cannot be read."""


class Monitoring(Construct):
    """Alarms on errors, refusals, latency, throttling, the store and keys; a dashboard of the same."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        stage: apigateway.Stage,
        access_log: logs.ILogGroup,
        routes: Sequence[Function],
        others: Sequence[Function],
        settings: Settings,
        cache_name: str | None = None,
    ) -> None:
        super().__init__(scope, id_)
        self._settings = settings
        self._topics = self._make_topics()
        self._stage = stage
        self._alarms: list[cloudwatch.Alarm] = []
        self._count_log_lines(routes, access_log)
        self._watch_answers()
        for function in (*routes, *others):
            self._watch_function(function)
        self._watch_store()
        self._alarm(
            "key", self._of(KEY_TROUBLES), 0, "A key is refused, or key or access file cannot be read: see the log."
        )
        if settings.live:
            self._alarm("live", self._of(UNTOLD_SUBMITS), 0, "Submits count and are not told: see the log.", periods=3)
        dashboard = self._add_dashboard(routes)
        if cache_name is not None:
            self._watch_cache(cache_name, dashboard)
        dashboard.add_widgets(cloudwatch.AlarmStatusWidget(title="Alarms", alarms=self._alarms, width=24))

    def _of(self, metric: Metric, statistic: str = "Sum", **of: str) -> cloudwatch.Metric:
        """Return a metric of this stage's, which is kept under these dimensions."""
        dimensions = {"stage": self._settings.stage_name, **of}
        assert tuple(dimensions) in metric.dimensions  # noqa: S101 - or there would be no such metric
        return cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name=metric.name,
            dimensions_map=dimensions,
            statistic=statistic,
            period=PERIOD,
        )

    def _search(self, metric: Metric, *dimensions: str, statistic: str = "Sum") -> cloudwatch.MathExpression:
        """Return a metric of this stage's by what else it is kept under, each value that occurs as a line."""
        kept = ("stage", *dimensions)
        assert kept in metric.dimensions  # noqa: S101 - or nothing would be found
        found = f'{{{NAMESPACE},{",".join(kept)}}} MetricName="{metric.name}" stage="{self._settings.stage_name}"'
        return cloudwatch.MathExpression(
            expression=f"SEARCH('{found}', '{statistic}', {PERIOD.to_seconds():.0f})", label="", period=PERIOD
        )

    def _percentage(self, part: cloudwatch.IMetric, whole: cloudwatch.IMetric) -> cloudwatch.MathExpression:
        """Return how many percent a part is of a whole that is large enough to say so."""
        return cloudwatch.MathExpression(
            expression=f"IF(whole >= {self._settings.alarm_min_requests}, 100 * FILL(part, 0) / whole, 0)",
            using_metrics={"part": part, "whole": whole},
            label="%",
            period=PERIOD,
        )

    def _watch_answers(self) -> None:
        stage, settings = self._stage, self._settings
        failed, refused = settings.alarm_failed_percent, settings.alarm_refused_percent
        throttled, latency = settings.alarm_throttled_percent, settings.alarm_latency_ms
        requests = _sum(stage.metric_count)
        self._alarm(
            "5xx", _rate(stage.metric_server_error), failed / 100, f"Over {failed:g} % of requests fail.", periods=2
        )
        self._alarm(
            "4xx",
            self._percentage(_sum(stage.metric_client_error), requests),
            refused,
            f"Over {refused:g} % of requests are refused: a client does something wrong, or somebody tries keys.",
            periods=3,
        )
        self._alarm(
            "429",
            self._percentage(self._of(REFUSALS, status="429"), requests),
            throttled,
            f"Over {throttled:g} % of requests are over a limit: of the gateway, of a key, or of the store.",
            periods=2,
        )
        self._alarm(
            "latency", _p99(stage.metric_latency), latency, f"One request in 100 takes over {latency} ms.", periods=3
        )

    def _watch_store(self) -> None:
        store = self._settings.store
        self._alarm(
            "store",
            self._percentage(self._of(STORE_ERRORS, store=store), self._of(STORE_TIME, "SampleCount", store=store)),
            STORE_FAILED_PERCENT,
            f"Over {STORE_FAILED_PERCENT} % of the store's calls fail: the dashboard has the reasons.",
            periods=2,
        )
        self._alarm(
            "store-limit",
            self._of(STORE_ERRORS, store=store, reason=LIMIT),
            0,
            "The store's account is over a limit: requests are answered with 429.",
        )

    def _watch_function(self, function: Function) -> None:
        name = function.node.id
        made = function.function
        self._alarm(f"{name}-errors", _sum(made.metric_errors), 0, f"{name} raised, ran out of time or of memory.")
        self._alarm(f"{name}-throttles", _sum(made.metric_throttles), 0, f"{name} has no concurrency left.")
        self._alarm(
            f"{name}-duration",
            made.metric_duration(statistic="Maximum", period=PERIOD),
            function.seconds * 1000 * TIME_USED,
            f"{name} took over {TIME_USED:.0%} of its {function.seconds} s, after which it is ended.",
        )

    def _watch_cache(self, cache: str, dashboard: cloudwatch.Dashboard) -> None:
        def of(name: str, statistic: str = "Sum") -> cloudwatch.Metric:
            return cloudwatch.Metric(
                namespace="AWS/ElastiCache",
                metric_name=name,
                dimensions_map={"clusterId": cache},
                statistic=statistic,
                period=PERIOD,
            )

        self._alarm("cache-throttled", of("ThrottledCmds"), 0, "The cache refuses commands: it is over cacheUnits.")
        self._alarm("cache-evictions", of("Evictions"), 0, "The cache is full: what has a ttl is gone before its time.")
        self._alarm("cache-login", of("AuthenticationFailures"), 0, "The cache refuses somebody's user or password.")
        if limit := self._settings.cache_gigabytes:
            self._alarm(
                "cache-bytes",
                of("BytesUsedForCache", "Maximum"),
                limit * GB * FULL,
                f"The cache holds more than {FULL:.0%} of cacheGigabytes.",
            )
        dashboard.add_widgets(
            _graph("Cache: bytes", [of("BytesUsedForCache", "Maximum")]),
            _graph("Cache: ECPUs", [of("ElastiCacheProcessingUnits")]),
            _graph("Cache: throttled and evicted", [of("ThrottledCmds"), of("Evictions")]),
        )
        dashboard.add_widgets(
            _graph(
                "Cache: microseconds",
                [of(f"Successful{kind}RequestLatency", "p99") for kind in ("Read", "Write")],
            ),
            _graph("Cache: connections", [of("CurrConnections", "Maximum"), of("NewConnections")]),
        )

    def _count_log_lines(self, functions: Sequence[Function], access_log: logs.ILogGroup) -> None:
        troubles = logs.FilterPattern.any(
            *(logs.FilterPattern.string_value("$.message", "=", text) for text in TROUBLES)
        )
        for function in functions:
            self._count(f"{function.node.id}KeyTroubles", function.log_group, troubles, KEY_TROUBLES)
        refused = logs.FilterPattern.string_value("$.status", "=", "4*")
        self._count("Refusals", access_log, refused, REFUSALS)

    def _count(self, name: str, log: logs.ILogGroup, pattern: logs.IFilterPattern, metric: Metric) -> None:
        """Count the lines of a log that match a pattern; fields of theirs are the metric's dimensions."""
        (dimensions,) = metric.dimensions
        logs.MetricFilter(
            self,
            name,
            filter_name=f"{self._settings.name}-{name}",
            log_group=log,
            filter_pattern=pattern,
            metric_namespace=NAMESPACE,
            metric_name=metric.name,
            dimensions={dimension: f"$.{dimension}" for dimension in dimensions},
        )

    def _alarm(
        self, name: str, metric: cloudwatch.IMetric, threshold: float, description: str, *, periods: int = 1
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_name=f"{self._settings.name}-{name}",
            alarm_description=description,
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(*(actions.SnsAction(topic) for topic in self._topics))
        self._alarms.append(alarm)

    def _make_topics(self) -> list[sns.ITopic]:
        topics = []
        if arn := self._settings.alarm_topic_arn:
            topics.append(sns.Topic.from_topic_arn(self, "GivenTopic", arn))
        if address := self._settings.alarm_email:
            topics.append(self._make_topic(address))
        return topics

    def _make_topic(self, address: str) -> sns.Topic:
        """Make a topic that CloudWatch may publish to. With enforce_ssl it has a policy, which must allow that."""
        topic = sns.Topic(self, "Topic", topic_name=f"{self._settings.name}-alarms", enforce_ssl=True)
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["sns:Publish"],
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )
        topic.add_subscription(subscriptions.EmailSubscription(address))
        return topic

    def _add_dashboard(self, routes: Sequence[Function]) -> cloudwatch.Dashboard:
        stage = self._stage
        latencies = [stage.metric_latency(statistic=statistic, period=PERIOD) for statistic in ("p50", "p99")]
        failures = [_sum(stage.metric_client_error), _sum(stage.metric_server_error)]
        dashboard = cloudwatch.Dashboard(
            self, "Dashboard", dashboard_name=self._settings.name, default_interval=Duration.hours(3)
        )
        rows: Sequence[Mapping[str, Sequence[cloudwatch.IMetric]]] = (
            {
                "Requests": [_sum(stage.metric_count)],
                "Latency": latencies,
                "Refused and failed": failures,
            },
            {
                "Answers, by operation and status": [self._search(ANSWERS, "operation", "status")],
                "Answers: milliseconds, p99": [self._search(ANSWER_TIME, "operation", statistic="p99")],
                "Refused, by status, the gateway's too": [self._search(REFUSALS, "status")],
            },
            {
                "Store: milliseconds, p50": [self._search(STORE_TIME, "store", "call", statistic="p50")],
                "Store: milliseconds, p99": [self._search(STORE_TIME, "store", "call", statistic="p99")],
                "Store: errors, by reason": [self._search(STORE_ERRORS, "store", "reason")],
            },
            {
                "Functions: milliseconds, p99": [_p99(route.function.metric_duration) for route in routes],
                "Functions: cold starts": [self._search(COLD_STARTS, "operation")],
                "Functions: errors and throttles": [
                    _sum(metric)
                    for route in routes
                    for metric in (route.function.metric_errors, route.function.metric_throttles)
                ],
            },
        )
        for row in rows:
            dashboard.add_widgets(*(_graph(title, metrics) for title, metrics in row.items()))
        return dashboard


def _graph(title: str, metrics: Sequence[cloudwatch.IMetric]) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=8)


def _sum(metric: Callable[..., cloudwatch.Metric]) -> cloudwatch.Metric:
    return metric(statistic="Sum", period=PERIOD)


def _rate(metric: Callable[..., cloudwatch.Metric]) -> cloudwatch.Metric:
    return metric(statistic="Average", period=PERIOD)


def _p99(metric: Callable[..., cloudwatch.Metric]) -> cloudwatch.Metric:
    return metric(statistic="p99", period=PERIOD)
