"""The JSON texts of stream payloads (protocols 1.4), as compact as Binance sends them."""

from local.exchanges.candles import Candle, window
from local.exchanges.fixed_point import fixed8
from local.exchanges.ladder import BookText
from local.exchanges.trades import AggTrade, Trade

_TRUTH = {True: "true", False: "false"}


def depth_update(
    ticker: str, event_ms: int, ids: tuple[int, int], *, bids: str, asks: str
) -> bytes:
    """`@depth`: `ids` are `U` and `u`, `bids` and `asks` the bodies of the lists."""
    return (
        f'{{"e":"depthUpdate","E":{event_ms},"s":"{ticker}","U":{ids[0]},"u":{ids[1]},'
        f'"b":[{bids}],"a":[{asks}]}}'
    ).encode()


def snapshot(book: BookText) -> bytes:
    """`@depth<levels>` and the body of `GET /api/v3/depth`."""
    return (
        f'{{"lastUpdateId":{book.update_id},"bids":[{book.bids}],"asks":[{book.asks}]}}'
    ).encode()


def trade(ticker: str, event_ms: int, done: Trade) -> bytes:
    """`@trade`."""
    return (
        f'{{"e":"trade","E":{event_ms},"s":"{ticker}","t":{done.trade_id},"p":"{done.price}",'
        f'"q":"{done.quantity}","T":{done.time_ms},"m":{_TRUTH[done.buyer_maker]},"M":true}}'
    ).encode()


def agg_trade(ticker: str, event_ms: int, done: AggTrade) -> bytes:
    """`@aggTrade`."""
    return (
        f'{{"e":"aggTrade","E":{event_ms},"s":"{ticker}","a":{done.agg_id},"p":"{done.price}",'
        f'"q":"{done.quantity}","f":{done.first},"l":{done.last},"T":{done.time_ms},'
        f'"m":{_TRUTH[done.buyer_maker]},"M":true}}'
    ).encode()


def book_ticker(ticker: str, update_id: int, bid: str, ask: str) -> bytes:
    """`@bookTicker`; `bid` and `ask` are level texts `["price","quantity"]`."""
    bid_price, _, bid_quantity = bid[1:-1].partition(",")
    ask_price, _, ask_quantity = ask[1:-1].partition(",")
    return (
        f'{{"u":{update_id},"s":"{ticker}","b":{bid_price},"B":{bid_quantity},'
        f'"a":{ask_price},"A":{ask_quantity}}}'
    ).encode()


def kline(ticker: str, event_ms: int, interval: str, candle: Candle, *, closed: bool) -> bytes:
    """`@kline_<interval>`."""
    end_ms = window(interval, candle.start_ms)[1] - 1
    return (
        f'{{"e":"kline","E":{event_ms},"s":"{ticker}","k":{{"t":{candle.start_ms},"T":{end_ms},'
        f'"s":"{ticker}","i":"{interval}","f":{candle.first_id},"L":{candle.last_id},'
        f'"o":"{fixed8(candle.open)}","c":"{fixed8(candle.close)}","h":"{fixed8(candle.high)}",'
        f'"l":"{fixed8(candle.low)}","v":"{fixed8(candle.volume)}","n":{candle.count},'
        f'"x":{_TRUTH[closed]},"q":"{fixed8(candle.quote)}","V":"{fixed8(candle.taker_volume)}",'
        f'"Q":"{fixed8(candle.taker_quote)}","B":"0"}}}}'
    ).encode()
