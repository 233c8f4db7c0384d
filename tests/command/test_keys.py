"""`tapedeck keys` on the tables of a stack, local or deployed."""

import hashlib
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import boto3
import pytest
import typer
from typer.testing import CliRunner

from functions import authorize, settings, tables
from functions import dynamodb as functions_dynamodb
from local import run_file
from local.processes import Identity
from local.stack_settings import KEYS_TABLE
from local.tables import create_table
from marketdata.errors import InputError, StoreError
from tapedeck import keys

pytestmark = pytest.mark.services

OUTPUTS = """<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">
<DescribeStacksResult><Stacks><member><StackName>{name}</StackName>
<StackStatus>CREATE_COMPLETE</StackStatus><CreationTime>2026-01-01T00:00:00Z</CreationTime>
<Outputs><member><OutputKey>{output}</OutputKey><OutputValue>{table}</OutputValue></member>
</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"""
UNKNOWN = """<ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><Error>
<Type>Sender</Type><Code>ValidationError</Code><Message>Stack with id {name} does not exist
</Message></Error></ErrorResponse>"""


@pytest.fixture(scope="module")
def table(dynamodb):
    """The keys of the session's database; yields a client and their items' reader."""
    client = boto3.client("dynamodb", endpoint_url=dynamodb)
    if KEYS_TABLE not in client.list_tables()["TableNames"]:
        create_table(client, KEYS_TABLE)
    return client


@pytest.fixture
def items(table):
    """`items()`: what the table holds; it is empty before and after each test."""

    def read():
        return table.scan(TableName=KEYS_TABLE, ConsistentRead=True)["Items"]

    def empty():
        for item in read():
            table.delete_item(TableName=KEYS_TABLE, Key={k: item[k] for k in ("pk", "sk")})

    empty()
    yield read
    empty()


@pytest.fixture
def data(tmp_path, dynamodb, items):
    """The data folder of a stack whose database is the session's."""
    (tmp_path / "run").mkdir()
    urls = {"dynamodb": dynamodb}
    run = run_file.RunFile(Identity(1, ""), str(tmp_path), "simulate", urls, "ready")
    run_file.write(tmp_path, run)
    return tmp_path


@pytest.fixture
def command():
    """`command(*words)`: the result of `tapedeck keys`, in this process."""
    app = typer.Typer()
    app.callback()(lambda: None)
    keys.add_to(app)

    def run(*words):
        return CliRunner().invoke(app, ["keys", *map(str, words)])

    return run


