"""What each stage of the worker may do: least privilege, stage by stage.

stage ─► statements on its own topics, group, bucket prefixes and table
"""

from aws_cdk import aws_iam as iam
from constructs import IConstruct

from infra.acknowledgement import acknowledge
from infra.connections_access import ConnectionsAccess
from infra.kafka_access import KafkaAccess
from infra.storage import Storage
from marketdata.api_keys import REVOKED
from marketdata.archive_layout import FOLDED
from marketdata.topics import (
    ARCHIVED,
    CANDLES,
    DEPTH,
    EVENTS,
    ORDERBOOK,
    PRICES,
    QUEUE_CONTROL,
    QUEUE_EVENTS,
    REJECTS,
    TICKS,
)

LAST_KNOWN_GROUP = "capture-last-known"
"""The group that capture names when it reads what it wrote last (`capture/last_known.py`)."""

KEEPS = ("BatchWriteItem", "DeleteItem", "GetItem", "Query", "UpdateItem")
"""What the keeper does with connections and the items that belong to them."""
REVOKED_ONLY = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [REVOKED]}}
"""The keeper reads which keys were revoked, and no key."""
KEEPS_METHODS = ("DELETE", "GET", "POST")

ARCHIVE_PREFIXES = ("data/*", "_state/*")


class StageAccess:
    """Statements for `capture`, `archive`, `derive`, `keep`, and `all`, which is all of them.

    With SCRAM the Kafka statements are left out: such a sign-in is no IAM principal.
    """

    def __init__(
        self,
        *,
        kafka: KafkaAccess,
        storage: Storage,
        connections: ConnectionsAccess,
        scram: bool,
    ) -> None:
        self._kafka = kafka
        self._storage = storage
        self._connections = connections
        self._scram = scram
        self._stages = {
            "capture": self._capture,
            "archive": self._archive,
            "derive": self._derive,
            "keep": self._keep,
        }

    def of_stage(self, stage: str) -> list[iam.PolicyStatement]:
        """The statements of one service's role."""
        stages = list(self._stages) if stage == "all" else [stage]
        statements = [self._kafka.find_brokers()]
        for name in stages:
            statements += self._stages[name]()
        return statements

    def acknowledge(self, role: IConstruct, stage: str) -> None:
        """Names the wildcards that a stage's role has on purpose."""
        if stage in ("all", "keep"):
            self._connections.acknowledge(role, KEEPS_METHODS)
        if stage not in ("all", "archive"):
            return
        for prefix in ARCHIVE_PREFIXES:
            acknowledge(
                role,
                self._storage.objects_finding(prefix),
                "The archive writes an object a ticker and a day below this prefix.",
            )

    def _capture(self) -> list[iam.PolicyStatement]:
        table = iam.PolicyStatement(
            actions=["dynamodb:BatchWriteItem", "dynamodb:PutItem"],
            resources=[self._storage.instruments.table_arn],
        )
        aws = [table, *self._stockbit_token()]
        if self._scram:
            return aws
        return [
            *self._kafka.produce([*ARCHIVED, QUEUE_EVENTS, REJECTS]),
            *self._kafka.consume([QUEUE_CONTROL]),
            *self._kafka.replay(ARCHIVED, LAST_KNOWN_GROUP),
            *aws,
        ]

    def _stockbit_token(self) -> list[iam.PolicyStatement]:
        arn = self._storage.stockbit_token_arn
        if not arn:
            return []
        return [iam.PolicyStatement(actions=["secretsmanager:GetSecretValue"], resources=[arn])]

    def _archive(self) -> list[iam.PolicyStatement]:
        bucket = self._storage.bucket
        objects = [
            iam.PolicyStatement(
                actions=["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
                resources=[bucket.arn_for_objects(prefix) for prefix in ARCHIVE_PREFIXES],
            ),
            # Without ListBucket a HEAD of an object that is not there is 403, not 404.
            iam.PolicyStatement(
                actions=["s3:ListBucket", "s3:ListBucketMultipartUploads"],
                resources=[bucket.bucket_arn],
            ),
        ]
        if self._scram:
            return objects
        return [
            *self._kafka.consume(FOLDED, "archive"),
            *self._kafka.produce([QUEUE_EVENTS]),
            *objects,
        ]

    def _derive(self) -> list[iam.PolicyStatement]:
        if self._scram:
            return []
        return [
            *self._kafka.consume([PRICES], "derive"),
            *self._kafka.consume([PRICES, CANDLES], "derive-candles"),
            *self._kafka.consume([ORDERBOOK], "derive-depth"),
            *self._kafka.replay([TICKS, CANDLES], "derive-sent"),
            *self._kafka.produce([TICKS, CANDLES, DEPTH]),
        ]

    def _keep(self) -> list[iam.PolicyStatement]:
        """Looks at every connection, speaks to it and ends it; follows what flows.

        Of events and single trades it asks the topics' ids, and reads none.
        """
        storage = self._storage
        aws = [
            iam.PolicyStatement(
                actions=[f"dynamodb:{one}" for one in KEEPS],
                resources=[storage.connections.table_arn],
            ),
            iam.PolicyStatement(
                actions=["dynamodb:PutItem"], resources=[storage.ring.table_arn]
            ),
            iam.PolicyStatement(
                actions=["dynamodb:Query"],
                resources=[storage.keys.table_arn],
                conditions=REVOKED_ONLY,
            ),
            self._connections.statement(KEEPS_METHODS),
        ]
        if self._scram:
            return aws
        return [
            *self._kafka.replay([TICKS, CANDLES, DEPTH], "keep"),
            *self._kafka.describe([EVENTS, PRICES]),
            *aws,
        ]
