"""Alarms, the topics that they are sent to, and one dashboard."""

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

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aws_cdk import aws_apigateway as apigateway

    from infra.functions import Function
    from infra.settings import Settings

UNTOLD = "UntoldSubmits"
"""What a function calls the submits that it could not tell of."""
PERIOD = Duration.minutes(5)
ERROR_RATE = 0.01
LATENCY_MS = 1000
GB = 10**9
FULL = 0.8
"""The share of its limit at which a cache is worth a look."""
KEY_TROUBLES = (
    "*the old key serves on*",
    "*the old access file serves on*",
    "The key cannot be read*",
    "The access file cannot be read*",
    "The Momento key is refused*",
)
"""Patterns of the log's lines about a key that is refused, and about a parameter that cannot be read."""


class Monitoring(Construct):
    """Alarms on errors, latency, throttling and keys; a dashboard of the same."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        stage: apigateway.Stage,
        routes: Sequence[Function],
        others: Sequence[Function],
        settings: Settings,
        cache_name: str | None = None,
    ) -> None:
        super().__init__(scope, id_)
        self._settings = settings
        self._topics = self._make_topics()
        self._stage = stage
        self._alarm("5xx", _rate(stage.metric_server_error), ERROR_RATE, "More than 1 % of requests fail.", periods=2)
        self._alarm("latency", _p99(stage.metric_latency), LATENCY_MS, "One request in 100 takes over 1 s.", periods=3)
        for function in (*routes, *others):
            self._add_alarms(function)
        self._alarm(
            "key", self._key_troubles(routes), 0, "A key is refused, or key or access file cannot be read: see the log."
        )
        if settings.live:
            self._alarm("live", self._untold(routes[0]), 0, "Submits count and are not told: see the log.", periods=3)
        dashboard = self._add_dashboard(routes)
        if cache_name is not None:
            self._watch_cache(cache_name, dashboard)

    def _untold(self, submit: Function) -> cloudwatch.Metric:
        """Return how many submits counted that those who listen were not told of."""
        dimensions = {"service": "laurels", "stage": self._settings.stage_name}
        return cloudwatch.Metric(
            namespace="Laurels",
            metric_name=UNTOLD,
            dimensions_map={**dimensions, "function_name": submit.function.function_name},
            statistic="Sum",
            period=PERIOD,
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

    def _add_alarms(self, function: Function) -> None:
        name = function.node.id
        made = function.function
        self._alarm(f"{name}-errors", _sum(made.metric_errors), 0, f"{name} raised, ran out of time or of memory.")
        self._alarm(f"{name}-throttles", _sum(made.metric_throttles), 0, f"{name} has no concurrency left.")

    def _key_troubles(self, functions: Sequence[Function]) -> cloudwatch.Metric:
        pattern = logs.FilterPattern.any(
            *(logs.FilterPattern.string_value("$.message", "=", text) for text in KEY_TROUBLES)
        )
        for function in functions:
            logs.MetricFilter(
                self,
                f"{function.node.id}KeyTroubles",
                filter_name=f"{self._settings.name}-{function.node.id}-key-troubles",
                log_group=function.log_group,
                filter_pattern=pattern,
                metric_namespace="Laurels",
                metric_name=f"{self._settings.name}-key-troubles",
            )
        return cloudwatch.Metric(
            namespace="Laurels", metric_name=f"{self._settings.name}-key-troubles", statistic="Sum", period=PERIOD
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
        dashboard.add_widgets(
            _graph("Requests", [_sum(stage.metric_count)]),
            _graph("Latency", latencies),
            _graph("Refused and failed", failures),
        )
        dashboard.add_widgets(
            _graph("Functions: milliseconds, p99", [_p99(route.function.metric_duration) for route in routes]),
            _graph("Functions: errors", [_sum(route.function.metric_errors) for route in routes]),
            _graph("Functions: throttles", [_sum(route.function.metric_throttles) for route in routes]),
        )
        return dashboard


def _graph(title: str, metrics: Sequence[cloudwatch.IMetric]) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=8)


def _sum(metric: Callable[..., cloudwatch.Metric]) -> cloudwatch.Metric:
    return metric(statistic="Sum", period=PERIOD)


def _rate(metric: Callable[..., cloudwatch.Metric]) -> cloudwatch.Metric:
    return metric(statistic="Average", period=PERIOD)


def _p99(metric: Callable[..., cloudwatch.Metric]) -> cloudwatch.Metric:
    return metric(statistic="p99", period=PERIOD)
