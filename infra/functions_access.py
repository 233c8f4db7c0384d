"""What each function may do and what it is told: least privilege, module by module.

module of functions/ ─► statements on its tables, its stage's connections, the archive
"""

from aws_cdk import CfnElement, Stack
from aws_cdk import aws_apigatewayv2 as gateway
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from constructs import IConstruct

from infra.acknowledgement import acknowledge
from infra.storage import Storage

POSTING = ("connect", "disconnect", "push", "subscribe")
"""The modules that post to connections; the others answer with what they return."""

ON_CONNECTIONS = {
    "connect": ("PutItem",),
    "disconnect": ("BatchWriteItem", "DeleteItem"),
    "push": ("BatchWriteItem", "DeleteItem", "Query"),
    "subscribe": ("ConditionCheckItem", "DeleteItem", "GetItem", "PutItem", "UpdateItem"),
    "unsubscribe": ("DeleteItem", "GetItem", "UpdateItem"),
}
ON_INSTRUMENTS = {"subscribe": ("BatchGetItem",), "symbols": ("Scan",)}
ON_KEYS = {"authorize": ("GetItem",)}


def function_variables(storage: Storage, callback_url: str) -> dict[str, str]:
    """The environment that `functions/settings.py` reads, the same for every function."""
    return {
        "ARCHIVE_BUCKET": storage.bucket.bucket_name,
        "CALLBACK_URL_STREAM": callback_url,
        "CONNECTIONS_TABLE": storage.connections.table_name,
        "INSTRUMENTS_TABLE": storage.instruments.table_name,
        "KEYS_TABLE": storage.keys.table_name,
    }


class FunctionAccess:
    """Statements for the functions by the name of their module; an unlisted one gets none."""

    def __init__(self, *, storage: Storage, api: gateway.WebSocketApi, stage: str) -> None:
        self._storage = storage
        self._api = api
        self._connections_path = f"{stage}/POST/@connections/*"
        self._posting = iam.PolicyStatement(
            actions=["execute-api:ManageConnections"],
            resources=[
                Stack.of(api).format_arn(
                    service="execute-api",
                    resource=api.api_id,
                    resource_name=self._connections_path,
                )
            ],
        )

    def of_module(self, module: str) -> list[iam.PolicyStatement]:
        """The statements of one function's role, beside leave to write its log."""
        tables = (
            (self._storage.connections, ON_CONNECTIONS),
            (self._storage.instruments, ON_INSTRUMENTS),
            (self._storage.keys, ON_KEYS),
        )
        statements = [
            _on(table, operations[module])
            for table, operations in tables
            if module in operations
        ]
        if module in POSTING:
            statements.append(self._posting)
        if module == "archive_link":
            statements += self._reading_objects()
        return statements

    def acknowledge(self, role: IConstruct, module: str) -> None:
        """Names the wildcards that a function's role has on purpose."""
        if module in POSTING:
            acknowledge(role, self._posting_finding(), "Posts to its own stage's connections.")
        if module == "archive_link":
            acknowledge(
                role,
                self._storage.objects_finding("data/*"),
                "Signs links to the objects below data/, and does nothing else.",
            )

    def _posting_finding(self) -> str:
        stack = Stack.of(self._api)
        resource = self._api.node.default_child
        if not isinstance(resource, CfnElement):
            raise TypeError(f"{self._api.node.path} is no WebSocket API")
        arn = "arn:<AWS::Partition>:execute-api:<AWS::Region>:<AWS::AccountId>"
        api = f"<{stack.get_logical_id(resource)}>"
        return f"IAM5[Resource::{arn}:{api}/{self._connections_path}]"

    def _reading_objects(self) -> list[iam.PolicyStatement]:
        bucket = self._storage.bucket
        return [
            iam.PolicyStatement(
                actions=["s3:GetObject"], resources=[bucket.arn_for_objects("data/*")]
            ),
            # Without it an object that is not there is answered 403, not 404.
            iam.PolicyStatement(actions=["s3:ListBucket"], resources=[bucket.bucket_arn]),
        ]


def _on(table: dynamodb.Table, operations: tuple[str, ...]) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        actions=[f"dynamodb:{operation}" for operation in operations],
        resources=[table.table_arn],
    )
