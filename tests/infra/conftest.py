"""The CDK app's templates, synthesised once a session by the command that a user runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NODE_SECRET = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:node-AbCdEf"


class Assembly:
    """The templates of one synthesis, read as CloudFormation would."""

    def __init__(self, folder):
        self.folder = folder
        self.templates = {
            path.name.removesuffix(".template.json"): json.loads(path.read_text())
            for path in sorted(folder.glob("*.template.json"))
        }

    def all(self, kind):
        """Every resource of a type, whole, by logical id."""
        return {
            name: resource
            for template in self.templates.values()
            for name, resource in template["Resources"].items()
            if resource["Type"] == kind
        }

    def properties(self, kind):
        """The properties of every resource of a type."""
        return [resource.get("Properties", {}) for resource in self.all(kind).values()]

    def only(self, kind):
        """The properties of the one resource of a type."""
        (found,) = self.properties(kind)
        return found

    def function(self, handler):
        """The properties of the Lambda function with this handler."""
        (found,) = [
            properties
            for properties in self.properties("AWS::Lambda::Function")
            if properties["Handler"] == handler
        ]
        return found

    def statements(self, role):
        """What the policies say that are attached to the role with this description."""
        (role_id,) = [
            name
            for name, resource in self.all("AWS::IAM::Role").items()
            if resource["Properties"].get("Description") == role
        ]
        return [
            statement
            for policy in self.properties("AWS::IAM::Policy")
            if {"Ref": role_id} in policy["Roles"]
            for statement in policy["PolicyDocument"]["Statement"]
        ]

    def allowed(self, role):
        """What a role may do, as pairs of action and resource text."""
        return {
            (action, text(resource))
            for statement in self.statements(role)
            for action in listed(statement["Action"])
            for resource in listed(statement["Resource"])
        }


def listed(value):
    return value if isinstance(value, list) else [value]


def text(value):
    """A value with its intrinsic functions written out: `${Name}`, `${Name.Arn}`."""
    if isinstance(value, str):
        return value
    match value:
        case {"Ref": name}:
            written = f"${{{name}}}"
        case {"Fn::GetAtt": path}:
            written = f"${{{'.'.join(path)}}}"
        case {"Fn::ImportValue": name}:
            written = f"${{import {name}}}"
        case {"Fn::Join": [glue, parts]}:
            written = glue.join(map(text, parts))
        case {"Fn::Select": [index, {"Fn::Split": [separator, whole]}]}:
            written = f"{text(whole)}.split({separator})[{index}]"
        case _:
            written = json.dumps(value, sort_keys=True)
    return written


def synthesise(folder, *options):
    """Runs the app as `make synth` does, on a machine that has no Node, Docker or account."""
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "infra.app",
            "--sources-only",
            "--output",
            str(folder),
            *options,
        ],
        cwd=ROOT,
        # HOME is where the CDK's unpacked library is kept from one run to the next.
        env={
            "PATH": "/nowhere",
            "HOME": os.environ["HOME"],
            "TMPDIR": str(folder.parent),
            "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
            "AWS_CONFIG_FILE": "/nowhere",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _assembly(tmp_path_factory, name, *options):
    folder = tmp_path_factory.mktemp(name) / "cdk.out"
    done = synthesise(folder, *options)
    assert done.returncode == 0, done.stderr
    return Assembly(folder)


@pytest.fixture(scope="session")
def run_app():
    return synthesise


@pytest.fixture(scope="session")
def flat():
    return text


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """Everything at its default."""
    return _assembly(tmp_path_factory, "small")


@pytest.fixture(scope="session")
def standard(tmp_path_factory):
    """The big size with other values wherever they can be had, but for the sign-in."""
    return _assembly(
        tmp_path_factory,
        "standard",
        *("-c", "size=standard", "-c", "access_logs=true"),
        *("-c", "alarm_email=someone@example.org", "-c", "on_delete=destroy"),
        *("-c", "image=example/tapedeck:1", "-c", "binance_ws_url=wss://example.org:7443/ws"),
        *("-c", "streams=tests/infra/streams_of_all.yaml", "-c", "stockbit_wire=channel"),
        *("-c", f"stellar_auth_secret={NODE_SECRET}"),
        *("-c", "page_origin=https://page.example.org"),
    )


@pytest.fixture(scope="session")
def scram(tmp_path_factory):
    """The small size with a password for the worker, and an image of the account's own."""
    image = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/mine/tapedeck:7"
    options = ("-c", "kafka_auth=scram", "-c", f"image={image}")
    return _assembly(tmp_path_factory, "scram", *options)


@pytest.fixture(params=["small", "standard"])
def assembly(request):
    return request.getfixturevalue(request.param)
