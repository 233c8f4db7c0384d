"""The HTTP API: the symbols and links to the archive, for holders of a key (design.md §8).

GET /api/… ─► authorizer ─► function
"""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_apigatewayv2 as gateway
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.access_log import log_requests

ROUTES = {"/api/symbols": "symbols", "/api/archive": "archive_link"}
"""Path to the module in `functions/` that answers it."""


class HttpApi(Construct):
    """GET routes, each behind the key that the WebSocket API asks for as well.

    Attributes:
        api: The API, without a stage of its own making.
        stage: The default stage; every request is logged, without its query string.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        authorize: lambda_.IFunction,
        handlers: dict[str, lambda_.IFunction],
    ) -> None:
        super().__init__(scope, construct_id)
        self.api = gateway.HttpApi(self, "Api", api_name="tapedeck", create_default_stage=False)
        authorizer = authorizers.HttpLambdaAuthorizer(
            "KeyAuthorizer",
            authorize,
            # The function answers with a policy, as the WebSocket API wants it.
            response_types=[authorizers.HttpLambdaResponseType.IAM],
            # Without the header the answer is 401, and the function is not called.
            identity_source=["$request.header.Authorization"],
            results_cache_ttl=Duration.seconds(0),
        )
        for path, module in ROUTES.items():
            self.api.add_routes(
                path=path,
                methods=[gateway.HttpMethod.GET],
                integration=integrations.HttpLambdaIntegration(
                    f"{module.title().replace('_', '')}Integration", handlers[module]
                ),
                authorizer=authorizer,
            )
        self.stage = self._stage()

    def _stage(self) -> gateway.HttpStage:
        stage = gateway.HttpStage(
            self,
            "Stage",
            http_api=self.api,
            stage_name="$default",
            auto_deploy=True,
            throttle=gateway.ThrottleSettings(rate_limit=100, burst_limit=50),
        )
        log_group = logs.LogGroup(
            self,
            "RequestLog",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.DESTROY,
        )
        log_requests(stage, log_group)
        return stage
