"""Blockchain.com Exchange, the source of sources/crypto-streams.md (protocols 3)."""

from container_worker.exchanges.adapter import Adapter, RestInstruments, Socket
from container_worker.exchanges.blockchain import decode, subscribe

ADAPTER = Adapter(
    name="blockchain",
    numbering=subscribe.NUMBERING,
    limits=subscribe.LIMITS,
    restricted=subscribe.RESTRICTED,
    socket=Socket(
        url=subscribe.socket_url,
        subscriptions=subscribe.subscriptions,
        resubscribe=subscribe.resubscribe,
        decode=decode.decode,
        origin=subscribe.ORIGIN,
    ),
    instruments=RestInstruments(subscribe.INSTRUMENTS, decode.decode_instruments),
)
"""Books, trades and candles have no REST side here: what a gap lost cannot be fetched later."""
