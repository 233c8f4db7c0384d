"""Binance spot; Binance.US is the same adapter by its two base URLs (protocols 1)."""

from container_worker.exchanges.adapter import (
    Adapter,
    RestBooks,
    RestCandles,
    RestInstruments,
    RestTrades,
    Socket,
)
from container_worker.exchanges.binance import decode, subscribe

ADAPTER = Adapter(
    name="binance",
    numbering=subscribe.NUMBERING,
    limits=subscribe.LIMITS,
    restricted=subscribe.RESTRICTED,
    socket=Socket(
        url=subscribe.socket_url,
        subscriptions=subscribe.subscriptions,
        resubscribe=subscribe.resubscribe,
        decode=decode.decode,
    ),
    instruments=RestInstruments(subscribe.INSTRUMENTS, decode.decode_instruments),
    books=RestBooks(subscribe.snapshot_request, decode.decode_snapshot),
    trades=RestTrades(subscribe.trades_request, decode.decode_trades, subscribe.PAGE),
    candles=RestCandles(subscribe.candles_request, decode.decode_candles, subscribe.PAGE),
    used_weight=subscribe.used_weight,
)
