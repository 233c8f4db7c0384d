"""The exchanges that can be captured."""

from container_worker.exchanges import binance, blockchain, coinbase, stellar, stockbit
from container_worker.exchanges.adapter import Adapter

REGISTRY: dict[str, Adapter] = {
    "binance": binance.ADAPTER,
    "blockchain": blockchain.ADAPTER,
    "coinbase": coinbase.ADAPTER,
    "stockbit": stockbit.ADAPTER,
    "stellar": stellar.ADAPTER,
}
"""Name to adapter; a test compares it with the folders beside this file."""
