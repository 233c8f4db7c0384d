"""Keeps the processes' logs bounded: at 10 MB a log is copied away and begun again.

The processes append, so that they go on at the new beginning; what is written between the
copy and the cut is lost, which is the price for not standing in their way.
"""

import shutil
from pathlib import Path

LARGEST_BYTES = 10 * 1024 * 1024


def rotate(folder: Path, largest_bytes: int = LARGEST_BYTES) -> None:
    """Cut every `*.log` of the folder that is too large; the one before is in `*.log.1`."""
    for log in folder.glob("*.log"):
        if log.stat().st_size > largest_bytes:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            with log.open("r+b") as file:
                file.truncate(0)
