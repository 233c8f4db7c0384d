"""`GET /api/ohlcv`: the history of a pair's candles (design.md §8, sources/crypto-streams.md).

Needs `dynamodb:Query` on the candles and `dynamodb:BatchGetItem` on the instruments.
"""

from collections.abc import Mapping
from typing import Any

from functions.candles import candles_table
from functions.logic.candle_items import PairSource
from functions.logic.http_answers import JSON, Parameters, Response, answer, served
from functions.logic.ohlcv_query import OhlcvQuery, next_page, ohlcv_query
from functions.logic.ohlcv_rows import ohlcv_rows
from functions.settings import settings
from functions.tables import listings_table
from marketdata.errors import RequestError


def handler(event: Mapping[str, Any], context: object) -> Response:  # noqa: ARG001
    """The bare array, newest first, the open candle included; 400 or 404.

    A full page has a `Link` header with `rel="next"` when there are older candles.
    """
    return served(event, _candles)


def _candles(parameters: Parameters) -> Response:
    query = ohlcv_query(parameters)
    at = _source(query)
    if at is None:
        _refuse_unknown_pair(query)
        return answer(200, JSON, ohlcv_rows([], query.pair))
    found = candles_table().range(
        at, query.interval, query.from_ms, query.to_ms, query.limit + 1
    )
    page, headers = found[: query.limit], {}
    if len(found) > query.limit:
        headers["link"] = next_page(query, at.source, page[-1].timestamp)
    return answer(200, JSON, ohlcv_rows(page, query.pair), **headers)


def _source(query: OhlcvQuery) -> PairSource | None:
    """Whose candles are asked for; None when that exchange, or any, has none of the pair."""
    table = candles_table()
    if query.source is None:
        return table.source_of(query.pair, settings().candle_sources)
    return table.sources_of(query.pair).get(query.source)


def _refuse_unknown_pair(query: OhlcvQuery) -> None:
    """A pair that is captured is known before its first candle: `GET /api/symbols` lists it.

    Raises:
        RequestError: NOT_FOUND.
    """
    listed = listings_table().find([query.pair]).get(query.pair, ())
    if any(query.source in (None, one.exchange) for one in listed):
        return
    who = "no exchange has" if query.source is None else f"{query.source} has no"
    raise RequestError(
        "NOT_FOUND",
        f"{who} candles of {query.pair!r}: GET /api/symbols lists what there is",
    )
