"""Push: Lambda reads the topic `ticks` and posts to the subscribed connections.

topic ticks ─► event source (group push) ─► functions.push ─► @connections
"""

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.acknowledgement import acknowledge
from infra.kafka_access import KafkaAccess
from infra.python_function import ONE_CPU_MIB
from infra.realtime_api import RealtimeApi
from marketdata.topics import TICKS

GROUP = "push"
BATCH_SIZE = 1000
POLLER_GROUP = "tapedeck"
STALE_AFTER_S = 60
"""The shortest age that Lambda can be told; older prices are worth nothing to a client."""


class Push(Construct):
    """The function and its event source (rules 30, 31).

    On demand, the window is Lambda's own half second and a failed batch is tried for ever:
    the function never fails for a record. Provisioned, the window is 0, a batch that fails is
    halved and given up after a minute.

    Attributes:
        function: The function, outside the VPC; the pollers are inside.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        api: RealtimeApi,
        cluster_arn: str,
        provisioned: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        built = api.add_function("push", memory_mib=ONE_CPU_MIB, timeout=Duration.seconds(60))
        self.function = built.function
        for statement in KafkaAccess(self, cluster_arn).event_source(TICKS, GROUP):
            built.role.add_to_policy(statement)
        _allow_network_interfaces(built.role)
        source = self._event_source(cluster_arn, provisioned=provisioned)
        source.node.add_dependency(built.role)

    def _event_source(
        self, cluster_arn: str, *, provisioned: bool
    ) -> lambda_.CfnEventSourceMapping:
        kafka = lambda_.CfnEventSourceMapping.AmazonManagedKafkaEventSourceConfigProperty(
            consumer_group_id=GROUP
        )
        source = lambda_.CfnEventSourceMapping(
            self,
            "EventSource",
            function_name=self.function.function_arn,
            event_source_arn=cluster_arn,
            amazon_managed_kafka_event_source_config=kafka,
            topics=[TICKS.name],
            starting_position="LATEST",
            batch_size=BATCH_SIZE,
        )
        if provisioned:
            source.maximum_batching_window_in_seconds = 0
            source.bisect_batch_on_function_error = True
            source.maximum_record_age_in_seconds = STALE_AFTER_S
            source.provisioned_poller_config = (
                lambda_.CfnEventSourceMapping.ProvisionedPollerConfigProperty(
                    minimum_pollers=1,
                    maximum_pollers=TICKS.partitions,
                    poller_group_name=POLLER_GROUP,
                )
            )
        return source


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
