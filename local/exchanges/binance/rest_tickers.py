"""The rows and the weights of `GET /api/v3/ticker/24hr`, `/price` and `/bookTicker`."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from local.exchanges.binance.day import Day


class TickerAnswer(NamedTuple):
    """How a ticker's row is made (`short` for `type=MINI`), and what one row and all weigh."""

    row: Callable[[Day, str, bool], dict[str, Any]]
    weight: int
    weight_of_many: int


TICKER_ANSWERS: Mapping[str, TickerAnswer] = {
    "24hr": TickerAnswer(lambda day, ticker, short: day.row(ticker, short=short), 2, 80),
    "price": TickerAnswer(lambda day, ticker, _: day.price_row(ticker), 2, 4),
    "bookTicker": TickerAnswer(lambda day, ticker, _: day.best_row(ticker), 2, 4),
}
