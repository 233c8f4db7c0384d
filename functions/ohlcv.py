"""`GET /api/ohlcv`: the history of a pair's candles (design.md §8, sources/crypto-streams.md).

Needs `dynamodb:Query` on the candles.
"""

from collections.abc import Mapping
from typing import Any

from functions.candles import candles_table
from functions.logic.candle_items import PairSource
from functions.logic.http_answers import JSON, Parameters, Response, answer, served
from functions.logic.ohlcv_query import OhlcvQuery, next_page, ohlcv_query
from functions.logic.ohlcv_rows import ohlcv_rows
from functions.settings import settings
from marketdata.errors import RequestError


def handler(event: Mapping[str, Any], context: object) -> Response:  # noqa: ARG001
    """The bare array, newest first, the open candle included; 400 or 404.

    A full page has a `Link` header with `rel="next"` when there are older candles.
    """
    return served(event, _candles)


def _candles(parameters: Parameters) -> Response:
    query = ohlcv_query(parameters)
    at = _source(query)
    found = candles_table().range(
        at, query.interval, query.from_ms, query.to_ms, query.limit + 1
    )
    page, headers = found[: query.limit], {}
    if len(found) > query.limit:
        headers["link"] = next_page(query, at.source, page[-1].timestamp)
    return answer(200, JSON, ohlcv_rows(page, query.pair), **headers)


def _source(query: OhlcvQuery) -> PairSource:
    table = candles_table()
    if query.source is None:
        at = table.source_of(query.pair, settings().candle_sources)
    else:
        at = table.sources_of(query.pair).get(query.source)
    if at is None:
        who = "no exchange has" if query.source is None else f"{query.source} has no"
        raise RequestError(
            "NOT_FOUND",
            f"{who} candles of {query.pair!r}: GET /api/symbols lists what there is",
        )
    return at
