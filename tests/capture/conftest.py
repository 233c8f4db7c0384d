"""Simulated exchanges and capture stages, ended and checked after each test."""

import contextlib
import importlib.util
import os
import sys
from pathlib import Path

import pytest


def _load(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


rig = _load("capture_rig")
venues_rig = _load("venues_rig")

RECORDINGS = Path(
    os.environ.get(
        "TAPEDECK_RECORDINGS", Path(__file__).parents[2].parent / "shared/recordings"
    )
)


@pytest.fixture
def recordings():
    """The folder of recorded traffic."""
    if not RECORDINGS.is_dir():
        pytest.skip(f"no recordings at {RECORDINGS}: this test needs recorded traffic")
    return RECORDINGS


@pytest.fixture
def exchange():
    """`exchange(*options)` starts a simulator with two tickers."""
    with contextlib.ExitStack() as stack:

        def start(*options, tls=None):
            options = options or ("--tickers", "BTCUSDT,ETHUSDT", "--seed", "11")
            server = rig.Exchange(*options, tls=tls)
            stack.callback(server.close)
            return server

        yield start


@pytest.fixture
def capture():
    """`capture(exchange, tickers, types, …)` starts a stage that writes into a list."""
    with contextlib.ExitStack() as stack:

        def start(*arguments, **options):
            stage = rig.Capture(*arguments, **options)
            stack.callback(stage.end)
            return stage

        yield start
