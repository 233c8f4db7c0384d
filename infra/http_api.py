"""The HTTP API: symbols, candles, links to the archive, and what describes it (design.md §8).

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
from infra.acknowledgement import acknowledge

ROUTES = {
    "/api/symbols": "symbols",
    "/api/ohlcv": "ohlcv",
    "/api/archive": "archive_link",
    "/api/openapi.json": "openapi",
    "/api/asyncapi.json": "openapi",
    "/docs": "docs_page",
}
"""Path to the module in `functions/` that answers it."""
OPEN = frozenset({"/api/openapi.json", "/api/asyncapi.json", "/docs"})
"""What anybody may read: it says what there is, and nothing of what is in it."""
ASKED_HEADERS = ("authorization", "content-type")
SHOWN_HEADERS = ("link",)
PREFLIGHT = Duration.minutes(10)
"""How long a browser may remember what a page of another origin is allowed."""


class HttpApi(Construct):
    """GET routes, all but the descriptions behind the key that the WebSocket API asks for.

    Pages of `page_origin`, and of no other site, may read the answers; API Gateway answers a
    browser's question before the request itself, without a key.

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
        page_origin: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self.api = gateway.HttpApi(
            self,
            "Api",
            api_name="tapedeck",
            create_default_stage=False,
            cors_preflight=_readable_by(page_origin) if page_origin else None,
        )
        self._add_routes(authorize, handlers)
        self.stage = self._stage()

    def _add_routes(
        self, authorize: lambda_.IFunction, handlers: dict[str, lambda_.IFunction]
    ) -> None:
        authorizer = authorizers.HttpLambdaAuthorizer(
            "KeyAuthorizer",
            authorize,
            # The function answers with a policy, as the WebSocket API wants it.
            response_types=[authorizers.HttpLambdaResponseType.IAM],
            # Without the header the answer is 401, and the function is not called.
            identity_source=["$request.header.Authorization"],
            results_cache_ttl=Duration.seconds(0),
        )
        nobody = gateway.HttpNoneAuthorizer()
        integrated = {
            module: integrations.HttpLambdaIntegration(
                f"{module.title().replace('_', '')}Integration", function
            )
            for module, function in handlers.items()
        }
        for path, module in ROUTES.items():
            routes = self.api.add_routes(
                path=path,
                methods=[gateway.HttpMethod.GET],
                integration=integrated[module],
                authorizer=nobody if path in OPEN else authorizer,
            )
            if path in OPEN:
                acknowledge(routes[0], "APIG4", "A description of the API, for anybody.")

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


def _readable_by(origin: str) -> gateway.CorsPreflightOptions:
    return gateway.CorsPreflightOptions(
        allow_origins=[origin],
        allow_methods=[gateway.CorsHttpMethod.GET],
        allow_headers=list(ASKED_HEADERS),
        expose_headers=list(SHOWN_HEADERS),
        max_age=PREFLIGHT,
    )
