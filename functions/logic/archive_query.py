"""`GET /api/archive`: from the parameters to the name of an object (design.md §6)."""

import re
from collections.abc import Mapping

from marketdata.archive_layout import FOLDED, object_path
from marketdata.client_protocol import MAX_NAME_LENGTH
from marketdata.errors import RequestError
from marketdata.times import day_bounds_ms
from marketdata.topics import MAIN_TYPE, TOPIC_OF_TYPE

REQUIRED = ("exchange", "ticker", "date")
KINDS = ("rows", "marks")
KNOWN = (*REQUIRED, "type", "kind")
TYPES = tuple(name for name, topic in TOPIC_OF_TYPE.items() if topic in FOLDED)
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def object_wanted(parameters: Mapping[str, str]) -> str:
    """The key of the object that is asked for.

    Raises:
        RequestError: VALIDATION_ERROR; names the parameter that is missing, unknown or wrong.
    """
    unknown = [name for name in parameters if name not in KNOWN]
    if unknown:
        raise _bad(f"unknown parameter {unknown[0]!r}: there are {', '.join(KNOWN)}")
    missing = [name for name in REQUIRED if not parameters.get(name)]
    if missing:
        raise _bad(f"the parameter {missing[0]!r} is missing")
    exchange = _one_of("exchange", parameters["exchange"], tuple(MAIN_TYPE))
    stream_type = _one_of("type", parameters.get("type", MAIN_TYPE[exchange]), TYPES)
    marks = _one_of("kind", parameters.get("kind", KINDS[0]), KINDS) == "marks"
    ticker = parameters["ticker"]
    if len(ticker) > MAX_NAME_LENGTH:
        raise _bad(f"the parameter 'ticker' has more than {MAX_NAME_LENGTH} characters")
    day = _day(parameters["date"], exchange)
    topic = TOPIC_OF_TYPE[stream_type].name
    try:
        return object_path(topic, exchange, ticker, stream_type, day, marks=marks)
    except UnicodeEncodeError:
        raise _bad("the parameter 'ticker' is not valid UTF-8 text") from None


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise _bad(f"the parameter {name!r} must be one of {', '.join(allowed)}")
    return value


def _day(text: str, exchange: str) -> str:
    wrong = _bad("the parameter 'date' must be a day, YYYY-MM-DD")
    if not DATE.fullmatch(text):
        raise wrong
    try:
        day_bounds_ms(text, exchange)
    except ValueError:
        raise wrong from None
    return text


def _bad(message: str) -> RequestError:
    return RequestError("VALIDATION_ERROR", message)
