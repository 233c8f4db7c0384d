"""The exchanges that can be captured."""

from container_worker.exchanges import binance
from container_worker.exchanges.adapter import Adapter

REGISTRY: dict[str, Adapter] = {
    "binance": binance.ADAPTER,
}
"""Name to adapter; a test compares it with the folders beside this file."""
