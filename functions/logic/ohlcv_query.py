"""`GET /api/ohlcv`: from the parameters to the candles wanted, and on to the next page."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args
from urllib.parse import quote, urlencode

from functions.logic.candle_items import LAST_MS
from functions.logic.http_answers import bad_parameter, one_of, refuse_unknown, required
from marketdata.client_messages import MAX_NAME_LENGTH, Interval
from marketdata.topics import MAIN_TYPE

REQUIRED = ("pair", "from", "to")
KNOWN = (*REQUIRED, "interval", "source", "limit")
INTERVALS: tuple[str, ...] = get_args(Interval)
SOURCES = tuple(MAIN_TYPE)
DEFAULT_LIMIT = 1000
MAX_LIMIT = 10_000
WHOLE_NUMBER = re.compile(r"[0-9]+")
MAX_LIMIT_DIGITS = len(str(MAX_LIMIT))
LAST_DIGITS = len(str(LAST_MS))


@dataclass(frozen=True, slots=True)
class OhlcvQuery:
    """What is asked for; `source` is None for the first exchange that has the pair.

    `from_ms` and `to_ms` both belong to it and lie in 0 to `LAST_MS`.
    """

    pair: str
    from_ms: int
    to_ms: int
    interval: str
    source: str | None
    limit: int


def ohlcv_query(parameters: Mapping[str, str]) -> OhlcvQuery:
    """The query in the parameters of a request.

    Raises:
        RequestError: VALIDATION_ERROR; names the parameter that is missing, unknown or wrong.
    """
    refuse_unknown(parameters, KNOWN)
    required(parameters, REQUIRED)
    source = parameters.get("source")
    query = OhlcvQuery(
        pair=_pair(parameters["pair"]),
        from_ms=_time("from", parameters["from"]),
        to_ms=_time("to", parameters["to"]),
        interval=one_of("interval", parameters.get("interval", INTERVALS[0]), INTERVALS),
        source=None if source is None else one_of("source", source, SOURCES),
        limit=_limit(parameters.get("limit", str(DEFAULT_LIMIT))),
    )
    if query.from_ms > query.to_ms:
        raise bad_parameter("the parameter 'from' must not be later than 'to'")
    return query


def next_page(query: OhlcvQuery, source: str, oldest_ms: int) -> str:
    """The `Link` header to what is older than the oldest candle of a full page.

    It is relative to the request's own address, and names the exchange, so that all pages come
    from one.
    """
    parameters = {
        "pair": query.pair,
        "from": query.from_ms,
        "to": oldest_ms - 1,
        "interval": query.interval,
        "source": source,
        "limit": query.limit,
    }
    return f'<?{urlencode(parameters, quote_via=quote, safe="")}>; rel="next"'


def _pair(name: str) -> str:
    if len(name) > MAX_NAME_LENGTH:
        raise bad_parameter(f"the parameter 'pair' has more than {MAX_NAME_LENGTH} characters")
    return name


def _time(name: str, text: str) -> int:
    """However large it is: nothing is later than `LAST_MS`."""
    if not WHOLE_NUMBER.fullmatch(text):
        raise bad_parameter(
            f"the parameter '{name}' must be a time in milliseconds, a whole number from 0 on"
        )
    digits = text.lstrip("0")
    return LAST_MS if len(digits) > LAST_DIGITS else int(digits or "0")


def _limit(text: str) -> int:
    is_number = WHOLE_NUMBER.fullmatch(text) and len(text) <= MAX_LIMIT_DIGITS
    if not is_number or not 1 <= int(text) <= MAX_LIMIT:
        raise bad_parameter(f"the parameter 'limit' must be a whole number, 1 to {MAX_LIMIT}")
    return int(text)
