"""The error codes of the client protocol and their fixed texts (design.md §7)."""

from collections.abc import Sequence

from marketdata.errors import ClientError

MAX_DETAIL_LENGTH = 240

VALIDATION_ERROR = "VALIDATION_ERROR"
UNAUTHORIZED = "UNAUTHORIZED"
SUBSCRIPTION_LIMIT = "SUBSCRIPTION_LIMIT"
UNKNOWN_SYMBOL = "UNKNOWN_SYMBOL"
RATE_LIMITED = "RATE_LIMITED"
QUEUE_FULL = "QUEUE_FULL"
INTERNAL = "INTERNAL"

MESSAGES = {
    VALIDATION_ERROR: "Invalid message format",
    UNAUTHORIZED: "Authentication failed",
    SUBSCRIPTION_LIMIT: "Too many symbols",
    UNKNOWN_SYMBOL: "Symbol not found",
    RATE_LIMITED: "Too many requests",
    QUEUE_FULL: "message queue full",
    INTERNAL: "Internal error",
}
"""Each error code's fixed text; the first four are the document's, letter by letter."""


def client_error(
    code: str,
    detail: str,
    symbols: Sequence[str] = (),
    *,
    retry_after_s: int = 0,
    dropped: int = 0,
) -> ClientError:
    """The error of a code with its fixed text; `detail` names what was wrong.

    `retry_after_s` belongs to RATE_LIMITED, `dropped` to QUEUE_FULL.
    """
    return ClientError(
        code,
        MESSAGES[code],
        detail=detail,
        symbols=symbols,
        retry_after_s=retry_after_s,
        dropped=dropped,
    )


def cut(text: str) -> str:
    """A text as it may stand in a `detail`: not longer than 240 characters."""
    return text if len(text) <= MAX_DETAIL_LENGTH else f"{text[:MAX_DETAIL_LENGTH]}…"
