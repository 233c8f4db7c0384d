"""coinbasepro's PublicClient, of Coinbase's REST: the address is its argument."""

from datetime import UTC, datetime
from itertools import islice

import coinbasepro
from answering import addresses, answer_plainly

PRODUCT = "ETH-USD"
client = coinbasepro.PublicClient(api_url=addresses()["coinbase"]["rest"])


def candles(first_s, last_s):
    """Minutes from one time to another, newest first."""
    start, stop = (
        datetime.fromtimestamp(moment, UTC).isoformat() for moment in (first_s, last_s)
    )
    return client.get_product_historic_rates(PRODUCT, start=start, stop=stop)


answer_plainly(
    {
        "products": client.get_products,
        "book": lambda level: client.get_product_order_book(PRODUCT, level=level),
        "ticker": lambda: client.get_product_ticker(PRODUCT),
        # It asks for the next page by itself until it is told to stop.
        "trades": lambda count: list(islice(client.get_product_trades(PRODUCT), count)),
        "candles": candles,
        "day": lambda: client.get_product_24hr_stats(PRODUCT),
        "time": client.get_time,
    }
)
