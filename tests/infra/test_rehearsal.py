"""A rehearsal: the real CDK command deploys all five stacks to an emulated account.

The account is MiniStack, in a virtual environment of its own because it pins another botocore.
What it cannot take is listed here by name and left out of the templates; everything else is
deployed as it stands, and a real client talks to the result (rule 34).
"""

import base64
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import boto3
import pytest
import websocket
from botocore.exceptions import ClientError

STAGES = ("stream", "ws")
ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).with_name("rehearsal")
UNSUPPORTED = {
    "AWS::ApiGatewayV2::RouteResponse",
    "AWS::EC2::FlowLog",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::MSK::Cluster",
    "AWS::MSK::Configuration",
    "AWS::MSK::Topic",
}
"""What MiniStack 1.5.33 refuses, and a whole template with it."""
REFUSALS = {401, 403, 500}
"""API Gateway answers 401 to an authorizer that raises `Unauthorized`, MiniStack 500."""
CLUSTER = "arn:aws:kafka:us-east-1:000000000000:cluster/tapedeck/00000000-0000-0000-0000-0000-1"
KEY = "a key that is known in the rehearsal only"
UPDATE = {
    "type": "price_update",
    "symbol": "BTC/USDT",
    "price": 61000.5,
    "volume": None,
    "timestamp": "2026-11-20T12:00:00.000Z",
    "source": "binance",
    "rates": ["250ms", "1s", "10s"],
}

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]


def run(*command, cwd, env=None):
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory, wait_until):
    """The endpoint of an account that is empty and answers."""
    folder = tmp_path_factory.mktemp("account")
    python = folder / "venv" / "bin" / "python"
    run(sys.executable, "-m", "venv", "venv", cwd=folder)
    install = (python, "-m", "pip", "install", "-q", "--no-deps", "--require-hashes", "-r")
    run(*install, HERE / "ministack.txt", cwd=folder)
    port = free_port()
    environment = {
        "PATH": f"{python.parent}:/usr/bin:/bin",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
    }
    endpoint = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [python, "-m", "ministack"], cwd=folder, env=environment, stdout=log, stderr=log
        )
        try:
            wait_until(lambda: answers(endpoint), seconds=30, what="MiniStack's first answer")
            yield endpoint
        finally:
            server.terminate()
            server.wait(20)


def answers(endpoint):
    try:
        with urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def client(emulator):
    """boto3 clients of the account."""
    session = boto3.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
    )
    made = {}

    def of_service(service):
        if service not in made:
            made[service] = session.client(service, endpoint_url=emulator)
        return made[service]

    yield of_service
    for one in made.values():
        one.close()


@pytest.fixture(scope="module")
def templates(tmp_path_factory, run_app):
    """The real templates, with functions whose dependencies run on this machine."""
    folder = tmp_path_factory.mktemp("rehearsal")
    staged = folder / "functions"
    uv = (sys.executable, "-m", "uv", "pip", "install", "-q", "--no-deps", "--require-hashes")
    lock = ROOT / "requirements" / "functions.txt"
    run(*uv, "--target", staged, "-r", lock, cwd=folder)
    for package in ("functions", "marketdata"):
        shutil.copytree(ROOT / package, staged / package)
    command = (sys.executable, "-m", "infra.app", "--output", folder / "cdk.out")
    run(*command, "-c", f"functions={staged}", "-c", "image=example/worker:1", cwd=ROOT)
    return folder / "cdk.out"


def test_what_the_account_cannot_take_is_what_is_left_out(client, templates):
    kinds = {
        one["Type"]
        for path in templates.glob("*.template.json")
        for one in json.loads(path.read_text())["Resources"].values()
    }
    every = {f"One{number}": {"Type": kind} for number, kind in enumerate(sorted(kinds))}
    with pytest.raises(ClientError, match="Unrecognized resource types") as caught:
        client("cloudformation").create_stack(
            StackName="Probe", TemplateBody=json.dumps({"Resources": every})
        )
    assert set(re.findall(r"AWS::\w+::\w+", str(caught.value))) == UNSUPPORTED


