"""The gateway's log: JSON lines on stderr; what clients do wrong is never a traceback."""

import asyncio
import logging
import sys
from typing import Any

from aws_lambda_powertools import Logger

logger = Logger(service="gateway", stream=sys.stderr, use_rfc3339=True, utc=True)


class _OneLine(logging.Handler):
    """Turns what the server library logs into one line of ours: never what a client sent."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        logger.warning(
            "server", extra={"reason": str(record.msg), "error": type(error).__name__}
        )


def take_over(loop: asyncio.AbstractEventLoop) -> None:
    """Send the logs of the server library and of the event loop through `logger`."""
    for name in ("aiohttp", "asyncio"):
        library = logging.getLogger(name)
        library.handlers = [_OneLine()]
        library.propagate = False
        library.setLevel(logging.WARNING)
    loop.set_exception_handler(_log_from_loop)


def _log_from_loop(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    logger.warning(
        "event loop",
        extra={
            "reason": context.get("message", ""),
            "error": type(error).__name__,
        },
    )
