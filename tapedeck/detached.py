"""`tapedeck up --detach`: the same stack under a supervisor of its own session.

settings ─► another `tapedeck up` ─► run file says ready
"""

import subprocess
import sys
import time
from collections.abc import Callable

from local import data_folder
from local.processes import last_words
from local.run_file import RunFile
from local.stack import already_up
from local.stack_settings import REPLAY, StackSettings
from marketdata.errors import InputError, LocalError

COMMAND = (sys.executable, "-m", "tapedeck")
POLL_S = 0.1
BAD_INPUT = 2


def start_detached(settings: StackSettings, tell: Callable[[str], None]) -> RunFile:
    """Start the stack in the background and wait until it is ready.

    Raises:
        LocalError: it did not start; the text is its own last line.
        InputError: the same, when what was given is wrong.
    """
    data_folder.prepare(settings.data)
    log = settings.logs / "up.log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            [*COMMAND, "up", *arguments(settings)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    told = 0
    while True:
        lines = log.read_text(errors="replace").splitlines()
        running = already_up(settings.data)
        if running:
            return running
        code = child.poll()
        if code is not None:
            sentence = last_words(log).removeprefix("tapedeck: ")
            raise (InputError if code == BAD_INPUT else LocalError)(sentence)
        for line in lines[told:]:
            tell(line)
        told = len(lines)
        time.sleep(POLL_S)


def arguments(settings: StackSettings) -> list[str]:
    """The options that make the same settings again."""
    given = ["--data", str(settings.data), "--host", settings.host, "--speed", settings.speed]
    given += [
        "--seed",
        str(settings.seed),
        "--ports",
        "free" if settings.free_ports else "default",
    ]
    given += [f"--{settings.mode}"] if settings.mode != REPLAY else []
    given += ["--streams", str(settings.streams)] if settings.streams else []
    given += ["--once"] if settings.once else []
    for path in settings.recordings:
        given += ["--replay", str(path)]
    return given
