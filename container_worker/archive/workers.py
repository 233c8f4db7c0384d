"""A few threads that write, so that reading goes on meanwhile.

Daemon threads: a store that hangs does not keep the process from ending.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeVar

from marketdata.errors import TapedeckError

T = TypeVar("T")


class Workers:
    """`count` threads that take jobs in order. The number of jobs is bounded by the caller."""

    def __init__(self, count: int, name: str) -> None:
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()
        for number in range(count):
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True).start()

    def submit(self, job: Callable[[], T]) -> "Future[T]":
        """Runs `job` in one of the threads; its result or error is in the future.

        An error that is none of ours ends the thread as well, with its traceback.
        """
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(job())
            except TapedeckError as error:
                future.set_exception(error)
            except BaseException as error:
                future.set_exception(error)
                raise

        self._jobs.put(run)
        return future

    def _work(self) -> None:
        while True:
            self._jobs.get()()
