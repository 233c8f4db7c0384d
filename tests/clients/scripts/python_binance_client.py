"""python-binance: REST, its sockets that connect again, and its own book (DepthCacheManager).

Only the addresses are set, on the class attributes that hold them.
"""

import asyncio
from decimal import Decimal

from answering import addresses, answer_beside
from binance import AsyncClient, BinanceSocketManager, DepthCacheManager

SYMBOL = "ETHUSDT"


class Sockets:
    """What the three sockets of one symbol have told."""

    def __init__(self, client):
        self.client = client
        self.manager = BinanceSocketManager(client)
        self.book, self.ids, self.candle, self.breaks = None, [], None, 0

    async def follow_book(self):
        """Its own book, which it takes again where an id is missing."""
        depth = DepthCacheManager(
            self.client, SYMBOL, limit=5000, conv_type=Decimal, ws_interval=100
        )
        async with depth:
            while True:
                told = await depth.recv()
                if isinstance(told, dict):
                    self.breaks += 1
                self.book = depth.get_depth_cache()

    async def follow_trades(self):
        """Every trade's id."""
        await self._follow(self.manager.trade_socket(SYMBOL), self._trade)

    async def follow_candles(self):
        """The current candle."""
        await self._follow(self.manager.kline_socket(SYMBOL), self._candle)

    async def _follow(self, socket, take):
        async with socket:
            while True:
                told = await socket.recv()
                if told["e"] != "error":
                    take(told)

    def _trade(self, told):
        self.ids.append(told["t"])

    def _candle(self, told):
        self.candle = told["k"]

    def heard(self):
        """All that the sockets have told."""
        book = self.book and {"bids": self.book.get_bids(), "asks": self.book.get_asks()}
        return {
            "book": book,
            "ids": self.ids,
            "candle": self.candle,
            "breaks": self.breaks,
        }


async def main():
    """Follows and answers."""
    at = addresses()["binance"]
    AsyncClient.API_URL = f"{at['rest']}/api"
    BinanceSocketManager.STREAM_URL = f"{at['ws']}/"
    client = await AsyncClient.create()
    sockets = Sockets(client)
    try:
        await answer_beside(
            {
                "instruments": client.get_exchange_info,
                "order_book": lambda: client.get_order_book(symbol=SYMBOL, limit=5000),
                "trades": lambda: client.get_recent_trades(symbol=SYMBOL, limit=50),
                "candles": lambda: client.get_klines(symbol=SYMBOL, interval="5m", limit=20),
                "day": lambda: client.get_ticker(symbol=SYMBOL),
                "best": lambda: client.get_orderbook_ticker(symbol=SYMBOL),
                "price": lambda: client.get_symbol_ticker(symbol=SYMBOL),
                "average": lambda: client.get_avg_price(symbol=SYMBOL),
                "heard": sockets.heard,
            },
            sockets.follow_book(),
            sockets.follow_trades(),
            sockets.follow_candles(),
        )
    finally:
        await client.close_connection()


asyncio.run(main())
