"""The environments in which other people's libraries live, made once and kept.

requirements/clients.txt ─► .clients-venv     requirements/bench.txt ─► .bench-venv
"""

import hashlib
import subprocess
import sys
from pathlib import Path

import uv

from local.file_lock import exclusive

ROOT = Path(__file__).parents[2]
_LONGEST_S = 150
_NO_NETWORK = ("dns error", "failed to lookup", "error sending request", "connect error")


class NoNetworkError(Exception):
    """The packages could not be fetched."""


def interpreter(lock, folder):
    """The Python with exactly what the lock file names; at most one process makes it.

    Raises:
        NoNetworkError: it is not there, and the package index cannot be reached.
    """
    lock, folder = ROOT / lock, ROOT / folder
    folder.mkdir(exist_ok=True)
    wanted = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    stamp, python = folder / ".holds", folder / "bin/python"
    with exclusive(folder / ".making"):
        if not stamp.exists() or stamp.read_text() != wanted:
            stamp.unlink(missing_ok=True)
            _run([sys.executable, "-m", "venv", "--without-pip", folder])
            sync = ["pip", "sync", "-q", "--require-hashes", "--python", python, lock]
            _run([uv.find_uv_bin(), *sync])
            stamp.write_text(wanted)
    return python


def _run(command):
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=_LONGEST_S, check=False
    )
    if done.returncode and any(words in done.stderr for words in _NO_NETWORK):
        raise NoNetworkError(done.stderr)
    assert done.returncode == 0, done.stderr
