"""Logs: one JSON object a line on stderr, one line a unit of work, never one a message.

event("capture.connected", url=…) ─► {"time":…,"level":"info","event":…,"stage":…,…}
"""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Literal

Level = Literal["info", "warning", "error"]

_LEVELS: dict[str, int] = {
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_logger = logging.getLogger("tapedeck")


class JsonLines(logging.Formatter):
    """A log record as one line of JSON; lines of libraries have their logger's name."""

    def __init__(self, stage: str) -> None:
        super().__init__()
        self._stage = stage

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end; an exception goes in as text, so that it stays one."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat("T", "milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "stage": self._stage,
        }
        if record.name != _logger.name:
            fields["logger"] = record.name
        fields |= getattr(record, "fields", {})
        if record.exc_info:
            fields["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(fields, ensure_ascii=False, default=str)


def configure(stage: str) -> None:
    """Sends all logs of this process to stderr as JSON lines that name the stage."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(stage))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _logger.setLevel(logging.INFO)


def event(name: str, *, level: Level = "info", **fields: object) -> None:
    """Writes one line: what happened (`stage.what`), with its fields."""
    _logger.log(_LEVELS[level], name, extra={"fields": fields})


def crash(name: str, error: BaseException) -> None:
    """Writes an exception with its traceback as one line."""
    event(name, level="error", traceback="".join(traceback.format_exception(error)))
