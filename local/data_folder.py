"""Whether a folder can hold a stack's data.

path ─► usable, or one sentence
"""

import os
import shutil
from pathlib import Path

from marketdata.errors import LocalError

NEEDED_BYTES = 500 * 1024 * 1024
MEBIBYTE = 1024 * 1024


def prepare(data: Path) -> None:
    """Make the folder with its subfolders `run` and `logs`.

    Raises:
        LocalError: it cannot be written, or the disk has too little room.
    """
    try:
        for folder in (data, data / "run", data / "logs"):
            folder.mkdir(parents=True, exist_ok=True)
        probe = data / "run" / f".probe-{os.getpid()}"
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
        free = shutil.disk_usage(data).free
    except OSError as error:
        raise LocalError(
            f"the data folder {data} cannot be written ({error.strerror}): choose another "
            "with --data"
        ) from error
    if free < NEEDED_BYTES:
        raise LocalError(
            f"the disk of {data} has {free // MEBIBYTE} MB left and the stack needs "
            f"{NEEDED_BYTES // MEBIBYTE} MB: make room, or choose another folder with --data"
        )
