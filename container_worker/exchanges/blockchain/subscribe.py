"""Where Blockchain.com Exchange listens, what is asked of it, how much it bears (protocols 3).

One message a channel and symbol; `heartbeat` and `symbols` are asked for on every socket.
"""

import json
import math
from collections.abc import Sequence
from urllib.parse import urlsplit, urlunsplit

from container_worker.exchanges.adapter import (
    Channel,
    Limits,
    Numbering,
    RestRequest,
    Session,
    Subscription,
)
from marketdata import topics

CHANNELS = {
    topics.DIFF_DEPTH: "l2",
    topics.TRADES: "trades",
    topics.CANDLE_UPDATES: "prices",
    topics.TICKER: "ticker",
}
"""Our types and the channel that carries each."""

NUMBERING: dict[str, Numbering] = {
    topics.DIFF_DEPTH: "ours",
    topics.TRADES: "opaque",
    topics.CANDLE_UPDATES: "snapshots",
    topics.TICKER: "opaque",
}

LIMITS = Limits(
    # As many as are asked for one by one, and accepted, in the time that capture waits.
    streams_per_socket=50,
    streams_per_request=1,
    # The exchange ignores who sends more than 1,200 a minute.
    control_per_second=15.0,
    connection_life_s=math.inf,
    connects_per_minute=30.0,
    weight_per_minute=60,
)

ORIGIN = "https://exchange.blockchain.com"
"""Without it the upgrade is refused with HTTP 400."""

RESTRICTED = (
    "Blockchain.com Exchange refuses this address (HTTP 451, restricted location): run in "
    "another region, or leave the exchange `blockchain` out of the streams"
)

INSTRUMENTS = RestRequest("/v3/exchange/symbols", 1)
"""The list of everything that is or was traded, as an object by symbol."""

HEARTBEAT = "heartbeat"
SYMBOLS = "symbols"
"""How the pairs are traded; nobody waits for it, for the data come without."""
_PATH = "/mercury-gateway/v1/ws"
_MINUTE_S = 60


def socket_url(base: str) -> str:
    """The base URL; one that is only a host gets the exchange's own path."""
    parts = urlsplit(base)
    path = parts.path.rstrip("/") or _PATH
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def subscriptions(channels: Sequence[Channel], _session: Session) -> list[Subscription]:
    """The heartbeat, a message for each channel, the symbols."""
    beat, symbols = (
        json.dumps({"action": "subscribe", "channel": name}) for name in (HEARTBEAT, SYMBOLS)
    )
    return [
        Subscription(beat, frozenset((HEARTBEAT,))),
        *(_request("subscribe", channel, awaited=True) for channel in channels),
        Subscription(symbols, frozenset()),
    ]


def resubscribe(channel: Channel, _session: Session) -> list[Subscription]:
    """The channel ended and asked for once more: `l2` and `ticker` begin with a snapshot."""
    return [_request("unsubscribe", channel), _request("subscribe", channel)]


def _request(action: str, channel: Channel, *, awaited: bool = False) -> Subscription:
    """One granularity only: the exchange refuses a second one of the same symbol."""
    name = CHANNELS[channel.type]
    message: dict[str, str | int] = {
        "action": action,
        "channel": name,
        "symbol": channel.ticker,
    }
    if channel.type == topics.CANDLE_UPDATES:
        message["granularity"] = _MINUTE_S
    awaits = frozenset((f"{name}:{channel.ticker}",)) if awaited else frozenset[str]()
    return Subscription(json.dumps(message), awaits)
