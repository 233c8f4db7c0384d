"""`python -m container_worker.postgres`: the stage `postgres` as a process of its own.

    variables ─► settings ─► run(settings, stop) ─► exit code

Exit codes: 0 after a clean end (SIGTERM included), 1 when the stage failed, 2 when what it was
given is wrong.
"""

import signal
import sys
import threading
from dataclasses import replace

from container_worker import log
from container_worker.__main__ import BAD_INPUT, FAILED, _find_brokers, _say
from container_worker.postgres import run
from container_worker.postgres.settings import read_postgres
from container_worker.settings import environment
from marketdata.errors import InputError, TapedeckError

STAGE = "postgres"


def main() -> int:
    """Run until SIGTERM or SIGINT; the exit code."""
    log.configure(STAGE)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = read_postgres(environment())
        return run(replace(settings, kafka=_find_brokers(settings.kafka)), stop)
    except InputError as error:
        return _say(STAGE, error, BAD_INPUT)
    except TapedeckError as error:
        return _say(STAGE, error, FAILED)


if __name__ == "__main__":
    sys.exit(main())
