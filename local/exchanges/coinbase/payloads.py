"""The JSON texts of the feed (protocols 5.2, 5.3), as compact as Coinbase sends them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from local.exchanges.ladder import BookText
from marketdata.times import iso_ms, parse_iso_ms

TAKER = {"buy": "sell", "sell": "buy"}
"""The other side: the taker's of the maker's."""

_NEWER_NAMES = {"level2_batch": "level2_50"}
"""By what name an ack may call a channel that was asked for by another (protocols 5.2)."""

_any = msgspec.json.Decoder()
encode = msgspec.json.encode


class Match(NamedTuple):
    """One trade; `side` is the maker's, texts are the exchange's own, `time` has six digits."""

    trade_id: int
    maker_order_id: str
    taker_order_id: str
    side: str
    size: str
    price: str
    sequence: int
    time: str

    @property
    def time_ms(self) -> int:
        """When it happened."""
        return parse_iso_ms(self.time)


def iso_micros(time_us: int) -> str:
    """A time as messages have it: `2021-04-17T16:43:37.075687Z`."""
    millis, micros = divmod(time_us, 1000)
    return f"{iso_ms(millis)[:-1]}{micros:03d}Z"


def snapshot(ticker: str, book: BookText, time: str) -> bytes:
    """The whole book; servers of 2021 sent no time, which is an empty one here."""
    when = f',"time":"{time}"' if time else ""
    return (
        f'{{"type":"snapshot","product_id":"{ticker}","asks":[{book.asks}],'
        f'"bids":[{book.bids}]{when}}}'
    ).encode()


def l2update(ticker: str, changes: Iterable[tuple[str, str, str]], time: str) -> bytes:
    """Levels by side (`buy`, `sell`), price and new size."""
    body = ",".join(f'["{side}","{price}","{size}"]' for side, price, size in changes)
    return (
        f'{{"type":"l2update","product_id":"{ticker}","changes":[{body}],"time":"{time}"}}'
    ).encode()


def match(ticker: str, done: Match, *, kind: str = "match") -> bytes:
    """A trade as it happens, or as `last_match`."""
    return (
        f'{{"type":"{kind}","trade_id":{done.trade_id},'
        f'"maker_order_id":"{done.maker_order_id}","taker_order_id":"{done.taker_order_id}",'
        f'"side":"{done.side}","size":"{done.size}","price":"{done.price}",'
        f'"product_id":"{ticker}","sequence":{done.sequence},"time":"{done.time}"}}'
    ).encode()


def ticker_message(
    ticker: str, done: Match, day: Mapping[str, str], best: Sequence[str]
) -> bytes:
    """The last trade with the taker's side, the day around it, the best bid and ask.

    `best` is bid price, bid size, ask price, ask size.
    """
    message: dict[str, Any] = {
        "type": "ticker",
        "sequence": done.sequence,
        "product_id": ticker,
        "price": done.price,
        **day,
        "best_bid": best[0],
        "best_bid_size": best[1],
        "best_ask": best[2],
        "best_ask_size": best[3],
        "side": TAKER[done.side],
        "time": done.time,
        "trade_id": done.trade_id,
        "last_size": done.size,
    }
    return encode(message)


def heartbeat(ticker: str, sequence: int, last_trade_id: int, time: str) -> bytes:
    """The sign of life of one product."""
    return (
        f'{{"type":"heartbeat","last_trade_id":{last_trade_id},"product_id":"{ticker}",'
        f'"sequence":{sequence},"time":"{time}"}}'
    ).encode()


def status(
    products: Sequence[Mapping[str, object]], currencies: Sequence[Mapping[str, object]]
) -> bytes:
    """What is listed, in the channel of that name."""
    listed = [{**item, "type": "spot"} for item in products]
    return encode({"type": "status", "products": listed, "currencies": currencies})


def subscriptions(state: Iterable[tuple[str, Sequence[str]]]) -> bytes:
    """The complete state: channels with their products."""
    return encode(
        {
            "type": "subscriptions",
            "channels": [
                {
                    "name": _NEWER_NAMES.get(name, name),
                    "product_ids": products,
                    "account_ids": None,
                }
                for name, products in state
            ],
        }
    )


def error(message: str, reason: str = "") -> bytes:
    """A refusal, or why the connection ends."""
    body = {"type": "error", "message": message}
    return encode({**body, "reason": reason} if reason else body)


def ahead(payload: bytes, ahead_ms: int) -> bytes:
    """The payload with its time so many ms later; one without a time stays as it is."""
    message = _any.decode(payload)
    if not isinstance(message, dict) or "time" not in message:
        return payload
    message["time"] = moved(message["time"], ahead_ms)
    return encode(message)


def moved(time: str, by_ms: int) -> str:
    """A time so many ms later, with its own digits below a millisecond; no time stays none."""
    if time.startswith("0001-"):
        return time
    return f"{iso_ms(parse_iso_ms(time) + by_ms)[:-1]}{time[23:] or 'Z'}"
