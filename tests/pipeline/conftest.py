"""Fixtures of the pipeline's tests: a real PostgreSQL, and the stage that writes to it."""

import importlib.util
import itertools
import os
import re
from pathlib import Path

import pytest

from container_worker import kafka as kafka_port
from container_worker.postgres.settings import DatabaseSettings
from container_worker.settings import KafkaSettings
from marketdata.topics import EVENTS, HOUR_MS, Topic

ROOT = Path(__file__).parents[2]
SOURCES = Path(os.environ.get("TAPEDECK_SOURCES", ROOT.parent / "shared/sources"))

_numbers = itertools.count(1)


def _load(name):
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"pipeline_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


postgres_server = _load("postgres_server")
stage_rig = _load("stage_rig")


@pytest.fixture(scope="session")
def postgres(wait_until):
    """A real server; who stops it starts it again."""
    with postgres_server.postgres(wait_until) as running:
        yield running


@pytest.fixture
def target(postgres):
    """The settings of a new, empty database."""
    name = f"events_{next(_numbers)}"
    postgres.query(f"CREATE DATABASE {name}")
    return DatabaseSettings(
        "127.0.0.1", name, "postgres", port=postgres.port, password=postgres_server.PASSWORD
    )


@pytest.fixture
def new_rig(kafka, postgres, target):
    """`new_rig()`: over a topic of its own; `new_rig(EVENTS)`: over that one."""
    made = []

    def make(topic=None):
        broker = KafkaSettings(bootstrap_servers=kafka)
        name = f"pipeline-test-{next(_numbers)}"
        topic = topic or Topic(name, EVENTS.partitions, HOUR_MS)
        kafka_port.create_missing(broker, [topic])
        made.append(stage_rig.Rig(broker, postgres, target, topic))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def rig(new_rig):
    """The stage over a topic of its own."""
    return new_rig()


@pytest.fixture(scope="session")
def event():
    """`event(number, data)`: one contract event."""
    return stage_rig.event


@pytest.fixture(scope="session")
def pipeline_text():
    """The pipeline file that sources/save-to-websocket.md prints."""
    page = SOURCES / "save-to-websocket.md"
    if not page.is_file():
        pytest.skip(f"no {page.name} in {SOURCES}: the documents are no part of the project")
    fences = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    [printed] = [text for text in fences if text.startswith("pipelines:")]
    return printed
