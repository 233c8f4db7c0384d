"""Tapedeck's Python API: the names that the documents' examples import.

Each name is imported when it is first asked for, so that the command starts without them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from container_worker.exchanges.stockbit.decode import (
        OrderBookMessage,
        decode_orderbook_message,
    )
    from container_worker.exchanges.stockbit.subscribe import encode_websocket_request
    from container_worker.token_source import TokenManager
    from tapedeck.client import Client
    from tapedeck.client_messages import Candle, Depth, Event, Lost, Price

__all__ = [
    "Candle",
    "Client",
    "Depth",
    "Event",
    "Lost",
    "OrderBookMessage",
    "Price",
    "TokenManager",
    "decode_orderbook_message",
    "encode_websocket_request",
]

_STOCKBIT = "container_worker.exchanges.stockbit"
_MESSAGES = "tapedeck.client_messages"
_MODULES = {
    "Candle": _MESSAGES,
    "Client": "tapedeck.client",
    "Depth": _MESSAGES,
    "Event": _MESSAGES,
    "Lost": _MESSAGES,
    "OrderBookMessage": f"{_STOCKBIT}.decode",
    "Price": _MESSAGES,
    "TokenManager": "container_worker.token_source",
    "decode_orderbook_message": f"{_STOCKBIT}.decode",
    "encode_websocket_request": f"{_STOCKBIT}.subscribe",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
