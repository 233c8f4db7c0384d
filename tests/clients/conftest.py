"""Other people's libraries, each in a process of its own, before our simulators."""

import contextlib
import importlib.util
import sys
from pathlib import Path

import pytest


def _load(name):
    spec = importlib.util.spec_from_file_location(
        f"clients_{name}", Path(__file__).with_name(f"{name}.py")
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[f"clients_{name}"] = module
    spec.loader.exec_module(module)
    return module


environment = _load("environment")
simulators_process = _load("simulators")
client_process = _load("client")


def _python(lock, folder):
    try:
        return environment.interpreter(lock, folder)
    except environment.NoNetworkError as error:
        pytest.skip(
            f"{folder} does not hold what {lock} says, and it cannot be fetched: {error}"
        )


@pytest.fixture(scope="session")
def clients_python():
    """The interpreter with the libraries of requirements/clients.txt."""
    return _python("requirements/clients.txt", ".clients-venv")


@pytest.fixture(scope="session")
def bench_python():
    """The interpreter with cryptofeed, which is built from source: for the soak only."""
    return _python("requirements/bench.txt", ".bench-venv")


@pytest.fixture(scope="session")
def truth():
    """The comparisons."""
    return _load("truth")


@pytest.fixture(scope="module")
def simulators(request, tmp_path_factory):
    """The exchanges of the module's SERVED in one process, with TLS where it says so."""
    module = request.module
    running = simulators_process.Simulators(
        module.SERVED,
        tmp_path_factory.mktemp("simulators"),
        tls=getattr(module, "TLS", False),
    )
    yield running
    running.stop()


@pytest.fixture(scope="module")
def start_client(tmp_path_factory):
    """`start_client(python, script, addresses, **environment)`: running for the module."""
    with contextlib.ExitStack() as stack:

        def start(python, script, addresses, **environment):
            log = tmp_path_factory.mktemp(script) / "stderr"
            client = client_process.Client(python, script, addresses, log, **environment)
            stack.callback(client.stop)
            return client

        yield start


@pytest.fixture(scope="session")
def becomes_true(truth, wait_until):
    """`becomes_true(simulator, ticker, book)`: fails unless `book()` comes to be the true one.

    They are compared while time stands still; a book that was being taken anew gets more of it.
    """

    def check(simulator, ticker, book):
        def once():
            with simulator.standing():
                true = truth.levels(simulator.book(ticker))
                with contextlib.suppress(AssertionError):
                    wait_until(lambda: (told := book()) and truth.levels(told) == true, 2)
                    return True
            return False

        wait_until(once, 30, f"the true book of {ticker}")

    return check
