"""Where Binance listens, what is asked of it, how much it bears (protocols 1.1-1.5, 1.10)."""

import json
from collections.abc import Mapping, Sequence
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

STREAMS = {
    topics.DIFF_DEPTH: "depth@100ms",
    topics.DEPTH_SNAPSHOTS: "depth20@100ms",
    topics.TRADES: "trade",
    topics.CANDLE_UPDATES: "kline_1m",
}
"""Our types and the suffix of the stream that carries each."""

NUMBERING: dict[str, Numbering] = {
    topics.DIFF_DEPTH: "exchange",
    topics.DEPTH_SNAPSHOTS: "snapshots",
    topics.TRADES: "exchange",
    topics.CANDLE_UPDATES: "snapshots",
}

LIMITS = Limits(
    streams_per_socket=1024,
    streams_per_request=100,
    control_per_second=3.0,
    connection_life_s=24 * 3600.0,
    connects_per_minute=60.0,
    weight_per_minute=6000,
)

RESTRICTED = (
    "Binance refuses this address (HTTP 451, restricted location): run in another region, or "
    "set BINANCE_WS_URL and BINANCE_REST_URL to those of Binance.US "
    "(wss://stream.binance.us:9443, https://api.binance.us)"
)

INSTRUMENTS = RestRequest("/api/v3/exchangeInfo", 50)
"""The list of everything that is traded."""

_UNAWAITED_ID = 1_000_000
_SNAPSHOT_LEVELS = 5000
# Binance.US counts 50 of 1200 a minute: the same share, so one number serves both.
_SNAPSHOT_WEIGHT = 250
PAGE = 1000
"""The most trades or candles of one answer."""
_TRADES_WEIGHT = 25
_CANDLES_WEIGHT = 2
_MODES = ("/ws", "/stream")


def socket_url(base: str) -> str:
    """The combined endpoint of a base URL that ends in `/ws`, `/stream` or neither."""
    parts = urlsplit(base)
    path = parts.path.rstrip("/")
    for mode in _MODES:
        path = path.removesuffix(mode)
    return urlunsplit((parts.scheme, parts.netloc, f"{path}/stream", parts.query, ""))


def subscriptions(channels: Sequence[Channel], _session: Session) -> list[Subscription]:
    """SUBSCRIBE messages for the channels, with request ids from 1."""
    names = [_stream(channel) for channel in channels]
    size = LIMITS.streams_per_request
    batches = [names[start : start + size] for start in range(0, len(names), size)]
    return [
        _control("SUBSCRIBE", batch, number, frozenset((str(number),)))
        for number, batch in enumerate(batches, 1)
    ]


def resubscribe(channel: Channel, _session: Session) -> list[Subscription]:
    """The stream once more; nothing waits for the answers."""
    names = [_stream(channel)]
    return [
        _control("UNSUBSCRIBE", names, _UNAWAITED_ID, frozenset()),
        _control("SUBSCRIBE", names, _UNAWAITED_ID, frozenset()),
    ]


def _stream(channel: Channel) -> str:
    return f"{channel.ticker.lower()}@{STREAMS[channel.type]}"


def _control(
    method: str, names: list[str], number: int, awaits: frozenset[str]
) -> Subscription:
    text = json.dumps({"method": method, "params": names, "id": number})
    return Subscription(text, awaits)


def snapshot_request(ticker: str) -> RestRequest:
    """The deepest book there is."""
    path = f"/api/v3/depth?symbol={quote(ticker, safe='')}&limit={_SNAPSHOT_LEVELS}"
    return RestRequest(path, _SNAPSHOT_WEIGHT)


def trades_request(ticker: str, first: int, _last: int) -> RestRequest:
    """The trades from the id `first` on.

    Binance asks for no key (rest-api.md, "Old trade lookup"); Binance.US does, and answers 401.
    """
    symbol = quote(ticker, safe="")
    path = f"/api/v3/historicalTrades?symbol={symbol}&fromId={first}&limit={PAGE}"
    return RestRequest(path, _TRADES_WEIGHT)


def candles_request(ticker: str, from_ms: int, to_ms: int) -> RestRequest:
    """The minutes that start from `from_ms` up to `to_ms`."""
    span = f"startTime={from_ms}&endTime={to_ms}&limit={PAGE}"
    path = f"/api/v3/klines?symbol={quote(ticker, safe='')}&interval=1m&{span}"
    return RestRequest(path, _CANDLES_WEIGHT)


def used_weight(headers: Mapping[str, str]) -> int | None:
    """The weight spent in the current minute, from the answer's headers."""
    text = headers.get("x-mbx-used-weight-1m", "")
    return int(text) if text.isdecimal() and len(text) < 10 else None