@pytest.fixture
def cloud(dynamodb, monkeypatch):
    """CloudFormation's answers: TapedeckStorage names the table, Other something else."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_POST(self):
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            name = form["StackName"][0]
            outputs = {"TapedeckStorage": "KeysTable", "Other": "HttpUrl"}
            known = name in outputs
            body = OUTPUTS if known else UNKNOWN
            text = body.format(name=name, output=outputs.get(name), table=KEYS_TABLE).encode()
            self.send_response(200 if known else 400)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", address)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb)
    yield
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_new_key_is_alone_on_stdout_and_only_its_hash_is_stored(data, items):
    words = ["create", "first desk", "--scope", "operate", "--connections", "3", "--rate", "60"]
    words += ["--burst", "5", "--expires", "30d", "--data", str(data)]
    done = subprocess.run(
        [sys.executable, "-m", "tapedeck", "keys", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    key = done.stdout.removesuffix("\n")
    assert len(key) == 43
    assert set(key) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    [item] = items()
    assert item["pk"]["S"] == f"KEY#{hashlib.sha256(key.encode()).hexdigest()}"
    assert key not in json.dumps(item)
    assert key not in done.stderr
    assert item["id"]["S"] in done.stderr
    texts = {name: item[name]["S"] for name in ("name", "scope")}
    assert texts == {"name": "first desk", "scope": "operate"}
    numbers = {name: int(item[name]["N"]) for name in ("connections", "rate", "burst")}
    assert numbers == {"connections": 3, "rate": 60, "burst": 5}
    created_s, expires_s = int(item["created_ms"]["N"]) // 1000, int(item["exp"]["N"])
    assert expires_s - created_s == 30 * 86_400


def test_no_two_keys_and_no_two_ids_are_the_same(command, data, items):
    made = [json.loads(command("create", "x", "--json", "--data", data).output) for _ in "abc"]
    assert len({one["key"] for one in made}) == len({one["id"] for one in made}) == 3
    assert len(items()) == 3


def test_the_list_has_everything_but_the_key(command, data):
    made = json.loads(command("create", "desk", "--json", "--data", data).output)
    forever = {"created": made["created"], "expires": None}
    limits = {"connections": None, "rate": None, "burst": None}
    listed = command("list", "--json", "--data", data).output
    assert json.loads(listed)["keys"] == [
        {"id": made["id"], "name": "desk", "scope": "read", **forever, **limits}
    ]
    shown = command("list", "--data", data).output
    assert made["key"] not in listed + shown
    [title, row] = shown.splitlines()
    assert title.split()[:3] == ["id", "name", "scope"]
    assert (
        row.split() == [made["id"], "desk", "read", made["created"], "never"] + ["default"] * 3
    )


def test_a_key_that_is_over_is_listed_as_such(command, data, table):
    item = {"pk": "KEY#00", "sk": "META", "id": "old-1", "name": "by hand"}
    typed = {name: {"S": text} for name, text in item.items()} | {"exp": {"N": "1000000000"}}
    table.put_item(TableName=KEYS_TABLE, Item=typed)
    shown = command("list", "--data", data).output
    assert "2001-09-09T01:46:40.000Z (over)" in shown


def test_revoking_takes_the_key_away_and_tells_the_keeper(command, data, items):
    kept = json.loads(command("create", "kept", "--json", "--data", data).output)
    made = json.loads(command("create", "gone", "--json", "--data", data).output)
    said = command("revoke", made["id"], "--data", data).output
    assert said.startswith(f"key {made['id']} (gone) is revoked: it opens no connection")
    left = {item["pk"]["S"]: item for item in items()}
    assert set(left) == {f"KEY#{hashlib.sha256(kept['key'].encode()).hexdigest()}", "REVOKED"}
    assert left["REVOKED"]["sk"]["S"] == made["id"]
    assert (
        int(left["REVOKED"]["exp"]["N"]) - int(left["REVOKED"]["at_ms"]["N"]) // 1000 == 10_800
    )
    again = command("revoke", made["id"], "--data", data)
    assert isinstance(again.exception, InputError)
    assert f"has no key {made['id']}" in str(again.exception)


def test_a_key_that_was_made_lets_in_until_it_is_revoked(command, data, dynamodb, monkeypatch):
    monkeypatch.setenv("KEYS_TABLE", KEYS_TABLE)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb)
    forget()
    made = json.loads(command("create", "x", "--rate", "9", "--json", "--data", data).output)
    event = {
        "methodArn": "arn",
        "headers": {"Authorization": f"Bearer {made['key']}"},
        "requestContext": {"eventType": "CONNECT", "stage": "stream"},
    }
    told = authorize.handler(event, None)["context"]
    assert told == {"key_id": made["id"], "scope": "read", "rate": "9"}
    command("revoke", made["id"], "--data", data)
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize.handler(event, None)
    forget()


def forget():
    """Have the functions read their settings anew."""
    for made in (settings.settings, functions_dynamodb._client, tables.keys_table):
        made.cache_clear()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["create", "  "], "NAME"),
        (["create", "x", "--scope", "admin"], "--scope admin"),
        (["create", "x", "--expires", "soon"], "--expires soon"),
        (["create", "x", "--data", "/nowhere"], "no stack is up on /nowhere"),
        (["list", "--data", "/nowhere"], "no stack is up on /nowhere"),
        (["revoke", "x", "--data", "/nowhere"], "no stack is up on /nowhere"),
    ],
)
def test_what_cannot_be_used_is_named_before_anything_is_made(command, words, named):
    error = command(*words).exception
    assert isinstance(error, InputError)
    assert named in str(error)


@pytest.mark.parametrize("option", ["--connections", "--rate", "--burst"])
def test_a_limit_of_none_is_refused(command, option):
    done = command("create", "x", option, "0")
    assert done.exit_code == 2
    assert option in done.output


def test_a_database_that_does_not_answer_is_one_sentence(command, data, tmp_path):
    run = run_file.read(data)
    run.urls["dynamodb"] = "http://127.0.0.1:9"
    run_file.write(data, run)
    error = command("list", "--data", data).exception
    assert isinstance(error, StoreError)
    assert str(error).startswith(f"reading the keys of the stack on {data} failed: Could not")
    assert "\n" not in str(error)


def test_a_deployed_stacks_keys_are_in_the_table_that_it_names(command, cloud, items):
    made = command("create", "x", "--stack", "TapedeckStorage", "--json")
    [item] = items()
    assert item["id"]["S"] == json.loads(made.output)["id"]
    assert command("list", "--stack", "TapedeckStorage").output.count("\n") == 2
    command("revoke", item["id"]["S"], "--stack", "TapedeckStorage")
    assert [one["pk"]["S"] for one in items()] == ["REVOKED"]


@pytest.mark.parametrize(
    ("stack", "kind", "said"),
    [
        (
            "Other",
            InputError,
            "--stack Other: it has no output KeysTable; the keys are those of",
        ),
        ("None", StoreError, "ValidationError: Stack with id None does not exist"),
    ],
)
def test_a_stack_that_is_none_is_named(command, cloud, stack, kind, said):
    error = command("list", "--stack", stack).exception
    assert isinstance(error, kind)
    assert said in str(error)


def test_missing_credentials_are_one_sentence(command, cloud, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    error = command("list", "--stack", "TapedeckStorage").exception
    assert isinstance(error, StoreError)
    assert "Unable to locate credentials" in str(error)
