"""UTC milliseconds to and from the texts that the documents print."""

from datetime import UTC, datetime, timedelta, timezone

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = {"stockbit": timezone(timedelta(hours=7))}
"""The exchanges whose day is not UTC's: Asia/Jakarta has had no other offset since 1964."""

DAY_MS = 86_400_000


def iso_ms(time_ms: int) -> str:
    """`1722445567890` → `2024-07-31T17:06:07.890Z`."""
    seconds, millis = divmod(time_ms, 1000)
    moment = EPOCH + timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"


def parse_iso_ms(text: str) -> int:
    """The inverse of `iso_ms`; also takes an offset instead of `Z`.

    Raises:
        ValueError: `text` is not ISO 8601 or has no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset")
    return (moment - EPOCH) // timedelta(milliseconds=1)


def day_of(time_ms: int, exchange: str) -> str:
    """The exchange's own calendar day of an event, `YYYY-MM-DD` (design.md §6)."""
    zone = ZONES.get(exchange, UTC)
    return f"{(EPOCH + timedelta(milliseconds=time_ms)).astimezone(zone):%Y-%m-%d}"


def day_bounds_ms(day: str, exchange: str) -> tuple[int, int]:
    """The first millisecond of the exchange's day and of the day after it.

    Raises:
        ValueError: `day` is not `YYYY-MM-DD`.
    """
    zone = ZONES.get(exchange, UTC)
    start = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=zone)
    start_ms = (start - EPOCH) // timedelta(milliseconds=1)
    return start_ms, start_ms + DAY_MS
