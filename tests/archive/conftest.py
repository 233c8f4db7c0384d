"""Fixtures of the archive's tests."""

import importlib.util
import sys
import uuid
from pathlib import Path

import pytest

from container_worker.object_store import ObjectStore, s3_client
from local import embedded


def load(name):
    """A module beside this file; tests are no package."""
    full = f"tests_archive_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            full, Path(__file__).with_name(f"{name}.py")
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


@pytest.fixture(scope="session")
def seeded_tape():
    """`seeded_tape(seed, steps)`: records and the objects that they must give."""
    return load("seeded_tape").seeded_tape


@pytest.fixture(scope="session")
def exchange_tape():
    """`exchange_tape(seed, steps)`: the same for other exchanges and for what comes late."""
    return load("exchange_tape").exchange_tape


@pytest.fixture(scope="session")
def archive_kafka(tmp_path_factory):
    """A broker of our own: these tests make the archived topics anew."""
    with embedded.kafka(tmp_path_factory.mktemp("archive-kafka")) as bootstrap:
        yield bootstrap


@pytest.fixture
def rig(archive_kafka, s3, tmp_path):
    """Topics made anew, a bucket of its own, and what a test does with them."""
    made = load("archive_rig").Rig(archive_kafka, s3, tmp_path / "archive.log")
    yield made
    made.close()
    if made.log.exists():
        sys.stdout.write(made.log.read_text()[-4000:])


@pytest.fixture(scope="session")
def rig_module():
    """The functions beside the rig."""
    return load("archive_rig")


@pytest.fixture
def object_bucket(s3):
    """Makes stores, each on an empty bucket of the real object store."""

    def make():
        bucket = f"objects-{uuid.uuid4().hex[:12]}"
        client = s3_client(s3)
        client.create_bucket(Bucket=bucket)
        return ObjectStore(bucket, client)

    return make


@pytest.fixture(scope="session")
def seeded_units():
    """The parts of a tape, for plans of one's own."""
    return load("seeded_tape")
