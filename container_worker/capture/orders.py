"""From what streams wish to what is captured: one unit a channel (rule 18)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from container_worker.exchanges.adapter import Adapter, Channel
from container_worker.streams_file import Wish
from marketdata.errors import UnknownTicker
from marketdata.instruments import Instrument
from marketdata.topics import (
    CANDLE_UPDATES,
    CONTRACT_EVENTS,
    DEPTH_SNAPSHOTS,
    DIFF_DEPTH,
    TICKER,
    TRADES,
)

_CHANNEL_OF_TYPE = {
    TRADES: "prices",
    TICKER: "prices",
    CONTRACT_EVENTS: "events",
    CANDLE_UPDATES: "candles",
    DIFF_DEPTH: "depth",
    DEPTH_SNAPSHOTS: "depth",
}
"""What clients can have of an instrument when this type of it is captured."""

_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Order:
    """One capture unit: `queue_id` goes into its headers, `wrote` counts durable records."""

    channel: Channel
    queue_id: str
    topic: str
    wrote: Callable[[], None]


def channels_of(wish: Wish) -> list[Channel]:
    """The units of one stream."""
    return [Channel(ticker, type_) for ticker in wish.tickers for type_ in wish.types]


def wanted_by(wishes: Iterable[Wish], exchange: str) -> dict[Channel, list[str]]:
    """Each unit of an exchange, with the ids of the streams that want it, in their order."""
    wanted: dict[Channel, list[str]] = {}
    for wish in wishes:
        if wish.exchange == exchange:
            for channel in channels_of(wish):
                wanted.setdefault(channel, []).append(wish.queue_id)
    return wanted


def find_instruments(
    adapter: Adapter, listed: Mapping[str, Instrument], channels: Sequence[Channel]
) -> dict[str, Instrument]:
    """The instruments of the channels, by ticker, with what clients can have of them.

    Raises:
        UnknownTicker: one sentence that names all tickers which the exchange does not list.
    """
    types: dict[str, set[str]] = {}
    for channel in channels:
        types.setdefault(channel.ticker, set()).add(_CHANNEL_OF_TYPE[channel.type])
    unknown = [ticker for ticker in types if ticker not in listed]
    if unknown:
        raise UnknownTicker(_sentence(adapter.name, unknown, listed))
    return {
        ticker: Instrument(
            exchange=adapter.name,
            ticker=ticker,
            symbol=listed[ticker].symbol,
            base=listed[ticker].base,
            quote=listed[ticker].quote,
            channels=tuple(sorted(wanted)),
        )
        for ticker, wanted in types.items()
    }


def make_instruments(adapter: Adapter, channels: Sequence[Channel]) -> dict[str, Instrument]:
    """As `find_instruments`, for an exchange without a list: its names have a form.

    Raises:
        UnknownTicker: one sentence that names all tickers which cannot be one of it.
    """
    listed = {}
    for channel in channels:
        made = adapter.instrument(channel.ticker) if adapter.instrument else None
        if made is not None:
            listed[channel.ticker] = made
    return find_instruments(adapter, listed, channels)


def _sentence(exchange: str, unknown: list[str], listed: Mapping[str, Instrument]) -> str:
    bare = {_bare(ticker): ticker for ticker in listed}
    named = []
    for ticker in unknown[:_MOST_NAMED]:
        meant = bare.get(_bare(ticker))
        named.append(f"{ticker} (did you mean {meant}?)" if meant else ticker)
    more = f" and {len(unknown) - _MOST_NAMED} more" if len(unknown) > _MOST_NAMED else ""
    return f"{exchange} does not list {', '.join(named)}{more}"


def _bare(ticker: str) -> str:
    return "".join(letter for letter in ticker.upper() if letter.isalnum())
