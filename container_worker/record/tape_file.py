"""A recording on disk: gzip that can be read up to the last second, whatever ends the writer.

lines ─► buffer ─► gzip, flushed once a second ─► file
"""

import shutil
import threading
import zlib
from pathlib import Path

from marketdata.errors import StoreError
from marketdata.raw_tape import (
    BINARY,
    FRAME,
    RawLine,
    TapeHeader,
    encode_header,
    encode_line,
)

_LEAST_FREE = 256 * 1024 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_LEVEL = 6
_FLUSH_S = 1.0


class TapeFile:
    """Made at its first line; thread-safe. `frames` and `size` count what was written."""

    def __init__(self, path: Path, header: TapeHeader) -> None:
        self.path = path
        self.frames = 0
        self.size = 0
        self._pending = [encode_header(header)]
        self._lock = threading.Lock()
        self._flush_due_s = 0.0
        self._is_begun = False
        self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)

    def write(self, line: RawLine) -> None:
        """Takes a line; it is on disk after the next `flush`."""
        with self._lock:
            self._pending.append(encode_line(line))
            self.frames += line.kind in {FRAME, BINARY}

    def tick(self, now_s: float) -> None:
        """Flushes when a second has passed. Raises StoreError."""
        if now_s >= self._flush_due_s:
            self._flush_due_s = now_s + _FLUSH_S
            self.flush()

    def flush(self) -> None:
        """Writes what has come.

        Raises:
            StoreError: the folder cannot be written to, a file of this name is there already,
                or the disk is nearly full.
        """
        with self._lock:
            pending, self._pending = self._pending, []
        if not pending:
            return
        packed = self._packer.compress(b"".join(pending))
        self._append(packed + self._packer.flush(zlib.Z_SYNC_FLUSH))

    def close(self) -> None:
        """Ends the file properly; a file that was never begun is not made."""
        if self._is_begun:
            self.flush()
            self._append(self._packer.flush(zlib.Z_FINISH))

    def _append(self, packed: bytes) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(self.path.parent).free < _LEAST_FREE:
                raise StoreError(
                    f"the disk of {self.path.parent} has less than "
                    f"{_LEAST_FREE // 1024 // 1024} MB left: recording ended, {self.path.name} "
                    "is whole up to here"
                )
            with self.path.open("ab" if self._is_begun else "xb") as file:
                file.write(packed)
        except FileExistsError as error:
            raise StoreError(f"{self.path} is there already: it is not written over") from error
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written: {error.strerror}") from error
        self._is_begun = True
        self.size += len(packed)
