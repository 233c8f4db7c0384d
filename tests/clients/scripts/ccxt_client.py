"""ccxt's streams and REST of three exchanges; only addresses and keys are given.

Its streams are followed as its manual says: one call after another, also after a NetworkError.
"""

import asyncio
import base64

import ccxt.pro
from answering import addresses, answer_beside

KEYS = {"apiKey": "key", "secret": base64.b64encode(b"secret").decode(), "password": "pass"}


def binance(ws, rest):
    """Spot alone: nothing else is asked for."""
    made = ccxt.pro.binance({"enableRateLimit": False})
    made.urls["api"]["public"] = f"{rest}/api/v3"
    made.urls["api"]["ws"]["spot"] = f"{ws}/ws"
    made.options |= {
        "fetchMarkets": {"types": ["spot"]},
        "fetchCurrencies": False,
        "watchOrderBookLimit": 5000,
    }
    return made


def coinbase(ws, rest):
    """The Exchange, not Advanced Trade."""
    made = ccxt.pro.coinbaseexchange(KEYS)
    made.urls["api"] |= {"ws": ws, "public": rest, "private": rest}
    return made


def blockchain(ws, rest):
    """Its path is part of the address."""
    made = ccxt.pro.blockchaincom()
    made.urls["api"]["ws"] = f"{ws}/mercury-gateway/v1/ws"
    made.urls["api"] |= dict.fromkeys(("public", "private"), f"{rest}/v3/exchange")
    return made


class Followed:
    """One exchange, whose streams of one symbol are kept going.

    What they have told is read from its caches: a call returns one update, not always the last.
    """

    def __init__(self, exchange, symbol, watched):
        self.exchange = exchange
        self.symbol = symbol
        self.watched = watched
        self.trades, self.breaks = {}, 0

    def followed(self):
        """A coroutine for each stream."""
        return [self._follow(getattr(self.exchange, f"watch_{name}")) for name in self.watched]

    async def _follow(self, watch):
        while True:
            try:
                await watch(self.symbol)
            except ccxt.NetworkError:
                self.breaks += 1

    def heard(self):
        """All that the streams have told."""
        made, symbol = self.exchange, self.symbol
        self.trades |= {each["id"]: _trade(each) for each in made.trades.get(symbol, ())}
        ticker = made.tickers.get(symbol)
        return {
            "book": _book(made.orderbooks[symbol]) if symbol in made.orderbooks else None,
            "trades": self.trades,
            "ticker": ticker and _ticker(ticker) | {"info": ticker["info"]},
            "candles": [
                candle for kept in made.ohlcvs.get(symbol, {}).values() for candle in kept
            ],
            "breaks": self.breaks,
        }


def _book(book):
    return {side: [level[:2] for level in book[side]] for side in ("bids", "asks")}


def _trade(trade):
    return [trade["price"], trade["amount"], trade["side"], trade["timestamp"]]


def _ticker(ticker):
    return {name: ticker[name] for name in ("last", "bid", "ask", "high", "low", "baseVolume")}


async def main():
    """Follows all three and answers."""
    at = addresses()
    all_four = ("order_book", "trades", "ticker", "ohlcv")
    each = {
        "binance": Followed(binance(**at["binance"]), "BTC/USDT", all_four),
        "coinbase": Followed(coinbase(**at["coinbase"]), "BTC/USD", all_four[:3]),
        "blockchain": Followed(blockchain(**at["blockchain"]), "BTC/USD", all_four),
    }

    async def markets(name):
        found = await each[name].exchange.load_markets()
        return {
            symbol: [market["id"], market["base"], market["quote"], market["active"]]
            for symbol, market in found.items()
        }

    async def order_book(name, *limit):
        return _book(await each[name].exchange.fetch_order_book(each[name].symbol, *limit))

    async def trades(name):
        found = await each[name].exchange.fetch_trades(each[name].symbol, limit=50)
        return {trade["id"]: _trade(trade) for trade in found}

    async def ticker(name):
        return _ticker(await each[name].exchange.fetch_ticker(each[name].symbol))

    async def candles(name):
        return await each[name].exchange.fetch_ohlcv(each[name].symbol, limit=5)

    for one in each.values():
        await one.exchange.load_markets()
    try:
        await answer_beside(
            {
                "markets": markets,
                "order_book": order_book,
                "trades": trades,
                "ticker": ticker,
                "candles": candles,
                "heard": lambda name: each[name].heard(),
            },
            *(stream for one in each.values() for stream in one.followed()),
        )
    finally:
        for one in each.values():
            await one.exchange.close()


asyncio.run(main())