def without(template, endpoint):
    """A template without the unsupported resources, whose functions post to `endpoint`."""
    resources = template["Resources"]
    gone = {name for name, one in resources.items() if one["Type"] in UNSUPPORTED}

    def rewritten(value):
        if isinstance(value, list):
            return [
                rewritten(one) for one in value if not (isinstance(one, str) and one in gone)
            ]
        if not isinstance(value, dict):
            return value
        if value.get("Fn::GetAtt", [""])[0] in gone:
            return CLUSTER
        if value.get("Ref") in gone:
            return value["Ref"]
        if "CALLBACK_URL_STREAM" in value:
            api = next(
                name
                for name, one in resources.items()
                if "RouteSelectionExpression" in str(one)
                and one["Type"] == "AWS::ApiGatewayV2::Api"
            )
            address = [f"{endpoint}/_aws/execute-api/", {"Ref": api}]
            return {
                **{name: rewritten(one) for name, one in value.items()},
                **{
                    f"CALLBACK_URL_{stage.upper()}": {"Fn::Join": ["", [*address, f"/{stage}"]]}
                    for stage in STAGES
                },
            }
        return {name: rewritten(one) for name, one in value.items()}

    kept = {name: rewritten(one) for name, one in resources.items() if name not in gone}
    return {**rewritten({**template, "Resources": {}}), "Resources": kept}


@pytest.fixture(scope="module")
def outputs(emulator, templates, client, tmp_path_factory):
    """What the stacks put out after `cdk bootstrap` and `cdk deploy --all`."""
    folder = tmp_path_factory.mktemp("command")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    environment = {
        **{name: os.environ[name] for name in os.environ if name.lower().endswith("_proxy")},
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": os.environ["HOME"],
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": emulator,
        "AWS_ENDPOINT_URL_S3": emulator,
        "CI": "1",
    }
    run("npm", "ci", "--no-audit", "--no-fund", cwd=folder, env={**os.environ, **environment})
    rewritten = folder / "cdk.out"
    shutil.copytree(templates, rewritten)
    for path in rewritten.glob("*.template.json"):
        path.write_text(json.dumps(without(json.loads(path.read_text()), emulator)))
    cdk = (folder / "node_modules" / ".bin" / "cdk", "--app", rewritten)
    run(*cdk, "bootstrap", "aws://000000000000/us-east-1", cwd=folder, env=environment)
    deploy = (*cdk, "deploy", "--all", "--require-approval", "never", "--outputs-file", "out")
    run(*deploy, cwd=folder, env=environment)
    found = json.loads((folder / "out").read_text())
    add_route_responses(client("apigatewayv2"), found["TapedeckRealtime"]["StreamUrl"])
    add_key_and_instrument(client("dynamodb"), found["TapedeckStorage"]["KeysTable"])
    return found


def add_route_responses(gateway, url):
    """What the template says with AWS::ApiGatewayV2::RouteResponse."""
    api = re.search(r"//(\w+)\.", url)[1]
    for route in gateway.get_routes(ApiId=api)["Items"]:
        if route["RouteKey"] in ("unsubscribe", "ping", "$default"):
            gateway.create_route_response(
                ApiId=api, RouteId=route["RouteId"], RouteResponseKey="$default"
            )


def add_key_and_instrument(dynamodb, keys):
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    entry = {"id": {"S": "rehearsal"}, "name": {"S": "rehearsal"}, "scope": {"S": "read"}}
    dynamodb.put_item(
        TableName=keys, Item={"pk": {"S": f"KEY#{digest}"}, "sk": {"S": "META"}, **entry}
    )
    names = dynamodb.list_tables()["TableNames"]
    (instruments,) = [name for name in names if "Instruments" in name]
    plain = {"symbol": "BTC/USDT", "ticker": "BTCUSDT", "exchange": "binance"}
    plain |= {"base": "BTC", "quote": "USDT", "sk": "binance"}
    for name in ("BTC/USDT", "BTCUSDT"):
        item = {field: {"S": value} for field, value in {**plain, "pk": f"NAME#{name}"}.items()}
        item["channels"] = {"L": [{"S": "prices"}]}
        dynamodb.put_item(TableName=instruments, Item=item)


@pytest.fixture
def connect(outputs, emulator, protocol_schema):
    """Opens a client's connection as the API's own host name would be dialled."""
    opened = []

    def dial(query="", stage="stream", **options):
        host = re.search(r"//([^/]+)/", outputs["TapedeckRealtime"]["StreamUrl"])[1]
        address = f"{emulator.replace('http', 'ws')}/{stage}{query}"
        opened.append(protocol_schema.connect(address, host=host, timeout=20, **options))
        return opened[-1]

    yield dial
    for one in opened:
        one.close()


def said(connection):
    return json.loads(connection.recv())


def send(connection, **message):
    connection.send(json.dumps(message))
    return said(connection)


QUERY = f"?api_key={KEY.replace(' ', '%20')}"


def test_all_five_stacks_are_deployed(outputs, client):
    stacks = client("cloudformation").describe_stacks()["Stacks"]
    states = {one["StackName"]: one["StackStatus"] for one in stacks}
    assert {name: states[name] for name in outputs} == dict.fromkeys(outputs, "CREATE_COMPLETE")
    assert {f"Tapedeck{name}" for name in ("Network", "Storage", "Worker", "Realtime")} <= set(
        states
    )


