"""A whole stack, as `make demo` runs it, and the runtimes of the documents' programs."""

import contextlib
import functools
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
import requests

from local import node_setup
from marketdata.errors import LocalError

ROOT = Path(__file__).parents[2]
GO_MODULE = ROOT / "examples" / "go"
SOURCES = Path(os.environ.get("TAPEDECK_SOURCES", ROOT.parent / "shared/sources"))


SYMBOLS = {("coinbase", "BTC/USD"), ("coinbase", "ETH/USD"), ("binance", "BTC/USDT")}


def _symbols(api):
    found = requests.get(f"{api}/api/symbols", timeout=10).json()["symbols"]
    return {(one["exchange"], one["symbol"]) for one in found}


def _load(path):
    name = f"documents_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


document_fences = _load(Path(__file__).with_name("fences.py"))
document_programs = _load(Path(__file__).with_name("programs.py"))
program_runs = _load(Path(__file__).with_name("program_runs.py"))
chromium = _load(Path(__file__).with_name("chromium.py"))
relays = _load(Path(__file__).with_name("held_relay.py"))
environment = _load(ROOT / "tests" / "clients" / "environment.py")


@pytest.fixture(scope="session")
def page_text():
    """`page_text(name)`: one of the documents that Tapedeck was asked to satisfy."""

    def read(name):
        path = SOURCES / name
        if not path.is_file():
            pytest.skip(f"no {name} in {SOURCES}: the documents are not part of the project")
        return document_fences.read(path)

    return read


@pytest.fixture(scope="session")
def fences():
    """How programs are cut out of a page."""
    return document_fences


@pytest.fixture(scope="session")
def programs():
    """Which programs there are."""
    return document_programs


@pytest.fixture(scope="session")
def held_relay():
    """The relay that holds what programs say to the protocol."""
    return relays


@pytest.fixture(scope="session")
def node():
    """Node, with the npm packages of examples/ installed."""
    try:
        node_setup.install()
    except LocalError as error:
        pytest.skip(f"the npm packages are not installed and cannot be fetched: {error}")
    return node_setup.node()


@pytest.fixture(scope="session")
def old_websockets_python():
    """An interpreter with websockets 13, for which the document's Python client is written."""
    try:
        return environment.interpreter("requirements/clients.txt", ".clients-venv")
    except environment.NoNetworkError as error:
        pytest.skip(f".clients-venv is not complete and cannot be fetched: {error}")


GO_BUILD_S = 500
"""The first time Go compiles its own library: 40 s of two idle cores, minutes of busy ones."""


@pytest.fixture(scope="session")
def go():
    """The `go` command of this machine."""
    found = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if not found:
        pytest.skip("no `go` on this machine: the Go client cannot be built")
    return found


@contextlib.contextmanager
def _held(urls, talk_of):
    """The addresses of relays: what programs say and hear there is what the stage knows."""
    faults, relayed = [], dict(urls)
    with contextlib.ExitStack() as open_ones:
        for stage in ("stream", "ws", "candles"):
            parts = urlsplit(urls[stage])
            talk = functools.partial(talk_of, stage)
            relay = open_ones.enter_context(relays.Relay(parts.port, talk, faults))
            there = parts._replace(netloc=f"{parts.hostname}:{relay.port}")
            relayed[stage] = urlunsplit(there)
        yield relayed
    assert not faults, faults[:5]


@pytest.fixture(scope="module")
def stack(tmp_path_factory, protocol_schema, wait_until):
    """The URLs of a whole stack on simulated exchanges, each with its own free port."""
    data = tmp_path_factory.mktemp("stack")

    def tapedeck(*arguments):
        command = [sys.executable, "-m", "tapedeck", *arguments, "--data", str(data)]
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False
        )

    try:
        up = tapedeck("up", "--simulate", "--ports", "free", "--detach")
        assert up.returncode == 0, up.stderr
        urls = json.loads(tapedeck("status", "--json").stdout)["urls"]
        wait_until(lambda: _symbols(urls["api"]) >= SYMBOLS, 60, f"{SYMBOLS} in /api/symbols")
        with _held(urls, protocol_schema.Talk) as relayed:
            yield relayed
    finally:
        tapedeck("down")


@pytest.fixture(scope="module")
def start(tmp_path_factory, wait_until):
    """`start(name, program, *command)`: runs a program in a folder of its own."""
    runs = []

    def run(name, program, *command, after=()):
        folder = tmp_path_factory.mktemp("program")
        one = program_runs.Run(
            folder, name, program, command=[*command, name, *after], wait_until=wait_until
        )
        runs.append(one)
        return one

    yield run
    for one in runs:
        one.kill()


@pytest.fixture(scope="module")
def browser(node, tmp_path_factory, wait_until):
    """A real Chromium, headless, that opens pages served from http://localhost."""
    try:
        one = chromium.Browser(node, tmp_path_factory.mktemp("profile"), wait_until)
    except chromium.NoBrowserError as error:
        pytest.skip(str(error))
    yield one
    one.close()


@pytest.fixture(scope="module")
def program(page_text, stack, fences, programs):
    """`program(name)`: its text with the misprints put right and this stack's address."""

    def read(name):
        of = programs.PROGRAMS[name]
        text = fences.fence(page_text(of.page), of.heading, of.language)
        changes = (*of.misprints, programs.address(of.url, stack))
        return fences.changed(text, *(fences.Change(*one) for one in changes))

    return read


@pytest.fixture(scope="module")
def run(request, program, programs, start):
    """`run(name)`: the program, running; those that wait for a ledger run from the start."""
    running = {}

    def once(name):
        if name not in running:
            of = programs.PROGRAMS[name]
            python = of.runtime == "python"
            runtime = sys.executable if python else request.getfixturevalue(of.runtime)
            running[name] = start(of.file, program(name), runtime)
        return running[name]

    for name in ("save-node", "save-python"):
        once(name)
    return once


@pytest.fixture(scope="module")
def chrono(page_text, stack, fences, programs):
    """`chrono(heading, number, misprint…)`: one of the page's smaller JavaScript blocks."""
    page = page_text(programs.CHRONO)

    def read(heading, number=0, *misprints, language="javascript"):
        text = fences.fence(page, heading, language, number)
        return fences.changed(text, *(fences.Change(*one) for one in misprints))

    return read


@pytest.fixture(scope="module")
def go_run(program, go, start, tmp_path_factory):
    """The document's Go program, built with the modules that examples/go locks, running."""
    folder = tmp_path_factory.mktemp("go")
    for name in ("go.mod", "go.sum"):
        (folder / name).write_bytes((GO_MODULE / name).read_bytes())
    (folder / "main.go").write_text(program("save-go"), encoding="utf-8")
    built = subprocess.run(
        [go, "build", "-o", "client", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=GO_BUILD_S,
        check=False,
    )
    if "dial tcp" in built.stderr or "no such host" in built.stderr:
        pytest.skip(f"the Go module of the client cannot be fetched: {built.stderr[-200:]}")
    assert built.returncode == 0, built.stderr
    return start("main.go", program("save-go"), folder / "client")
