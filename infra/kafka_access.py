"""What a role may do with Kafka: statements on this cluster's own topics and groups.

cluster ARN, topics ─► IAM statements, none with a wildcard
"""

from collections.abc import Iterable

from aws_cdk import Fn, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from marketdata.topics import Topic


class KafkaAccess:
    """Statements for one cluster; `scope` gives partition, region and account."""

    def __init__(self, scope: Construct, cluster_arn: str) -> None:
        self._stack = Stack.of(scope)
        self._cluster_arn = cluster_arn
        # arn:…:cluster/NAME/UUID; topics and groups repeat NAME/UUID.
        self._path = Fn.select(1, Fn.split(":cluster/", cluster_arn))

    def find_brokers(self) -> iam.PolicyStatement:
        """Leave to ask MSK for the brokers' addresses."""
        return _allow(["kafka:GetBootstrapBrokers"], [self._cluster_arn])

    def produce(self, topics: Iterable[Topic]) -> list[iam.PolicyStatement]:
        """Leave to write to these topics, idempotently."""
        return [
            _allow(
                ["kafka-cluster:Connect", "kafka-cluster:WriteDataIdempotently"],
                [self._cluster_arn],
            ),
            _allow(
                ["kafka-cluster:DescribeTopic", "kafka-cluster:WriteData"],
                self._topic_arns(topics),
            ),
        ]

    def consume(self, topics: Iterable[Topic], group: str = "") -> list[iam.PolicyStatement]:
        """Leave to read these topics, and to keep offsets in `group` when one is named."""
        statements = [
            _allow(["kafka-cluster:Connect"], [self._cluster_arn]),
            _allow(
                ["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"],
                self._topic_arns(topics),
            ),
        ]
        if group:
            statements.append(
                _allow(
                    ["kafka-cluster:AlterGroup", "kafka-cluster:DescribeGroup"],
                    [self._arn("group", group)],
                )
            )
        return statements

    def replay(self, topics: Iterable[Topic], group: str) -> list[iam.PolicyStatement]:
        """Leave to read these topics by hand; the client still asks who coordinates `group`."""
        return [
            *self.consume(topics),
            _allow(["kafka-cluster:DescribeGroup"], [self._arn("group", group)]),
        ]

    def describe(self, topics: Iterable[Topic]) -> list[iam.PolicyStatement]:
        """Leave to ask what these topics are, and to read nothing of them."""
        return [
            _allow(["kafka-cluster:Connect"], [self._cluster_arn]),
            _allow(["kafka-cluster:DescribeTopic"], self._topic_arns(topics)),
        ]

    def event_source(self, topic: Topic, group: str) -> list[iam.PolicyStatement]:
        """Leave for Lambda's pollers to read `topic` as `group` with a function's role."""
        return [
            *self.consume([topic], group),
            _allow(
                [
                    "kafka:DescribeClusterV2",
                    "kafka:GetBootstrapBrokers",
                    "kafka-cluster:DescribeClusterDynamicConfiguration",
                ],
                [self._cluster_arn],
            ),
        ]

    def _topic_arns(self, topics: Iterable[Topic]) -> list[str]:
        return [self._arn("topic", topic.name) for topic in topics]

    def _arn(self, kind: str, name: str) -> str:
        return self._stack.format_arn(
            service="kafka", resource=kind, resource_name=f"{self._path}/{name}"
        )


def _allow(actions: list[str], resources: list[str]) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=actions, resources=resources)
