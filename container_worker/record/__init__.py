"""Stage `record`: raw frames of exchanges to files, with the time of their receipt.

wishes ─► a Recorder an exchange ─► <exchange>_<begin>.tape.gz
"""

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from container_worker.capture.orders import wanted_by
from container_worker.capture.reach import Reach
from container_worker.capture.timing import Timing
from container_worker.record.recorder import Recorder
from container_worker.record.tape_file import TapeFile
from container_worker.streams_file import Wish
from marketdata.errors import TapedeckError
from marketdata.raw_tape import TapeHeader, file_name

__all__ = ["Recorded", "record"]

_STEP_S = 0.1


class Recorded(NamedTuple):
    """What one file holds."""

    path: Path
    frames: int
    size: int


def record(
    wishes: Iterable[Wish],
    reach: dict[str, Reach],
    folder: Path,
    stop: threading.Event,
    *,
    told: Callable[[str], None],
    timing: Timing | None = None,
) -> list[Recorded]:
    """Records until `stop`; `told` gets a sentence for each trouble that passes.

    Raises:
        UnknownTicker: an exchange does not list what is wanted; nothing was written.
        ExchangeError: an exchange cannot be asked for its instruments.
        StoreError: a file cannot be written, or the disk is nearly full.
    """
    wishes = list(wishes)
    began_ms = time.time_ns() // 1_000_000
    recorders = []
    try:
        for name in sorted({wish.exchange for wish in wishes}):
            at = reach[name].endpoints
            tape = TapeFile(
                folder / file_name(name, began_ms),
                TapeHeader(1, name, at.ws, at.rest, reach[name].wire),
            )
            channels = list(wanted_by(wishes, name))
            recorders.append(Recorder(reach[name], channels, tape, told, timing or Timing()))
        for recorder in recorders:
            recorder.prepare()
        _keep(recorders, stop)
    except TapedeckError:
        for recorder in recorders:
            recorder.abandon()
        raise
    finally:
        for recorder in recorders:
            recorder.close()
    return [Recorded(one.tape.path, one.tape.frames, one.tape.size) for one in recorders]


def _keep(recorders: list[Recorder], stop: threading.Event) -> None:
    while not stop.wait(_STEP_S):
        now_s = time.monotonic()
        for recorder in recorders:
            recorder.step(now_s)
