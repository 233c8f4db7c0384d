"""Access logs of an API's stage: one JSON line a request, and never the query string.

stage ─► log group; `?api_key=` is a secret and stays out
"""

import json

from aws_cdk import aws_apigatewayv2 as gateway
from aws_cdk import aws_logs as logs
from constructs import Construct

FIELDS = {
    "connection_id": "$context.connectionId",
    "error": "$context.error.message",
    "event": "$context.eventType",
    "integration_error": "$context.integrationErrorMessage",
    "request_id": "$context.requestId",
    "route": "$context.routeKey",
    "status": "$context.status",
    "time": "$context.requestTime",
}


def log_requests(stage: Construct, log_group: logs.LogGroup) -> None:
    """Makes a WebSocket or HTTP stage write its requests to `log_group`."""
    resource = stage.node.default_child
    if not isinstance(resource, gateway.CfnStage):
        raise TypeError(f"{stage.node.path} is no stage")
    resource.access_log_settings = gateway.CfnStage.AccessLogSettingsProperty(
        destination_arn=log_group.log_group_arn,
        format=json.dumps(FIELDS, separators=(",", ":")),
    )
