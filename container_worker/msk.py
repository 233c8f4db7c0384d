"""Amazon MSK: the brokers of a cluster, and tokens for its IAM listener (rule 29).

cluster ARN ─► GetBootstrapBrokers ─► KafkaSettings with servers
"""

from dataclasses import replace

import boto3
from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
from botocore.exceptions import BotoCoreError, ClientError

from container_worker.settings import KafkaSettings
from marketdata.errors import BrokerError, BrokerUnavailable

_FIELD_OF_AUTH = {
    "none": ("BootstrapBrokerStringTls", "BootstrapBrokerString"),
    "scram": ("BootstrapBrokerStringSaslScram", "BootstrapBrokerStringPublicSaslScram"),
    "iam": ("BootstrapBrokerStringSaslIam", "BootstrapBrokerStringPublicSaslIam"),
}


def find_brokers(kafka: KafkaSettings) -> KafkaSettings:
    """The same settings with the cluster's brokers, asked for when none were given.

    Raises:
        BrokerUnavailable: the service did not answer.
        BrokerError: it refused, or the cluster has no listener for this kind of login.
    """
    if kafka.bootstrap_servers or not kafka.cluster_arn:
        return kafka
    try:
        client = boto3.client("kafka", region_name=kafka.region or None)
        answer = client.get_bootstrap_brokers(ClusterArn=kafka.cluster_arn)
    except ClientError as error:
        raise BrokerError(
            f"KAFKA_CLUSTER_ARN: Amazon MSK refused to name the brokers: {error}"
        ) from error
    except BotoCoreError as error:
        raise BrokerUnavailable(
            f"KAFKA_CLUSTER_ARN: Amazon MSK could not be asked for the brokers: {error}"
        ) from error
    for field in _FIELD_OF_AUTH[kafka.auth]:
        if answer.get(field):
            return replace(kafka, bootstrap_servers=answer[field])
    raise BrokerError(
        f"the MSK cluster {kafka.cluster_arn} has no listener for KAFKA_AUTH={kafka.auth}"
    )


def iam_token(region: str) -> tuple[str, float]:
    """A token for the OAUTHBEARER login and its expiry in seconds since 1970.

    Raises:
        BrokerError: there are no AWS credentials to sign with.
    """
    try:
        token, expiry_ms = MSKAuthTokenProvider.generate_auth_token(region)
    except (BotoCoreError, ClientError, ValueError) as error:
        raise BrokerError(f"no IAM token for Kafka: {error}") from error
    return token, expiry_ms / 1000
