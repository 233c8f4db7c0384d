"""The live side: WebSocket API with its routes and authorizer, HTTP API, functions.

client ─► route ─► function ─► tables; push (infra.push) ─► @connections ─► client
"""

from pathlib import Path

from aws_cdk import Aws, Duration, RemovalPolicy
from aws_cdk import aws_apigateway as rest
from aws_cdk import aws_apigatewayv2 as gateway
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.access_log import log_requests
from infra.acknowledgement import acknowledge
from infra.functions_access import FunctionAccess, function_variables
from infra.http_api import ROUTES, HttpApi
from infra.python_function import PythonFunction
from infra.storage import Storage

STREAM = "stream"
"""The stage of sources/chrono-stream.md (design.md §7)."""

CLIENT_ROUTES = {"subscribe": False, "unsubscribe": True, "ping": True}
"""Message type to whether the client gets what the function returns.

`subscribe` speaks through the management API alone, so that its answer is the first message.
"""
INTEGRATION_LIMIT = Duration.seconds(29)


class RealtimeApi(Construct):
    """Both APIs and every function that a client's request reaches.

    Attributes:
        web_socket: The WebSocket API; a message's `type` selects the route.
        functions: By the name of the module in `functions/`.
        access: What any function of this API may be allowed.
        variables: The environment of every function.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        storage: Storage,
        code: Path,
        access_logs: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        self._code = code
        self.web_socket = gateway.WebSocketApi(
            self,
            "WebSocket",
            api_name="tapedeck-stream",
            description="Live prices (docs/client-protocol.md)",
            route_selection_expression="$request.body.type",
        )
        self.access = FunctionAccess(storage=storage, api=self.web_socket, stage=STREAM)
        self.variables = function_variables(storage, self.callback_url(STREAM))
        self.functions: dict[str, PythonFunction] = {}
        self._add_routes()
        self.stage = self._add_stage(access_logs=access_logs)
        self.http = HttpApi(
            self,
            "Http",
            authorize=self.functions["authorize"].function,
            handlers={module: self.add_function(module).function for module in ROUTES.values()},
        )

    def callback_url(self, stage: str) -> str:
        """The management API's address, made of the API's id: no function waits for a stage."""
        return f"https://{self.web_socket.api_id}.execute-api.{Aws.REGION}.{Aws.URL_SUFFIX}/{stage}"

    def add_function(
        self, module: str, *, memory_mib: int = 512, timeout: Duration | None = None
    ) -> PythonFunction:
        """The function of `functions/<module>.py`, with its own role and log group."""
        function = PythonFunction(
            self,
            f"{module.title().replace('_', '')}Handler",
            code=self._code,
            handler=f"functions.{module}.handler",
            environment=self.variables,
            statements=self.access.of_module(module),
            memory_mib=memory_mib,
            timeout=timeout,
        )
        self.access.acknowledge(function.role, module)
        self.functions[module] = function
        return function

    def _add_routes(self) -> None:
        authorizer = authorizers.WebSocketLambdaAuthorizer(
            "Authorizer",
            self.add_function("authorize").function,
            # Named sources must all be there: one of them would shut out `?api_key=` (rule 31).
            identity_source=[],
        )
        self._route("$connect", "connect", authorizer=authorizer)
        self._route("$disconnect", "disconnect")
        for module, answers in CLIENT_ROUTES.items():
            self._route(module, module, answers=answers)
        self._route("$default", "default", answers=True)

    def _route(
        self,
        key: str,
        module: str,
        *,
        answers: bool = False,
        authorizer: gateway.IWebSocketRouteAuthorizer | None = None,
    ) -> None:
        function = self.add_function(module).function
        integration = integrations.WebSocketLambdaIntegration(
            f"{module.capitalize()}Integration", function, timeout=INTEGRATION_LIMIT
        )
        route = gateway.WebSocketRoute(
            self,
            f"{module.capitalize()}Route",
            web_socket_api=self.web_socket,
            route_key=key,
            integration=integration,
            authorizer=authorizer,
            return_response=answers or None,
        )
        if authorizer is None:
            acknowledge(
                route,
                "APIG4",
                "API Gateway authorizes a WebSocket once, at $connect.",
            )

    def _add_stage(self, *, access_logs: bool) -> gateway.WebSocketStage:
        stage = gateway.WebSocketStage(
            self,
            "Stage",
            web_socket_api=self.web_socket,
            stage_name=STREAM,
            auto_deploy=True,
            detailed_metrics_enabled=True,
            throttle=gateway.ThrottleSettings(rate_limit=1000, burst_limit=500),
        )
        if access_logs:
            log_requests(stage, self._access_log())
            stage.node.add_dependency(self._gateway_may_log())
        else:
            acknowledge(
                stage,
                "APIG1",
                "WebSocket access logs need a role set for the whole account and region; "
                "`-c access_logs=true` sets it. The handlers log each request's outcome.",
            )
        return stage

    def _gateway_may_log(self) -> Construct:
        """The account's one role with which API Gateway writes logs, set only when wanted."""
        role = iam.Role(
            self,
            "AccessLogRole",
            assumed_by=iam.ServicePrincipal("apigateway.amazonaws.com"),
            managed_policies=[
                iam.ManagedPolicy.from_aws_managed_policy_name(
                    "service-role/AmazonAPIGatewayPushToCloudWatchLogs"
                )
            ],
        )
        acknowledge(
            role,
            "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/"
            "service-role/AmazonAPIGatewayPushToCloudWatchLogs]",
            "The role serves every API of the account; AWS names this policy for it.",
        )
        account = rest.CfnAccount(self, "Account", cloud_watch_role_arn=role.role_arn)
        account.apply_removal_policy(RemovalPolicy.RETAIN)
        return account

    def _access_log(self) -> logs.LogGroup:
        return logs.LogGroup(
            self,
            "StreamAccess",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.DESTROY,
        )
