"""Stockbit, Indonesian shares: the guide's flat wire and the observed one (protocols 2)."""

from dataclasses import replace

from container_worker.exchanges.adapter import Adapter, Socket
from container_worker.exchanges.stockbit import decode, subscribe

_FLAT = Adapter(
    name="stockbit",
    numbering=subscribe.FLAT_NUMBERING,
    limits=subscribe.LIMITS,
    restricted=subscribe.RESTRICTED,
    socket=Socket(
        url=subscribe.socket_url,
        subscriptions=subscribe.flat_subscriptions,
        resubscribe=subscribe.resubscribe,
        decode=decode.decode_flat,
        headers=subscribe.HEADERS,
        origin=subscribe.ORIGIN,
        keep_alive=subscribe.FLAT_KEEP_ALIVE,
    ),
    instrument=decode.instrument,
    open_session=subscribe.open_session,
    renewal=subscribe.RENEWAL,
)
CHANNEL = Adapter(
    name="stockbit",
    numbering=subscribe.CHANNEL_NUMBERING,
    limits=subscribe.LIMITS,
    restricted=subscribe.RESTRICTED,
    socket=Socket(
        url=subscribe.socket_url,
        subscriptions=subscribe.channel_subscriptions,
        resubscribe=subscribe.resubscribe,
        decode=decode.decode_channel,
        headers=subscribe.HEADERS,
        origin=subscribe.ORIGIN,
        subprotocols=subscribe.SUBPROTOCOLS,
        keep_alive=subscribe.CHANNEL_KEEP_ALIVE,
    ),
    instrument=decode.instrument,
    open_session=subscribe.open_session,
    renewal=subscribe.RENEWAL,
)
ADAPTER = replace(_FLAT, variants={"flat": _FLAT, "channel": CHANNEL})
"""The flat wire; `STOCKBIT_WIRE` chooses among the variants."""
