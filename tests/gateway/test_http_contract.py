"""The HTTP API against its own OpenAPI document, by schemathesis in a process of its own."""

import importlib.util
import json
import os
import subprocess
from pathlib import Path
from uuid import uuid4

import boto3
import msgspec
import pytest

from functions.candles import CandlesTable
from functions.logic.candle_items import CandleRecord, PairSource
from marketdata.messages import Candle

pytestmark = pytest.mark.services

LOCK, FOLDER = "requirements/clients.txt", ".clients-venv"
SEED = int(os.environ.get("TAPEDECK_HTTP_SEED", "20261121"))
NOT_SAID = """
import schemathesis


@schemathesis.hook
def filter_case(context, case):
    # That `from` is not later than `to` is what no schema can say.
    query = case.query or {}
    try:
        return int(query["from"]) <= int(query["to"])
    except (KeyError, TypeError, ValueError):
        return True
"""


def _environment():
    path = Path(__file__).parents[1] / "clients/environment.py"
    spec = importlib.util.spec_from_file_location("http_contract_environment", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def python():
    """The interpreter that has schemathesis."""
    environment = _environment()
    try:
        return environment.interpreter(LOCK, FOLDER)
    except environment.NoNetworkError as error:
        pytest.skip(
            f"{FOLDER} does not hold what {LOCK} says, and it cannot be fetched: {error}"
        )


@pytest.fixture(scope="module")
def filled(tables):
    """Tables with the pair of the document's example."""
    client = boto3.client("dynamodb", endpoint_url=tables["AWS_ENDPOINT_URL_DYNAMODB"])
    table = CandlesTable(client, tables["CANDLES_TABLE"])
    at = PairSource("blockchain", "BTC/EUR", "BTC-EUR")
    raw = msgspec.Raw(b"15551.51")
    for minute in range(30):
        start = 1_606_165_140_000 + minute * 60_000
        candle = Candle(at.symbol, start, *[raw] * 5, at.source, "1m", closed=True)
        table.put(CandleRecord(candle, at.ticker, "t", minute, 1))
    table.put_pair(at)


@pytest.fixture(scope="module")
def api(start_gateway, filled, s3):
    """A gateway whose functions have an archive, too."""
    with start_gateway(AWS_ENDPOINT_URL_S3=s3) as gateway:
        yield gateway


def run(python, api, folder, *, examples, seed):
    """The exit code and the output of one run with all checks."""
    (folder / "not_said.py").write_text(NOT_SAID)
    command = [python, "-m", "schemathesis.cli", "run", f"{api.api}/api/openapi.json"]
    command += ["--checks", "all", "--seed", str(seed), "--max-examples", str(examples)]
    command += ["--report", "json", "--report-json-path", folder / "report.json"]
    command += ["--output-truncate", "false", "--warnings", "off", "--no-color"]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "not_said", "PYTHONPATH": str(folder)}
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    again = f"TAPEDECK_HTTP_SEED={seed} .venv/bin/python -m pytest -q {Path(__file__).name}"
    assert done.returncode == 0, f"{again}\n{done.stdout[-8000:]}\n{done.stderr[-2000:]}"
    return json.loads((folder / "report.json").read_text())


def test_whatever_is_asked_the_answer_is_as_the_document_says(python, api, tmp_path):
    report = run(python, api, tmp_path, examples=8, seed=SEED)
    assert report


@pytest.mark.soak
def test_whatever_is_asked_for_long_the_answer_is_as_the_document_says(python, api, tmp_path):
    report = run(python, api, tmp_path, examples=1000, seed=uuid4().int % 10**9)
    assert report
