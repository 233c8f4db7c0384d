"""What is traded: Indonesian shares with their price steps, lots and board (IDX rules)."""

import hashlib
from dataclasses import dataclass

from container_worker.exchanges.stockbit.wire import TICKER
from marketdata.errors import InputError

SHARES_A_LOT = 100

_STEPS = ((200, 1), (500, 2), (2_000, 5), (5_000, 10))
_LARGEST_STEP = 25


@dataclass(frozen=True, slots=True)
class Share:
    """One simulated share; `price` in rupiah, `size` a usual level in lots."""

    ticker: str
    price: int
    size: int
    book_id: int


TABLE = {
    share.ticker: share
    for share in (
        Share("BBCA", 8_200, 9_000, 1_021),
        Share("TLKM", 3_300, 14_000, 2_713),
        Share("BBRI", 3_780, 22_000, 1_038),
        Share("BMRI", 4_810, 12_000, 1_117),
        Share("GOTO", 62, 900_000, 3_402),
    )
}


def share(ticker: str) -> Share:
    """The table's row, or one made up from the name, always the same for the same name.

    Raises:
        InputError: the name is no code of the exchange.
    """
    if ticker in TABLE:
        return TABLE[ticker]
    if TICKER.fullmatch(ticker) is None:
        raise InputError(
            f"ticker {ticker!r} cannot be simulated: use a code of the Indonesia Stock "
            "Exchange, such as ASII"
        )
    draw = int.from_bytes(hashlib.sha256(ticker.encode()).digest()[:6], "big")
    price = 100 + draw % 9_000
    return Share(ticker, on_step(price), 1_000 + draw % 30_000, 4_000 + draw % 90_000)


def step_at(price: int) -> int:
    """The price step (fraksi harga) at a price, in rupiah."""
    return next((step for below, step in _STEPS if price < below), _LARGEST_STEP)


def on_step(price: int) -> int:
    """The nearest price at or below that is on a step; at least one rupiah."""
    step = step_at(price)
    return max(1, price // step * step)


def above(price: int) -> int:
    """The next price up."""
    return price + step_at(price)


def below(price: int) -> int:
    """The next price down; zero below one rupiah."""
    return price - step_at(price - 1) if price > 1 else 0
