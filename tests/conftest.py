"""Fixtures for every test: real servers, started when asked for, ended with the session."""

import importlib.util
import os
import warnings
from pathlib import Path

import boto3
import pytest

from local import embedded

with warnings.catch_warnings():
    # kafka-python reads its schemas in a deprecated way, once, when it is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka as _kafka
    import kafka.admin as _kafka_admin

    KAFKA_PYTHON = (_kafka, _kafka_admin)

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local-secret",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
BUCKET = "tapedeck"


def _load(name):
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"tests_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


os.environ.update(CREDENTIALS)
os.environ.pop("AWS_PROFILE", None)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """In no order (pytest-randomly), but what takes long comes first."""
    place = _load("sharing").place
    items.sort(key=lambda item: place(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """For `--dist loadscope`: see sharing.py."""
    if config.getvalue("dist") != "loadscope":
        return None
    return _load("sharing").ScopeScheduling(config, log)


@pytest.fixture(scope="session")
def wait_until():
    """`wait_until(condition, seconds=10, what="…")`: polls every 20 ms, fails with `what`."""
    return _load("waiting").wait_until


@pytest.fixture(scope="session")
def protocol_schema():
    """The check of what clients say and hear against docs/asyncapi.yaml."""
    return _load("protocol_schema")


@pytest.fixture(scope="session")
def kafka(tmp_path_factory):
    """The bootstrap address of a real broker without topics."""
    with embedded.kafka(tmp_path_factory.mktemp("kafka")) as bootstrap:
        yield bootstrap


@pytest.fixture(scope="session")
def dynamodb(tmp_path_factory):
    """The endpoint URL of a real DynamoDB Local without tables."""
    with embedded.dynamodb(tmp_path_factory.mktemp("dynamodb")) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    """The endpoint URL of S3Proxy behind its lock, with the bucket `tapedeck`."""
    with embedded.s3(tmp_path_factory.mktemp("s3")) as endpoint:
        boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket=BUCKET)
        yield endpoint
