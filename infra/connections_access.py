"""Leave to speak to, ask about and end the connections of this API's own stages, and no others.

methods of the management API ─► statement, and the findings that it is
"""

from collections.abc import Iterable

from aws_cdk import CfnElement, Stack
from aws_cdk import aws_apigatewayv2 as gateway
from aws_cdk import aws_iam as iam
from constructs import IConstruct

from infra.acknowledgement import acknowledge

STREAM = "stream"
"""The stage of sources/chrono-stream.md (design.md §7)."""
WS = "ws"
"""The stage of sources/save-to-websocket.md."""
STAGES = (STREAM, WS)


class ConnectionsAccess:
    """The connections of one WebSocket API, method by method (`POST`, `GET`, `DELETE`)."""

    def __init__(self, api: gateway.WebSocketApi) -> None:
        self._api = api

    def statement(self, methods: Iterable[str]) -> iam.PolicyStatement:
        """Leave to use these methods on every connection of both stages."""
        return iam.PolicyStatement(
            actions=["execute-api:ManageConnections"],
            resources=[
                Stack.of(self._api).format_arn(
                    service="execute-api", resource=self._api.api_id, resource_name=path
                )
                for path in _paths(methods)
            ],
        )

    def acknowledge(self, role: IConstruct, methods: Iterable[str]) -> None:
        """Names the wildcards of that statement: a connection's id is known when it is made."""
        arn = "arn:<AWS::Partition>:execute-api:<AWS::Region>:<AWS::AccountId>"
        api = self._api_in(role)
        for path in _paths(methods):
            acknowledge(
                role,
                f"IAM5[Resource::{arn}:{api}/{path}]",
                "The connections of this API's own stages.",
            )

    def _api_in(self, role: IConstruct) -> str:
        stack = Stack.of(self._api)
        if Stack.of(role) is not stack:
            imported = stack.resolve(stack.export_value(self._api.api_id))
            return str(imported["Fn::ImportValue"])
        resource = self._api.node.default_child
        if not isinstance(resource, CfnElement):
            raise TypeError(f"{self._api.node.path} is no WebSocket API")
        return f"<{stack.get_logical_id(resource)}>"


def _paths(methods: Iterable[str]) -> list[str]:
    chosen = sorted(methods)
    return [f"{stage}/{method}/@connections/*" for stage in STAGES for method in chosen]
