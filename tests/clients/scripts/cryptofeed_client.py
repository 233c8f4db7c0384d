"""cryptofeed on Binance and Blockchain.com over wss: only the endpoints of its classes are set.

It connects again by itself, one second after a disconnect; its own log tells of it.
"""

import asyncio
import logging

from answering import addresses, answer
from cryptofeed import FeedHandler
from cryptofeed.connection import RestEndpoint, Routes, WebsocketEndpoint
from cryptofeed.defines import BID, L2_BOOK, TICKER, TRADES
from cryptofeed.exchanges import Binance, Blockchain

ORIGIN = {"origin": "https://exchange.blockchain.com"}


class Heard:
    """What the callbacks of one exchange were given."""

    def __init__(self):
        self.book, self.trades, self.ticker = None, {}, None

    async def take_book(self, book, _):
        """The whole book, which goes on changing."""
        self.book = book.book

    async def take_trade(self, trade, _):
        """A trade."""
        self.trades[trade.id] = [trade.price, trade.amount, trade.side]

    async def take_ticker(self, ticker, _):
        """The best prices."""
        self.ticker = [ticker.bid, ticker.ask]

    def told(self):
        """All of it."""
        sides = self.book.to_dict() if self.book else None
        book = sides and {
            f"{side}s": [[price, size] for price, size in sides[side].items()]
            for side in (BID, "ask")
        }
        return {"book": book, "trades": self.trades, "ticker": self.ticker}


def configure(at):
    """The addresses of both exchanges, as their classes hold them."""
    spot = Binance.rest_endpoints[0].routes
    Binance.websocket_endpoints = [WebsocketEndpoint(at["binance"]["ws"])]
    Binance.rest_endpoints = [RestEndpoint(at["binance"]["rest"], routes=spot)]
    socket = f"{at['blockchain']['ws']}/mercury-gateway/v1/ws"
    symbols = Routes("/mercury-gateway/v1/instruments")
    Blockchain.websocket_endpoints = [WebsocketEndpoint(socket, options=ORIGIN)]
    Blockchain.rest_endpoints = [RestEndpoint(at["blockchain"]["rest"], routes=symbols)]


async def main():
    """Follows both and answers."""
    configure(addresses())
    heard = {"binance": Heard(), "blockchain": Heard()}
    handler = FeedHandler({"log": {"filename": "/dev/null", "level": "WARNING"}})
    logging.getLogger("feedhandler").addHandler(logging.StreamHandler())
    for name, feed, symbol, more in (
        ("binance", Binance, "BTC-USDT", [TICKER]),
        ("blockchain", Blockchain, "BTC-USD", []),
    ):
        one = heard[name]
        callbacks = {
            L2_BOOK: one.take_book,
            TRADES: one.take_trade,
            TICKER: one.take_ticker,
        }
        channels = [L2_BOOK, TRADES, *more]
        handler.add_feed(
            feed(
                symbols=[symbol],
                channels=channels,
                max_depth=5000,
                callbacks={channel: callbacks[channel] for channel in channels},
            )
        )
    handler.run(start_loop=False, install_signal_handlers=False)
    await answer(
        {
            "instruments": lambda name: {"binance": Binance, "blockchain": Blockchain}[
                name
            ].symbol_mapping(),
            "heard": lambda name: heard[name].told(),
        }
    )


asyncio.run(main())
