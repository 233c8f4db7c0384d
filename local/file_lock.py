"""A lock between processes: held while a file descriptor is open, gone when its process is."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from marketdata.errors import LocalError


class LockTaken(LocalError):
    """Another process holds the lock."""


@contextmanager
def exclusive(path: Path, *, refuse: str | None = None) -> Iterator[None]:
    """Hold the lock file `path`; wait for another holder, or refuse with the sentence given.

    Raises:
        LockTaken: someone else holds it and `refuse` was given.
    """
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if refuse else 0))
        except BlockingIOError:
            raise LockTaken(refuse or str(path)) from None
        yield
