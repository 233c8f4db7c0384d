"""What Lambda reads from Kafka: push reads what goes to clients, history the candles.

topic ─► event source (a group each) ─► functions.push, functions.history
"""

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.acknowledgement import acknowledge
from infra.kafka_access import KafkaAccess
from infra.python_function import ONE_CPU_MIB, PythonFunction
from infra.realtime_api import RealtimeApi
from marketdata.topics import CANDLES, DEPTH, EVENTS, PRICES, TICKS, Topic

PUSHED: Mapping[str, Topic] = {
    "push": TICKS,
    "push-prices": PRICES,
    "push-candles": CANDLES,
    "push-depth": DEPTH,
    "push-events": EVENTS,
}
"""The groups of push and what each reads; `prices` only where clients may have every trade."""
HISTORY = "history"
BATCH_SIZE = 1000
POLLER_GROUP = "tapedeck"
STALE_AFTER_S = 60
"""The shortest age that Lambda can be told; older prices are worth nothing to a client."""
LASTING = frozenset({EVENTS.name, CANDLES.name})
"""Topics of which nothing is too old to be told: a failed batch is tried until it works."""


class KafkaSources(Construct):
    """Both functions and their event sources (rules 30, 31).

    On demand, the window is Lambda's own half second and a failed batch is tried for ever:
    the functions never fail for a record. Provisioned, the window is 0; a batch of prices that
    fails is halved and given up after a minute, one of events or candles never is.

    Attributes:
        push: The function that posts to clients, outside the VPC; the pollers are inside.
        history: The function that keeps candles.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        api: RealtimeApi,
        cluster_arn: str,
        provisioned: bool,
        rate_all: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        self._cluster_arn = cluster_arn
        self._provisioned = provisioned
        pushed = {
            group: topic for group, topic in PUSHED.items() if topic != PRICES or rate_all
        }
        push = api.add_function("push", memory_mib=ONE_CPU_MIB, timeout=Duration.seconds(60))
        history = api.add_function("history", timeout=Duration.seconds(60))
        for group, topic in pushed.items():
            self._source(push, group, topic, starting_position="LATEST")
        self._source(history, HISTORY, CANDLES, starting_position="TRIM_HORIZON")
        for built in (push, history):
            _allow_network_interfaces(built.role)
        self.push, self.history = push.function, history.function

    def _source(
        self, built: PythonFunction, group: str, topic: Topic, *, starting_position: str
    ) -> None:
        for statement in KafkaAccess(self, self._cluster_arn).event_source(topic, group):
            built.role.add_to_policy(statement)
        name = "".join(word.capitalize() for word in group.split("-"))
        source = lambda_.CfnEventSourceMapping(
            self,
            f"{name}Source",
            function_name=built.function.function_arn,
            event_source_arn=self._cluster_arn,
            amazon_managed_kafka_event_source_config=(
                lambda_.CfnEventSourceMapping.AmazonManagedKafkaEventSourceConfigProperty(
                    consumer_group_id=group
                )
            ),
            topics=[topic.name],
            starting_position=starting_position,
            batch_size=BATCH_SIZE,
        )
        source.node.add_dependency(built.role)
        if self._provisioned:
            self._provision(source, topic)

    def _provision(self, source: lambda_.CfnEventSourceMapping, topic: Topic) -> None:
        source.maximum_batching_window_in_seconds = 0
        if topic.name not in LASTING:
            source.bisect_batch_on_function_error = True
            source.maximum_record_age_in_seconds = STALE_AFTER_S
        source.provisioned_poller_config = (
            lambda_.CfnEventSourceMapping.ProvisionedPollerConfigProperty(
                minimum_pollers=1,
                maximum_pollers=topic.partitions,
                poller_group_name=POLLER_GROUP,
            )
        )


def _allow_network_interfaces(role: iam.Role) -> None:
    """Lambda's pollers stand in the brokers' subnets, on interfaces made with this role."""
    role.add_to_policy(
        iam.PolicyStatement(
            sid="PollerInterfaces",
            actions=[
                "ec2:CreateNetworkInterface",
                "ec2:DeleteNetworkInterface",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
            ],
            resources=["*"],
        )
    )
    acknowledge(
        role,
        "IAM5[Resource::*]",
        "The Describe actions take no narrower resource, and Lambda checks that an event "
        "source's role has all six on any resource.",
    )