def test_a_key_in_the_header_or_in_the_query_lets_a_client_in(connect):
    for connection in (connect(QUERY), connect(header=[f"Authorization: Bearer {KEY}"])):
        answer = send(connection, type="ping")
        assert answer["type"] == "pong"


def test_no_key_and_a_wrong_key_are_refused(connect):
    for query in ("", "?api_key=wrong"):
        with pytest.raises(websocket.WebSocketBadStatusException) as caught:
            connect(query)
        assert caught.value.status_code in REFUSALS


def test_subscribe_push_and_unsubscribe_reach_a_real_client(connect, client):
    connection = connect(QUERY)
    assert send(connection, type="subscribe", symbols=["BTC/USDT"])["type"] == "subscribed"
    assert push(client("lambda"), UPDATE) == 200
    update = said(connection)
    assert update == {name: value for name, value in UPDATE.items() if name != "rates"}
    assert send(connection, type="unsubscribe")["type"] == "unsubscribed"
    assert push(client("lambda"), UPDATE) == 200
    assert send(connection, type="ping")["type"] == "pong"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("no json", "VALIDATION_ERROR"),
        ('{"type":"dance"}', "VALIDATION_ERROR"),
        ('{"type":"subscribe","symbols":["NO/SUCH"]}', "UNKNOWN_SYMBOL"),
    ],
)
def test_a_message_that_cannot_be_served_is_answered_with_an_error(text, code, connect):
    connection = connect(QUERY)
    connection.send(text)
    answer = said(connection)
    assert (answer["type"], answer["code"]) == ("error", code)


EVENT = {
    "type": "contract_event",
    "ledger": 1454282,
    "transaction_hash": "ab" * 32,
    "contract_id": "CCW67TSZV3SSS2HXMBQ5JFGCKJNXKZM7UQUWUZPUTHXSTZLEO7SJMI75",
    "topics": [{"symbol": "transfer"}, {"string": "USDC:G"}],
    "data": {"i128": "1000000000"},
    "id": "0006246093679616000-0000000001",
    "timestamp": "2026-11-20T12:00:00Z",
    "event_type": "contract",
    "transaction_index": 1,
    "operation_index": 0,
    "in_successful_call": True,
}


def test_a_registered_client_is_welcomed_and_gets_the_events_that_match(connect, client):
    connection = connect(QUERY, stage="ws")
    filters = {"types": ["payment"], "asset_codes": ["USDC"], "min_amount": "100"}
    connection.send(json.dumps({"type": "register", "filters": filters}))
    assert said(connection)["type"] == "welcome"
    assert said(connection)["filters"] == {**filters, "account_ids": []}
    small = {**EVENT, "data": {"i128": "999999999"}}
    for offset, event in enumerate((small, EVENT)):
        functions = client("lambda")
        assert push(functions, event, "events", b"stellar:events", offset) == 200
    assert said(connection) == EVENT


def push(functions, update, topic="ticks", key=b"binance:BTCUSDT", offset=1):
    """Invokes the push function as the event source would; its status."""
    (name,) = [
        one["FunctionName"]
        for one in functions.list_functions()["Functions"]
        if one["Handler"] == "functions.push.handler"
    ]
    record = {
        "topic": topic,
        "partition": 0,
        "offset": offset,
        "timestamp": 1_795_176_000_000,
        "timestampType": "LOG_APPEND_TIME",
        "key": base64.b64encode(key).decode(),
        "value": base64.b64encode(json.dumps(update).encode()).decode(),
        "headers": [],
    }
    event = {
        "eventSource": "aws:kafka",
        "eventSourceArn": CLUSTER,
        "bootstrapServers": "b-1.invalid:9098",
        "records": {f"{topic}-0": [record]},
    }
    answer = functions.invoke(FunctionName=name, Payload=json.dumps(event).encode())
    body = answer["Payload"].read().decode()
    assert "FunctionError" not in answer, body
    return answer["StatusCode"]


def refusal(request):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=20)
    with caught.value as answer:
        return answer.code


def test_the_symbols_are_there_for_who_has_a_key(outputs, emulator):
    host = outputs["TapedeckRealtime"]["HttpUrl"].split("//")[1]
    request = urllib.request.Request(f"{emulator}/api/symbols", headers={"Host": host})
    assert refusal(request) == 401
    request.add_header("Authorization", "Bearer wrong")
    assert refusal(request) in REFUSALS
    request.add_header("Authorization", f"Bearer {KEY}")
    with urllib.request.urlopen(request, timeout=20) as answer:
        body = json.load(answer)
    assert body["success"] is True
    assert [one["symbol"] for one in body["symbols"]] == ["BTC/USDT"]
