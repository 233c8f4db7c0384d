"""Coinbase Exchange, the public feed; not Advanced Trade, which is another protocol (5)."""

from container_worker.exchanges.adapter import (
    Adapter,
    RestCandles,
    RestInstruments,
    RestTrades,
    Socket,
)
from container_worker.exchanges.coinbase import decode, subscribe

ADAPTER = Adapter(
    name="coinbase",
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
    trades=RestTrades(
        subscribe.trades_request, decode.decode_trades, subscribe.TRADES_PER_PAGE
    ),
    candles=RestCandles(
        subscribe.candles_request, decode.decode_candles, subscribe.CANDLES_PER_PAGE
    ),
)
"""It has no `books`: neither snapshot nor l2update has a number by which the REST book could
be joined to them (protocols 5.4)."""
