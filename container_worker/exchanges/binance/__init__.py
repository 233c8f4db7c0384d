"""Binance spot; Binance.US is the same adapter by its two base URLs (protocols 1)."""

from container_worker.exchanges.adapter import Adapter
from container_worker.exchanges.binance import decode, subscribe

ADAPTER = Adapter(
    name="binance",
    types=frozenset(subscribe.STREAMS),
    limits=subscribe.LIMITS,
    restricted=subscribe.RESTRICTED,
    socket_url=subscribe.socket_url,
    subscriptions=subscribe.subscriptions,
    decode=decode.decode,
    instruments_request=subscribe.INSTRUMENTS,
    decode_instruments=decode.decode_instruments,
    snapshot_request=subscribe.snapshot_request,
    decode_snapshot=decode.decode_snapshot,
    used_weight=subscribe.used_weight,
)
