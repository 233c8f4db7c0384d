"""What outlives a deployment: the archive bucket, the tables, Stockbit's token.

archive ─► bucket; functions, capture and keep ─► tables; a person ─► token
"""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.acknowledgement import acknowledge


class Storage(Construct):
    """The bucket and the tables; what cannot be made again is kept.

    Attributes:
        bucket: The archive: `data/` and `_state/`. Kept when the stack goes, by default.
        connections: Who is connected and to what. Worth nothing after two hours.
        keys: Hashes of the API keys that were given out. Kept, with point-in-time recovery.
        instruments: Written again by every start of capture.
        limits: Who holds a connection of a key, and how fast it is used. Fills itself again.
        ring: The last minutes of what was pushed (rule 20). Fills itself again.
        candles: Candle history, longer than Kafka keeps it. Kept, with recovery.
        stockbit_token: Begins with a random text that is no token, and is set by a person;
            None where Stockbit is not captured.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, retain: bool, stockbit: bool
    ) -> None:
        super().__init__(scope, construct_id)
        self.bucket = self._bucket(retain=retain)
        self.connections = self._table("Connections", kept=False)
        self.instruments = self._table("Instruments", kept=False)
        self.keys = self._table("Keys", kept=retain, recovery=True)
        self.limits = self._table("Limits", kept=False)
        self.ring = self._table("Ring", kept=False)
        self.candles = self._table("Candles", kept=retain, recovery=True)
        self.stockbit_token = self._token() if stockbit else None

    @property
    def stockbit_token_arn(self) -> str:
        """Where the token is; empty where there is none."""
        return "" if self.stockbit_token is None else self.stockbit_token.secret_arn

    def objects_finding(self, prefix: str) -> str:
        """The name of the finding that another stack's role may use objects below `prefix`."""
        stack = self.bucket.stack
        imported = stack.resolve(stack.export_value(self.bucket.bucket_arn))
        return f"IAM5[Resource::{imported['Fn::ImportValue']}/{prefix}]"

    def _token(self) -> secretsmanager.Secret:
        secret = secretsmanager.Secret(
            self,
            "StockbitToken",
            description="Bearer token of Stockbit; set it with put-secret-value",
            removal_policy=RemovalPolicy.DESTROY,
        )
        acknowledge(
            secret,
            "SMG4",
            "The token is Stockbit's and expires by itself: nothing of AWS can rotate it.",
        )
        return secret

    def _bucket(self, *, retain: bool) -> s3.Bucket:
        # Not versioned: each flush replaces a growing day object, so that versions would
        # multiply a day by its flushes; conditional writes guard it (rules 14, 15).
        bucket = s3.Bucket(
            self,
            "Archive",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            versioned=False,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="abort-unfinished-uploads",
                    abort_incomplete_multipart_upload_after=Duration.days(1),
                )
            ],
            removal_policy=RemovalPolicy.RETAIN if retain else RemovalPolicy.DESTROY,
        )
        acknowledge(
            bucket,
            "S1",
            "Access logs would be as many as the archive's flushes; only the roles of "
            "this app can read or write, and CloudTrail data events can be switched on.",
        )
        return bucket

    def _table(self, name: str, *, kept: bool, recovery: bool = False) -> dynamodb.Table:
        table = dynamodb.Table(
            self,
            name,
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            time_to_live_attribute="exp",
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=recovery
            ),
            deletion_protection=kept,
            removal_policy=RemovalPolicy.RETAIN if kept else RemovalPolicy.DESTROY,
        )
        if not recovery:
            acknowledge(
                table,
                "DDB3",
                "What is in it is made again by itself: connections when clients come "
                "back, instruments at the start of capture.",
            )
        return table
