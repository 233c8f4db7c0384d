"""Blocking work beside a loop that must not block: a daemon thread and its result."""

import threading
from collections.abc import Callable


class Background:
    """Starts at once; an exception is kept for whoever asks."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def done(self) -> bool:
        """Whether it has ended well; raises what it raised."""
        if self._thread.is_alive():
            return False
        if self._error is not None:
            raise self._error
        return True

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 raised again in `done`
            self._error = error
