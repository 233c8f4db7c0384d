"""The JSON texts of frames (protocols 3.3-3.5), as compact as the exchange sends them.

Without `seqnum`: it is the connection's, and `numbered` puts it first.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec


class Row(NamedTuple):
    """One level, or one order, in the exchange's own texts; `order` is empty where unknown."""

    price: str
    quantity: str
    orders: int
    order: str = ""


class Book(NamedTuple):
    """Both sides by rising price, as the exchange sends them."""

    bids: list[Row]
    asks: list[Row]


EMPTY = Book([], [])


def numbered(payload: bytes, number: int) -> bytes:
    """The payload as the connection's message of that number."""
    return b'{"seqnum":%d,' % number + payload[1:]


def l2(event: str, ticker: str, book: Book, stamp: str) -> bytes:
    """`l2`, `snapshot` or `updated`; without a timestamp where it is empty."""
    bids, asks = (",".join(map(_level, rows)) for rows in book)
    return _book(event, "l2", ticker, (bids, asks), stamp)


def l3(event: str, ticker: str, book: Book, stamp: str) -> bytes:
    """`l3`, `snapshot` or `updated`."""
    bids, asks = (",".join(map(_order, rows)) for rows in book)
    return _book(event, "l3", ticker, (bids, asks), stamp)


def _book(event: str, channel: str, ticker: str, sides: tuple[str, str], stamp: str) -> bytes:
    time = f',"timestamp":"{stamp}"' if stamp else ""
    return (
        f'{{"event":"{event}","channel":"{channel}","symbol":"{ticker}",'
        f'"bids":[{sides[0]}],"asks":[{sides[1]}]{time}}}'
    ).encode()


def _level(row: Row) -> str:
    return f'{{"num":{row.orders},"px":{row.price},"qty":{row.quantity}}}'


def _order(row: Row) -> str:
    return f'{{"id":"{row.order}","px":{row.price},"qty":{row.quantity}}}'


def trade(ticker: str, stamp: str, side: str, numbers: tuple[str, str], trade_id: str) -> bytes:
    """`trades`; `numbers` are quantity and price."""
    return (
        f'{{"event":"updated","channel":"trades","symbol":"{ticker}","timestamp":"{stamp}",'
        f'"side":"{side}","qty":{numbers[0]},"price":{numbers[1]},"trade_id":"{trade_id}"}}'
    ).encode()


def price(ticker: str, start: int, numbers: Iterable[str]) -> bytes:
    """`prices`; the numbers are open, high, low, close, volume."""
    return (
        f'{{"event":"updated","channel":"prices","symbol":"{ticker}",'
        f'"price":[{start},{",".join(numbers)}]}}'
    ).encode()


def ticker_state(event: str, ticker: str, members: Mapping[str, str]) -> bytes:
    """`ticker`: the members that this message says, by name, as number texts."""
    said = "".join(f',"{name}":{number}' for name, number in members.items())
    return f'{{"event":"{event}","channel":"ticker","symbol":"{ticker}"{said}}}'.encode()


def heartbeat(stamp: str) -> bytes:
    """`heartbeat`."""
    return f'{{"event":"updated","channel":"heartbeat","timestamp":"{stamp}"}}'.encode()


def symbols(listed: Mapping[str, Any]) -> bytes:
    """`symbols`, `snapshot`."""
    return msgspec.json.encode({"event": "snapshot", "channel": "symbols", "symbols": listed})
