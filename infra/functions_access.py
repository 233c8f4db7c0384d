"""What each function may do and what it is told: least privilege, module by module.

module of functions/ ─► statements on its tables, its stages' connections, the archive
"""

from collections.abc import Mapping

from aws_cdk import aws_apigatewayv2 as gateway
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from constructs import IConstruct

from infra.acknowledgement import acknowledge
from infra.client_settings import ClientChoices
from infra.connections_access import ConnectionsAccess
from infra.storage import Storage

POSTING = ("connect", "default", "disconnect", "push", "register", "subscribe", "welcome")
"""The modules that post to connections; the others answer with what they return."""
ASKING = ("connect",)
"""The modules that ask whether a connection is still there (rule 25)."""

_SERVING = (
    *("BatchGetItem", "ConditionCheckItem", "DeleteItem", "GetItem", "PutItem", "UpdateItem"),
)
_REPLAYING = ("BatchGetItem", "ConditionCheckItem", "GetItem", "Query")

ON_CONNECTIONS = {
    "connect": ("PutItem",),
    "default": _SERVING,
    "disconnect": ("BatchWriteItem", "DeleteItem"),
    "ping": ("UpdateItem",),
    "push": ("BatchWriteItem", "DeleteItem", "PutItem", "Query", "Scan"),
    "register": ("BatchGetItem", "PutItem", "UpdateItem"),
    "subscribe": _SERVING,
    "unsubscribe": ("DeleteItem", "GetItem", "UpdateItem"),
    "welcome": ("UpdateItem",),
}
ON_INSTRUMENTS = {
    "default": ("BatchGetItem",),
    "ohlcv": ("BatchGetItem",),
    "subscribe": ("BatchGetItem",),
    "symbols": ("Scan",),
}
ON_KEYS = {"authorize": ("GetItem",)}
ON_LIMITS = {
    "connect": ("DeleteItem", "PutItem", "Query", "UpdateItem"),
    "default": ("UpdateItem",),
    "disconnect": ("DeleteItem", "Query"),
    "register": ("UpdateItem",),
    "subscribe": ("UpdateItem",),
    "unsubscribe": ("UpdateItem",),
}
ON_RING = {
    "connect": ("BatchGetItem",),
    "default": _REPLAYING,
    "history": ("GetItem",),
    "push": ("GetItem", "PutItem", "UpdateItem"),
    "register": _REPLAYING,
    "subscribe": _REPLAYING,
}
ON_CANDLES = {"default": ("Query",), "history": ("PutItem",), "ohlcv": ("Query",)}


def function_variables(
    storage: Storage, urls: Mapping[str, str], clients: ClientChoices
) -> dict[str, str]:
    """The environment that `functions/settings.py` reads, the same for every function.

    `urls` has the management API of each stage.
    """
    return {
        "ARCHIVE_BUCKET": storage.bucket.bucket_name,
        "CANDLES_TABLE": storage.candles.table_name,
        "CONNECTIONS_TABLE": storage.connections.table_name,
        "INSTRUMENTS_TABLE": storage.instruments.table_name,
        "KEYS_TABLE": storage.keys.table_name,
        "LIMITS_TABLE": storage.limits.table_name,
        "RING_TABLE": storage.ring.table_name,
        **{f"CALLBACK_URL_{stage.upper()}": url for stage, url in urls.items()},
        **clients.variables,
    }


class FunctionAccess:
    """Statements for the functions by the name of their module; an unlisted one gets none."""

    def __init__(self, *, storage: Storage, api: gateway.WebSocketApi) -> None:
        self._storage = storage
        self._connections = ConnectionsAccess(api)

    def of_module(self, module: str) -> list[iam.PolicyStatement]:
        """The statements of one function's role, beside leave to write its log."""
        storage = self._storage
        tables = (
            (storage.connections, ON_CONNECTIONS),
            (storage.instruments, ON_INSTRUMENTS),
            (storage.keys, ON_KEYS),
            (storage.limits, ON_LIMITS),
            (storage.ring, ON_RING),
            (storage.candles, ON_CANDLES),
        )
        statements = [
            _on(table, operations[module])
            for table, operations in tables
            if module in operations
        ]
        methods = _methods(module)
        if methods:
            statements.append(self._connections.statement(methods))
        if module == "archive_link":
            statements += self._reading_objects()
        return statements

    def acknowledge(self, role: IConstruct, module: str) -> None:
        """Names the wildcards that a function's role has on purpose."""
        self._connections.acknowledge(role, _methods(module))
        if module == "archive_link":
            acknowledge(
                role,
                self._storage.objects_finding("data/*"),
                "Signs links to the objects below data/, and does nothing else.",
            )

    def _reading_objects(self) -> list[iam.PolicyStatement]:
        bucket = self._storage.bucket
        return [
            iam.PolicyStatement(
                actions=["s3:GetObject"], resources=[bucket.arn_for_objects("data/*")]
            ),
            # Without it an object that is not there is answered 403, not 404.
            iam.PolicyStatement(actions=["s3:ListBucket"], resources=[bucket.bucket_arn]),
        ]


def _methods(module: str) -> set[str]:
    return {
        method for method, modules in (("POST", POSTING), ("GET", ASKING)) if module in modules
    }


def _on(table: dynamodb.Table, operations: tuple[str, ...]) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        actions=[f"dynamodb:{operation}" for operation in operations],
        resources=[table.table_arn],
    )
