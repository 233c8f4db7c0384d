"""The client side: routes, authorizer, functions outside the VPC, the event source."""

import re
from pathlib import Path

import pytest

from functions.settings import read_settings
from infra.connections_access import STAGES
from infra.http_api import OPEN, ROUTES
from infra.kafka_sources import LASTING, PUSHED
from marketdata.topics import TOPICS

ROOT = Path(__file__).resolve().parents[2]
ROUTE_KEYS = {
    "$connect",
    "$disconnect",
    "$default",
    "subscribe",
    "unsubscribe",
    "ping",
    "register",
}


def web_socket(assembly):
    (found,) = [
        name
        for name, api in assembly.all("AWS::ApiGatewayV2::Api").items()
        if api["Properties"]["ProtocolType"] == "WEBSOCKET"
    ]
    return found


def routes(assembly, api):
    return {
        route["Properties"]["RouteKey"]: (name, route["Properties"])
        for name, route in assembly.all("AWS::ApiGatewayV2::Route").items()
        if route["Properties"]["ApiId"] == {"Ref": api}
    }


def test_the_type_of_a_message_selects_its_route(assembly):
    api = web_socket(assembly)
    properties = assembly.all("AWS::ApiGatewayV2::Api")[api]["Properties"]
    assert properties["RouteSelectionExpression"] == "$request.body.type"
    assert set(routes(assembly, api)) == ROUTE_KEYS


def test_every_route_calls_the_handler_of_its_name(assembly, flat):
    functions = assembly.all("AWS::Lambda::Function")
    integrations = assembly.all("AWS::ApiGatewayV2::Integration")
    for key, (_, route) in routes(assembly, web_socket(assembly)).items():
        target = flat(route["Target"])
        integration = integrations[re.search(r"\$\{(\w+)\}", target)[1]]["Properties"]
        (name,) = [
            name
            for name in functions
            if f"${{{name}.Arn}}" in flat(integration["IntegrationUri"])
        ]
        handler = functions[name]["Properties"]["Handler"]
        assert handler == f"functions.{key.removeprefix('$')}.handler"


def test_only_connect_is_authorized_because_a_websocket_is_authorized_once(assembly):
    for key, (_, route) in routes(assembly, web_socket(assembly)).items():
        assert route["AuthorizationType"] == ("CUSTOM" if key == "$connect" else "NONE")


def authorizer(assembly, route):
    return assembly.all("AWS::ApiGatewayV2::Authorizer")[route["AuthorizerId"]["Ref"]][
        "Properties"
    ]


def test_connects_authorizer_names_no_source_so_that_a_key_in_the_query_gets_through(assembly):
    _, route = routes(assembly, web_socket(assembly))["$connect"]
    found = authorizer(assembly, route)
    assert found["IdentitySource"] == []
    assert found["AuthorizerType"] == "REQUEST"


def test_routes_whose_function_answers_have_a_response_and_the_others_have_none(assembly):
    found = routes(assembly, web_socket(assembly))
    answered = {
        response["RouteId"]["Ref"]
        for response in assembly.properties("AWS::ApiGatewayV2::RouteResponse")
    }
    keys = {key for key, (name, _) in found.items() if name in answered}
    assert keys == {"unsubscribe", "ping", "$default"}
    for key, (_, route) in found.items():
        assert ("RouteResponseSelectionExpression" in route) is (key in keys)


@pytest.mark.parametrize("key", ["subscribe", "register", "unsubscribe", "ping", "default"])
def test_a_route_has_a_response_exactly_when_its_module_says_so(key, small):
    says = (ROOT / "functions" / f"{key}.py").read_text().split('"""')[1]
    found = routes(small, web_socket(small))
    _, route = found[key if key in found else f"${key}"]
    has_response = "RouteResponseSelectionExpression" in route
    assert (
        "sent by the route's own response" in " ".join(says.split())
        or "by the route's own response" in says
    ) is has_response


def test_the_stages_are_the_documents_and_slow_down_who_asks_too_much(assembly):
    stages = [
        stage
        for stage in assembly.properties("AWS::ApiGatewayV2::Stage")
        if stage["ApiId"] == {"Ref": web_socket(assembly)}
    ]
    assert {stage["StageName"] for stage in stages} == {"stream", "ws"}
    for stage in stages:
        assert stage["AutoDeploy"] is True
        assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] == 1000


def test_rest_paths_ask_for_a_key_and_call_their_handlers(assembly, flat):
    (api,) = [
        name
        for name, properties in assembly.all("AWS::ApiGatewayV2::Api").items()
        if properties["Properties"]["ProtocolType"] == "HTTP"
    ]
    found = routes(assembly, api)
    assert set(found) == {f"GET {path}" for path in ROUTES}
    for key, (_, route) in found.items():
        is_open = key.removeprefix("GET ") in OPEN
        assert route["AuthorizationType"] == ("NONE" if is_open else "CUSTOM")
        if is_open:
            continue
        asked = authorizer(assembly, route)
        assert asked["IdentitySource"] == ["$request.header.Authorization"]
        assert asked["AuthorizerResultTtlInSeconds"] == 0
    for module in ROUTES.values():
        assert assembly.function(f"functions.{module}.handler")


def test_access_logs_never_hold_a_query_string(small, standard):
    for assembly, logged in ((small, 1), (standard, 3)):
        formats = [
            stage["AccessLogSettings"]["Format"]
            for stage in assembly.properties("AWS::ApiGatewayV2::Stage")
            if "AccessLogSettings" in stage
        ]
        assert len(formats) == logged
        for line in formats:
            assert "query" not in line.lower()
            assert "path" not in line.lower()
            assert "uthorization" not in line


