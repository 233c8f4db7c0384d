"""The metrics that alarms and dashboard look at; all but one come with the services for free.

names of cluster, services, functions ─► CloudWatch metrics
"""

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_apigatewayv2 as gateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.broker import CLUSTER_NAME
from marketdata.topics import ORDERBOOK, PRICES

MINUTE = Duration.minutes(1)
_TOPIC_OF_GROUP = {"archive": ORDERBOOK.name, "derive": PRICES.name}


class Metrics:
    """Metrics of one deployment, each a value a minute."""

    def __init__(
        self,
        *,
        services: Mapping[str, ecs.FargateService],
        push: lambda_.Function,
        history: lambda_.Function,
        authorizer_log: logs.LogGroup,
        web_socket: gateway.WebSocketApi,
    ) -> None:
        self._services = services
        self._push = push
        self._history = history
        self._authorizer_log = authorizer_log
        self._web_socket = web_socket
        self.worker_stages = tuple(services)

    def running_tasks(self, stage: str) -> cloudwatch.Metric:
        """Tasks that run: each sends one CPU sample a minute."""
        service = self._services[stage]
        return service.metric_cpu_utilization(
            statistic=cloudwatch.Stats.SAMPLE_COUNT, period=MINUTE
        )

    def worker_load(self) -> list[cloudwatch.IMetric]:
        """CPU and memory of every service, in percent of what it has."""
        loads: list[cloudwatch.IMetric] = []
        for stage, service in self._services.items():
            loads.append(service.metric_cpu_utilization(period=MINUTE, label=f"{stage} CPU"))
            loads.append(
                service.metric_memory_utilization(period=MINUTE, label=f"{stage} memory")
            )
        return loads

    def push_errors(self) -> cloudwatch.Metric:
        """Invocations of push that failed."""
        return self._push.metric_errors(period=MINUTE)

    def history_errors(self) -> cloudwatch.Metric:
        """Invocations of history that failed."""
        return self._history.metric_errors(period=MINUTE)

    def push_throttles(self) -> cloudwatch.Metric:
        """Invocations of push that the account's concurrency did not allow."""
        return self._push.metric_throttles(period=MINUTE)

    def push_duration(self) -> cloudwatch.Metric:
        """What the slowest hundredth of batches takes."""
        return self._push.metric_duration(period=MINUTE, statistic="p99")

    def push_lag(self) -> cloudwatch.Metric:
        """Records of `ticks` that push has not yet had; on demand and provisioned alike."""
        return self._push.metric("OffsetLag", period=MINUTE, statistic="Maximum")

    def push_health(self) -> list[cloudwatch.IMetric]:
        """What the push graph shows."""
        return [self.push_errors(), self.push_throttles(), self.push_lag()]

    def authorizer_failures(self, scope: Construct) -> cloudwatch.Metric:
        """Keys that the authorizer failed to judge.

        Lambda's own count of errors has every wrong key in it, because a refusal is a raised
        `Unauthorized`; so the log is asked for the others.
        """
        counted = logs.MetricFilter(
            scope,
            "AuthorizerFailures",
            log_group=self._authorizer_log,
            metric_namespace="Tapedeck",
            metric_name="AuthorizerFailures",
            filter_pattern=logs.FilterPattern.literal('"[ERROR]" -"Exception: Unauthorized"'),
        )
        return counted.metric(statistic="Sum", period=MINUTE)

    def clients(self) -> list[cloudwatch.IMetric]:
        """New connections and messages of the WebSocket API."""
        return [self._api("ConnectCount"), self._api("MessageCount"), self._api("ClientError")]

    def time_lag(self, group: str) -> cloudwatch.Metric:
        """Seconds between a consumer group and the end of its busiest topic, as MSK guesses."""
        return cloudwatch.Metric(
            namespace="AWS/Kafka",
            metric_name="EstimatedMaxTimeLag",
            dimensions_map={
                "Cluster Name": CLUSTER_NAME,
                "Consumer Group": group,
                "Topic": _TOPIC_OF_GROUP[group],
            },
            statistic="Maximum",
            period=MINUTE,
        )

    def broker_disk(self, broker: int) -> cloudwatch.Metric:
        """Percent of a broker's disk that is used."""
        return cloudwatch.Metric(
            namespace="AWS/Kafka",
            metric_name="KafkaDataLogsDiskUsed",
            dimensions_map={"Cluster Name": CLUSTER_NAME, "Broker ID": str(broker)},
            statistic="Maximum",
            period=MINUTE,
        )

    def _api(self, name: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/ApiGateway",
            metric_name=name,
            dimensions_map={"ApiId": self._web_socket.api_id},
            statistic="Sum",
            period=MINUTE,
            label=name,
        )
