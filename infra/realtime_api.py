"""The live side: WebSocket API with its routes and authorizer, HTTP API, functions.

client ─► route ─► function ─► tables; push (infra.kafka_sources) ─► @connections ─► client
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
from infra.client_settings import ClientChoices
from infra.connections_access import STAGES
from infra.functions_access import FunctionAccess, function_variables
from infra.http_api import ROUTES, HttpApi
from infra.python_function import PythonFunction
from infra.storage import Storage

CLIENT_ROUTES = {"subscribe": False, "register": False, "unsubscribe": True, "ping": True}
"""Message type to whether the client gets what the function returns.

`subscribe` and `register` speak through the management API alone, so that what they answer is
before what they begin.
"""
INTEGRATION_LIMIT = Duration.seconds(29)
LONG = {
    "connect": Duration.seconds(20),
    "default": Duration.seconds(29),
    "register": Duration.seconds(29),
    "subscribe": Duration.seconds(29),
    "welcome": Duration.seconds(15),
}
"""Those that may replay the ring, ask for connections or wait for one; the others have 10 s."""


class RealtimeApi(Construct):
    """Both APIs and every function that a client's request reaches.

    Attributes:
        web_socket: The WebSocket API; a message's `type` selects the route.
        callback_urls: The management API of each stage.
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
        clients: ClientChoices,
        access_logs: bool,
        page_origin: str,
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
        self.access = FunctionAccess(storage=storage, api=self.web_socket)
        self.callback_urls = {stage: self._callback_url(stage) for stage in STAGES}
        self.variables = function_variables(storage, self.callback_urls, clients)
        self.functions: dict[str, PythonFunction] = {}
        self._add_routes()
        self._let_connect_have_welcome_said()
        self.stages = self._add_stages(access_logs=access_logs)
        self.http = HttpApi(
            self,
            "Http",
            authorize=self.functions["authorize"].function,
            handlers={
                module: self.add_function(module).function
                for module in sorted(set(ROUTES.values()))
            },
            page_origin=page_origin,
        )

    def _callback_url(self, stage: str) -> str:
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
        function = self.add_function(module, timeout=LONG.get(module)).function
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

    def _let_connect_have_welcome_said(self) -> None:
        """A connection exists only when `$connect` has returned, so another one greets."""
        welcome = self.add_function("welcome", timeout=LONG["welcome"]).function
        connect = self.functions["connect"]
        connect.function.add_environment("WELCOME_FUNCTION", welcome.function_name)
        connect.role.add_to_policy(
            iam.PolicyStatement(
                actions=["lambda:InvokeFunction"], resources=[welcome.function_arn]
            )
        )

    def _add_stages(self, *, access_logs: bool) -> list[gateway.WebSocketStage]:
        stages = [self._stage(name) for name in STAGES]
        may_log = self._gateway_may_log() if access_logs else None
        for name, stage in zip(STAGES, stages, strict=True):
            if may_log:
                log_requests(stage, self._access_log(name))
                stage.node.add_dependency(may_log)
            else:
                acknowledge(
                    stage,
                    "APIG1",
                    "WebSocket access logs need a role set for the whole account and region; "
                    "`-c access_logs=true` sets it. The handlers log each request's outcome.",
                )
        return stages

    def _stage(self, name: str) -> gateway.WebSocketStage:
        return gateway.WebSocketStage(
            self,
            f"{name.capitalize()}Stage",
            web_socket_api=self.web_socket,
            stage_name=name,
            auto_deploy=True,
            detailed_metrics_enabled=True,
            throttle=gateway.ThrottleSettings(rate_limit=1000, burst_limit=500),
        )

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

    def _access_log(self, stage: str) -> logs.LogGroup:
        return logs.LogGroup(
            self,
            f"{stage.capitalize()}Access",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.DESTROY,
        )