def test_the_accounts_logging_role_is_touched_only_when_asked(small, standard):
    assert not small.all("AWS::ApiGateway::Account")
    (account,) = standard.all("AWS::ApiGateway::Account")
    stages = [
        stage
        for stage in standard.all("AWS::ApiGatewayV2::Stage").values()
        if stage["Properties"]["ApiId"] == {"Ref": web_socket(standard)}
    ]
    assert len(stages) == len(STAGES)
    assert all(account in stage["DependsOn"] for stage in stages)
    assert standard.all("AWS::ApiGateway::Account")[account]["DeletionPolicy"] == "Retain"


def test_every_route_of_the_local_gateway_is_deployed():
    from local.gateway.http_api import ROUTES as LOCAL  # noqa: PLC0415

    assert {("GET", path): module for path, module in ROUTES.items()} == dict(LOCAL)


def test_no_function_is_in_the_vpc(assembly):
    for function in assembly.properties("AWS::Lambda::Function"):
        assert "VpcConfig" not in function


def test_every_function_is_small_arm_python_with_a_log_of_its_own(assembly):
    functions = assembly.properties("AWS::Lambda::Function")
    assert len(functions) == 16
    logs = {function["LoggingConfig"]["LogGroup"]["Ref"] for function in functions}
    roles = {function["Role"]["Fn::GetAtt"][0] for function in functions}
    assert len(logs) == len(roles) == len(functions)
    for function in functions:
        assert function["Runtime"] == "python3.14"
        assert function["Architectures"] == ["arm64"]
        assert function["Timeout"] <= 60


def test_the_wheels_are_for_the_runtime_and_architecture_of_the_functions(small):
    from infra.build_functions import PLATFORM, PYTHON_VERSION  # noqa: PLC0415

    function = small.function("functions.push.handler")
    assert function["Runtime"] == f"python{PYTHON_VERSION}"
    assert PLATFORM.startswith("aarch64") is (function["Architectures"] == ["arm64"])


def test_every_function_gets_the_variables_that_its_settings_read(assembly, flat):
    for function in assembly.properties("AWS::Lambda::Function"):
        given = {
            name: flat(value) for name, value in function["Environment"]["Variables"].items()
        }
        read = read_settings(given | {"AWS_REGION": "r-1"})
        ours = {name for name in read.__slots__ if getattr(read, name) in ("", ())}
        greets = function["Handler"] == "functions.connect.handler"
        assert ours == {"callback_url_candles"} | (set() if greets else {"welcome_function"})
        assert len(given) == len(read.__slots__) - (2 if greets else 3)


def test_only_connect_may_have_welcome_said(assembly, flat):
    for handler in ("connect", "register"):
        allowed = assembly.allowed(f"Runs functions.{handler}.handler")
        invoked = [what for action, what in allowed if action == "lambda:InvokeFunction"]
        assert bool(invoked) is (handler == "connect")
        assert all("Welcome" in what for what in invoked)


def test_the_callback_addresses_are_the_stages_management_apis(small, flat):
    variables = small.function("functions.push.handler")["Environment"]["Variables"]
    api = web_socket(small)
    for stage in STAGES:
        assert flat(variables[f"CALLBACK_URL_{stage.upper()}"]) == (
            f"https://${{{api}}}.execute-api.${{AWS::Region}}.${{AWS::URLSuffix}}/{stage}"
        )


def sources(assembly):
    """The event sources by their groups."""
    return {
        one["AmazonManagedKafkaEventSourceConfig"]["ConsumerGroupId"]: one
        for one in assembly.properties("AWS::Lambda::EventSourceMapping")
    }


def test_each_topic_for_clients_is_read_from_now_on_in_a_group_of_its_own(assembly, flat):
    found = sources(assembly)
    pushed = {group: topic for group, topic in PUSHED.items() if group != "push-prices"}
    assert set(found) == {*pushed, "history"}
    for group, topic in pushed.items():
        mapping = found[group]
        assert mapping["Topics"] == [topic.name]
        assert mapping["StartingPosition"] == "LATEST"
        assert "FilterCriteria" not in mapping
        assert "DestinationConfig" not in mapping
        assert "KafkaCluster" in flat(mapping["EventSourceArn"])


def test_history_reads_all_candles_that_there_are(assembly):
    mapping = sources(assembly)["history"]
    assert mapping["Topics"] == ["candles"]
    assert mapping["StartingPosition"] == "TRIM_HORIZON"


def test_small_pushes_on_demand_with_lambdas_own_half_second(small):
    for mapping in sources(small).values():
        assert "ProvisionedPollerConfig" not in mapping
        assert "MaximumBatchingWindowInSeconds" not in mapping
        assert "MaximumRetryAttempts" not in mapping


def test_standard_pushes_at_once_and_gives_stale_prices_up_but_no_event(standard):
    for mapping in sources(standard).values():
        (topic,) = mapping["Topics"]
        lasts = topic in LASTING
        assert mapping["MaximumBatchingWindowInSeconds"] == 0
        assert mapping.get("MaximumRecordAgeInSeconds") == (None if lasts else 60)
        assert mapping.get("BisectBatchOnFunctionError") is (None if lasts else True)
        pollers = mapping["ProvisionedPollerConfig"]
        assert pollers["PollerGroupName"] == "tapedeck"
        assert pollers["MaximumPollers"] <= TOPICS[topic].partitions


def test_the_event_sources_wait_for_the_permissions_that_lambda_checks(assembly):
    for mapping in assembly.all("AWS::Lambda::EventSourceMapping").values():
        policies = {name for name in mapping["DependsOn"] if "Policy" in name}
        statements = [
            statement
            for name in policies
            for statement in assembly.all("AWS::IAM::Policy")[name]["Properties"][
                "PolicyDocument"
            ]["Statement"]
        ]
        assert "kafka-cluster:ReadData" in str(statements)
