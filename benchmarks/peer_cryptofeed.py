"""The peer of bench_capture: cryptofeed with its own Kafka backend, run in `.bench-venv`.

    python benchmarks/peer_cryptofeed.py WS_URL REST_URL BOOTSTRAP_SERVERS

Everything is cryptofeed's default, save for the addresses and `acks=all`. It insists on wss://
addresses; here it connects without TLS, as ours does.
"""

import sys

import cryptofeed.feed
from cryptofeed import FeedHandler
from cryptofeed.backends.kafka import BookKafka
from cryptofeed.connection import RestEndpoint, Routes, WebsocketEndpoint, WSAsyncConn
from cryptofeed.defines import L2_BOOK
from cryptofeed.exchanges import Binance


class PlainConnection(WSAsyncConn):
    """cryptofeed's connection, without TLS."""

    def __init__(self, address, *arguments, **options):
        super().__init__(address, *arguments, **options)
        self.address = address.replace("wss://", "ws://")


def main(ws, rest, servers):
    """Feeds until it is ended."""
    routes = Routes("/api/v3/exchangeInfo", l2book="/api/v3/depth?symbol={}&limit={}")
    cryptofeed.feed.WSAsyncConn = PlainConnection
    Binance.websocket_endpoints = [WebsocketEndpoint(ws.replace("ws://", "wss://"))]
    Binance.rest_endpoints = [RestEndpoint(rest, routes=routes)]
    kafka = BookKafka(bootstrap_servers=servers, acks="all")
    handler = FeedHandler({"log": {"filename": "/dev/null", "level": "WARNING"}})
    handler.add_feed(
        Binance(symbols=["BTC-USDT"], channels=[L2_BOOK], callbacks={L2_BOOK: kafka})
    )
    handler.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
