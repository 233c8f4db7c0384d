"""Where Coinbase listens, what is asked of it, how much it bears (protocols 5.1, 5.2, 5.5)."""

import json
import math
from collections.abc import Sequence
from urllib.parse import quote, urlsplit, urlunsplit

from container_worker.exchanges.adapter import (
    Channel,
    Limits,
    Numbering,
    RestRequest,
    Session,
    Subscription,
)
from marketdata import topics
from marketdata.times import iso_ms

CHANNELS = {
    topics.DIFF_DEPTH: "level2_batch",
    topics.TRADES: "matches",
    topics.TICKER: "ticker",
}
"""Our types and the channel that carries each; `level2` itself asks for a key."""

NUMBERING: dict[str, Numbering] = {
    topics.DIFF_DEPTH: "ours",
    topics.TRADES: "exchange",
    topics.TICKER: "opaque",
}

LIMITS = Limits(
    streams_per_socket=150,
    streams_per_request=50,
    control_per_second=4.0,
    connection_life_s=math.inf,
    # 480 a minute are allowed, but only 20 at once: a minute's worth may go at once.
    connects_per_minute=24.0,
    weight_per_minute=600,
    weight_burst=15,
)

RESTRICTED = (
    "Coinbase refuses this address (HTTP 451, restricted location): run in another region, or "
    "set COINBASE_WS_URL and COINBASE_REST_URL to addresses that serve yours"
)

INSTRUMENTS = RestRequest("/products", 1)
"""The list of everything that is or was traded."""

TRADES_PER_PAGE = 1000
CANDLES_PER_PAGE = 300

_HEARTBEAT = "heartbeat"
_BOOK = "level2"
_MINUTE_S = 60


def socket_url(base: str) -> str:
    """The feed is at the root of its host, or wherever the base URL says."""
    parts = urlsplit(base)
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", parts.query, ""))


def awaited(channel: str, ticker: str) -> str:
    """The name under which an ack is waited for.

    The exchange may call the book channel by another of its names (protocols 5.2).
    """
    return f"{_BOOK if channel.startswith(_BOOK) else channel}:{ticker}"


def subscriptions(channels: Sequence[Channel], _session: Session) -> list[Subscription]:
    """Subscribe messages for the channels, and the heartbeat of each product once."""
    size = LIMITS.streams_per_request
    beating: set[str] = set()
    sent = []
    for start in range(0, len(channels), size):
        by_channel: dict[str, list[str]] = {}
        for ticker, type_ in channels[start : start + size]:
            by_channel.setdefault(CHANNELS[type_], []).append(ticker)
            if ticker not in beating:
                beating.add(ticker)
                by_channel.setdefault(_HEARTBEAT, []).append(ticker)
        sent.append(_control("subscribe", by_channel, awaits=True))
    return sent


def resubscribe(channel: Channel, _session: Session) -> list[Subscription]:
    """Out and in again: a new subscription begins with a new snapshot or last match.

    That it does so on an open socket too is general knowledge, not documented (protocols 5.4).
    """
    one = {CHANNELS[channel.type]: [channel.ticker]}
    return [_control(what, one, awaits=False) for what in ("unsubscribe", "subscribe")]


def _control(what: str, by_channel: dict[str, list[str]], *, awaits: bool) -> Subscription:
    channels = [{"name": name, "product_ids": tickers} for name, tickers in by_channel.items()]
    names = (
        awaited(name, ticker)
        for name, tickers in by_channel.items()
        for ticker in tickers
        if name != _HEARTBEAT
    )
    text = json.dumps({"type": what, "channels": channels})
    return Subscription(text, frozenset(names if awaits else ()))


def trades_request(ticker: str, first: int, last: int) -> RestRequest:
    """The trades from `first` on: those just below an id, as many as lie above `first`."""
    after = min(last + 1, first + TRADES_PER_PAGE)
    path = f"/products/{quote(ticker, safe='')}/trades?limit={after - first}&after={after}"
    return RestRequest(path, 1)


def candles_request(ticker: str, from_ms: int, to_ms: int) -> RestRequest:
    """The candles of one minute that start between two times; more than 300 are refused."""
    path = (
        f"/products/{quote(ticker, safe='')}/candles?granularity={_MINUTE_S}"
        f"&start={iso_ms(from_ms)}&end={iso_ms(to_ms)}"
    )
    return RestRequest(path, 1)
