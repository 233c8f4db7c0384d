"""Recorded traffic of any exchange, whatever recorded it, read line by line."""

from local.exchanges.recordings.files import RecordingFiles, find_recordings
from local.exchanges.recordings.reading import exchange_of, header_of, merged, read, venue_of
from local.exchanges.recordings.recorded_line import (
    BINARY,
    CLOSED,
    FRAME,
    OPENED,
    REST,
    SECRET,
    SENT,
    SENT_BINARY,
    RecordedLine,
)

__all__ = [
    "BINARY", "CLOSED", "FRAME", "OPENED", "REST", "SECRET", "SENT", "SENT_BINARY",
    "RecordedLine", "RecordingFiles", "exchange_of", "find_recordings", "header_of", "merged",
    "read", "venue_of",
]  # fmt: skip
