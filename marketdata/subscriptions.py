"""What a connection is subscribed to, and which subscriptions an update concerns.

A subscription is a *name*: a symbol (`BTC/USDT`) or a ticker (`BTCUSDT`). A name stands for
every instrument that bears it, on whatever exchange, and is answered in that form. Each name
is one of the ten of its connection, whatever is wanted of it; symbol and ticker of one
instrument are two names, and whoever asks for both is sent both.
"""

from collections.abc import Collection, Mapping

import msgspec

from marketdata.client_errors import SUBSCRIPTION_LIMIT, client_error
from marketdata.client_messages import Subscribe
from marketdata.connection_items import Feed

MAX_SYMBOLS = 10
CHANNEL_FEEDS: tuple[Feed, ...] = ("ticks", "prices", "candles", "depth")
"""The feeds that a subscription may be of; `prices` is the channel's feed at `rate: all`."""
BARE_INTERVAL = "1m"

Reservations = Mapping[str, int]
"""A connection's names, each with the token of the last subscribe that asked for it."""


class Want(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """What is wanted of a name, from one feed.

    `rate` belongs to ticks, `interval` to candles. `bare` are the candles of
    `subscribe,BTC-USD`, of the exchange `source` only.
    """

    feed: Feed
    rate: str = ""
    interval: str = ""
    bare: bool = False
    source: str = ""

    @property
    def channel(self) -> str:
        """The channel by which a client knows it."""
        return "prices" if self.feed == "ticks" else self.feed


Wants = tuple[Want, ...]

_decoder = msgspec.json.Decoder(Wants)


def wants_of(message: Subscribe) -> Wants:
    """What a message wants of each of its names."""
    found = []
    for channel in dict.fromkeys(message.channels):
        if channel == "candles":
            found.append(Want("candles", interval=message.interval))
        elif channel == "depth":
            found.append(Want("depth"))
        elif message.rate == "all":
            found.append(Want("prices"))
        else:
            found.append(Want("ticks", rate=message.rate))
    return tuple(found)


def wants_text(wants: Wants) -> str:
    """Wants as they are stored."""
    return msgspec.json.encode(wants).decode()


def stored_wants(text: str) -> Wants:
    """What `wants_text` made."""
    return _decoder.decode(text)


def reserve(current: Reservations, names: Collection[str], token: int) -> dict[str, int]:
    """The reservations after a subscribe: all of `names`, or nothing changes.

    A name that is there already does not count twice and takes the new token.

    Raises:
        ClientError: SUBSCRIPTION_LIMIT, with the limit and what is taken in the detail.
    """
    wanted = {**current, **dict.fromkeys(names, token)}
    if len(wanted) > MAX_SYMBOLS:
        raise client_error(
            SUBSCRIPTION_LIMIT,
            f"a connection has at most {MAX_SYMBOLS} symbols: {len(current)} are subscribed, "
            f"{len(wanted) - len(current)} new ones were asked for",
        )
    return wanted


def refuse_too_many(names: Collection[str]) -> None:
    """Refuse a list that no connection can have, before anything is looked up.

    Raises:
        ClientError: SUBSCRIPTION_LIMIT.
    """
    if len(names) > MAX_SYMBOLS:
        raise client_error(
            SUBSCRIPTION_LIMIT,
            f"a connection has at most {MAX_SYMBOLS} symbols, and {len(names)} were asked for",
        )


def names_of(symbol: str, ticker: str) -> tuple[str, ...]:
    """The names under which an update is subscribed to: symbol and ticker, once if equal."""
    return (symbol,) if symbol == ticker else (symbol, ticker)
