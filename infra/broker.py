"""Kafka: a provisioned MSK cluster and the topics of `marketdata.topics`.

marketdata.topics ─► AWS::MSK::Topic ─► cluster
"""

import base64
import json

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_msk as msk
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct, IDependable

from infra.acknowledgement import acknowledge
from infra.network import Network
from infra.settings import Size
from marketdata.topics import TOPICS, Topic

CLUSTER_NAME = "tapedeck"
KAFKA_VERSION = "3.9.x"
"""The newest line that is known to run on `kafka.t3.small` (aws.md §2)."""


class Broker(Construct):
    """The cluster: TLS only, IAM sign-in, topics made by CloudFormation and by nobody else.

    Attributes:
        cluster_arn: Tells clients which cluster to ask for its brokers.
        scram_secret: User and password of the worker, where SCRAM was chosen.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        network: Network,
        size: Size,
        storage_gb: int,
        scram: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        self._size = size
        self.cluster = self._cluster(network, storage_gb, scram=scram)
        self.cluster_arn = self.cluster.attr_arn
        self.scram_secret = self._scram_user() if scram else None
        self._topics()

    def scram_secret_in(self, stack: Stack) -> secretsmanager.ISecret | None:
        """The secret as another stack may grant it: by the reader's role, not by the key."""
        if self.scram_secret is None or self.scram_secret.encryption_key is None:
            return None
        return secretsmanager.Secret.from_secret_attributes(
            stack,
            "ScramSecret",
            secret_complete_arn=self.scram_secret.secret_arn,
            encryption_key=kms.Key.from_key_arn(
                stack, "ScramKey", self.scram_secret.encryption_key.key_arn
            ),
        )

    def _cluster(self, network: Network, storage_gb: int, *, scram: bool) -> msk.CfnCluster:
        configuration = self._configuration()
        log_group = logs.LogGroup(
            self,
            "BrokerLog",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.DESTROY,
        )
        cluster = msk.CfnCluster(
            self,
            "Cluster",
            cluster_name=CLUSTER_NAME,
            kafka_version=KAFKA_VERSION,
            number_of_broker_nodes=self._size.brokers,
            broker_node_group_info=_node_group(network, self._size.broker_type, storage_gb),
            client_authentication=_authentication(scram=scram),
            configuration_info=msk.CfnCluster.ConfigurationInfoProperty(
                arn=configuration.attr_arn,
                revision=configuration.attr_latest_revision_revision,
            ),
            encryption_info=msk.CfnCluster.EncryptionInfoProperty(
                encryption_in_transit=msk.CfnCluster.EncryptionInTransitProperty(
                    client_broker="TLS", in_cluster=True
                )
            ),
            enhanced_monitoring="DEFAULT",
            logging_info=_logging(log_group),
        )
        cluster.apply_removal_policy(RemovalPolicy.DESTROY)
        return cluster

    def _configuration(self) -> msk.CfnConfiguration:
        return msk.CfnConfiguration(
            self,
            "Configuration",
            name=f"{CLUSTER_NAME}-{self._size.name}",
            server_properties=properties_text(broker_properties(self._size)),
        )

    def _topics(self) -> None:
        before: IDependable = self.cluster
        for topic in TOPICS.values():
            resource = msk.CfnTopic(
                self,
                f"Topic-{topic.name}",
                cluster_arn=self.cluster_arn,
                topic_name=topic.name,
                partition_count=topic.partitions,
                replication_factor=self._size.replication,
                configs=encoded_configs(topic, self._size),
            )
            resource.apply_removal_policy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
            # One after the other: small brokers take four IAM connections a second.
            resource.node.add_dependency(before)
            before = resource

    def _scram_user(self) -> secretsmanager.Secret:
        key = kms.Key(
            self,
            "ScramKey",
            description="Encrypts the Kafka password; MSK takes no AWS-managed key",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.DESTROY,
        )
        secret = secretsmanager.Secret(
            self,
            "ScramSecret",
            secret_name=f"AmazonMSK_{CLUSTER_NAME}_worker",
            description="Kafka user and password of the worker",
            encryption_key=key,
            generate_secret_string=secretsmanager.SecretStringGenerator(
                secret_string_template=json.dumps({"username": "worker"}),
                generate_string_key="password",
                exclude_punctuation=True,
                password_length=48,
            ),
            removal_policy=RemovalPolicy.DESTROY,
        )
        acknowledge(
            secret,
            "SMG4",
            "The worker reads its password at start; docs/deploy.md says how to change it.",
        )
        msk.CfnBatchScramSecret(
            self,
            "ScramUser",
            cluster_arn=self.cluster_arn,
            secret_arn_list=[secret.secret_arn],
        )
        return secret


def broker_properties(size: Size) -> dict[str, str]:
    """The cluster's own settings (rules 2, 4); a topic's settings go with the topic."""
    largest = max(topic.max_message_bytes for topic in TOPICS.values())
    return {
        "auto.create.topics.enable": "false",
        "default.replication.factor": str(size.replication),
        "log.message.timestamp.type": "LogAppendTime",
        "message.max.bytes": str(largest),
        "min.insync.replicas": str(size.min_insync),
        "num.partitions": "1",
        "replica.fetch.max.bytes": str(largest),
        "unclean.leader.election.enable": "false",
    }


def properties_text(properties: dict[str, str]) -> str:
    """Lines of `name=value`, sorted: equal settings give an equal template."""
    return "".join(f"{name}={value}\n" for name, value in sorted(properties.items()))


def encoded_configs(topic: Topic, size: Size) -> str:
    """A topic's settings as AWS::MSK::Topic wants them: properties text in base64."""
    configs = topic.configs | {"min.insync.replicas": str(size.min_insync)}
    return base64.b64encode(properties_text(configs).encode()).decode()


def _node_group(
    network: Network, broker_type: str, storage_gb: int
) -> msk.CfnCluster.BrokerNodeGroupInfoProperty:
    return msk.CfnCluster.BrokerNodeGroupInfoProperty(
        instance_type=broker_type,
        client_subnets=[subnet.subnet_id for subnet in network.broker_subnets],
        security_groups=[network.broker_group.security_group_id],
        storage_info=msk.CfnCluster.StorageInfoProperty(
            ebs_storage_info=msk.CfnCluster.EBSStorageInfoProperty(volume_size=storage_gb)
        ),
    )


def _authentication(*, scram: bool) -> msk.CfnCluster.ClientAuthenticationProperty:
    """IAM always: CloudFormation's topics and the event source sign in with their roles."""
    return msk.CfnCluster.ClientAuthenticationProperty(
        sasl=msk.CfnCluster.SaslProperty(
            iam=msk.CfnCluster.IamProperty(enabled=True),
            scram=msk.CfnCluster.ScramProperty(enabled=True) if scram else None,
        ),
        unauthenticated=msk.CfnCluster.UnauthenticatedProperty(enabled=False),
    )


def _logging(group: logs.LogGroup) -> msk.CfnCluster.LoggingInfoProperty:
    return msk.CfnCluster.LoggingInfoProperty(
        broker_logs=msk.CfnCluster.BrokerLogsProperty(
            cloud_watch_logs=msk.CfnCluster.CloudWatchLogsProperty(
                enabled=True, log_group=group.log_group_name
            )
        )
    )
