"""The outermost frame of a thread: whatever ends it is told, so that none ends unnoticed.

work ─► its end, or an error ─► fail
"""

import threading
from collections.abc import Callable

from container_worker import log
from marketdata.errors import TapedeckError, ThreadDied

Fail = Callable[[TapedeckError], None]


def outermost(work: Callable[[], object], fail: Fail) -> None:
    """Calls `work`, and `fail` with what ends it, if that is an error; raises nothing.

    What is no error of ours is in the log, with its traceback; its text may have anything in
    it, so that `fail` is told no more than what kind it is.
    """
    try:
        work()
    except TapedeckError as error:
        fail(error)
    except Exception as error:  # noqa: BLE001 - a thread's outermost frame
        log.crash("thread.died", error)
        name = threading.current_thread().name
        fail(ThreadDied(f"the thread {name} died of a {type(error).__name__}: see the log"))
