"""What the server asks of whatever it serves, and the simulated market."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from local.exchanges.blockchain import payloads
from local.exchanges.blockchain.broadcast import TickerBroadcast
from local.exchanges.blockchain.eras import Era
from local.exchanges.blockchain.instruments import CLOSED, closed_symbol, symbol_object
from local.exchanges.blockchain.payloads import EMPTY, Book
from local.exchanges.frames import Frame
from local.exchanges.ladder import Ladder
from local.exchanges.market import NO_IDS, Ids, MarketInstrument
from local.exchanges.pace import Wanted

HEARTBEATS = "@heartbeat"


class Venue(Protocol):
    """Books, tickers and symbols as they have been told; asking changes nothing."""

    @property
    def mode(self) -> str:
        """`simulate` or `replay`."""
        ...

    @property
    def tickers(self) -> Sequence[str]:
        """Every pair that lives, in a fixed order."""
        ...

    @property
    def has_orders(self) -> bool:
        """Whether a book's rows tell their orders."""
        ...

    def ladder(self, ticker: str) -> Ladder | None:
        """The book, None while it is not known (a tape before its snapshot)."""
        ...

    def last_ids(self, ticker: str) -> Mapping[str, int | str | None]:
        """Last update and last trade."""
        ...

    def now_ms(self) -> int:
        """The exchange's own time: that of the last thing that happened."""
        ...

    def symbols(self) -> Mapping[str, Mapping[str, Any]]:
        """Everything that is listed, also what is closed."""
        ...

    def book(self, ticker: str) -> Book | None:
        """The book by rising price; None while it is not known."""
        ...

    def stamp(self, ticker: str) -> str:
        """The time of a message about the book, empty where those have none."""
        ...

    def state(self, ticker: str) -> Mapping[str, str]:
        """The ticker's members as number texts; empty where nothing is known."""
        ...


def snapshot(venue: Venue, channel: str, ticker: str) -> bytes | None:
    """What the channel begins with; None where it begins with nothing, or with nothing yet."""
    if channel == "symbols":
        return payloads.symbols(venue.symbols())
    if channel == "l2" or (channel == "l3" and venue.has_orders):
        book = venue.book(ticker)
        make = payloads.l2 if channel == "l2" else payloads.l3
        return None if book is None else make("snapshot", ticker, book, venue.stamp(ticker))
    if channel == "ticker" and (state := venue.state(ticker)):
        return payloads.ticker_state("snapshot", ticker, state)
    return None


class SimulatedMarket:
    """Every simulated pair; `step` makes them live until a time."""

    mode = "simulate"
    has_orders = True

    def __init__(
        self,
        instruments: Iterable[MarketInstrument],
        seed: int,
        start_ms: int,
        era: Era,
        heartbeat_ms: int,
        *,
        after: Mapping[str, Ids] | None = None,
    ) -> None:
        known = after or {}
        self._broadcasts = {
            item.ticker: TickerBroadcast(
                item, seed, start_ms, era, after=known.get(item.ticker, NO_IDS)
            )
            for item in instruments
        }
        self.tickers = tuple(self._broadcasts)
        self._era = era
        self._heartbeat_ms = heartbeat_ms
        self._now_ms = start_ms

    def step(self, now_ms: int, wanted: Wanted) -> Iterable[Frame]:
        """The frames due until `now_ms`, pair by pair; a time that goes back is no step."""
        if now_ms <= self._now_ms:
            return
        before, self._now_ms = self._now_ms, now_ms
        for broadcast in self._broadcasts.values():
            yield from broadcast.step(now_ms, wanted)
        if now_ms // self._heartbeat_ms > before // self._heartbeat_ms and wanted(HEARTBEATS):
            payload = payloads.heartbeat(self._era.stamp(now_ms, now_ms))
            yield Frame("", HEARTBEATS, payload, 0, 0)

    def settle(self, wanted: Wanted) -> Iterable[Frame]:
        """What is told now and then only."""
        for broadcast in self._broadcasts.values():
            yield from broadcast.settle(wanted)

    def ladder(self, ticker: str) -> Ladder | None:
        """See `Venue`."""
        return self._broadcasts[ticker].walk.ladder

    def ids(self) -> dict[str, Ids]:
        """How far each pair is."""
        return {ticker: each.ids() for ticker, each in self._broadcasts.items()}

    def last_ids(self, ticker: str) -> Mapping[str, int | str | None]:
        """See `Venue`."""
        broadcast = self._broadcasts[ticker]
        return {
            "update_id": broadcast.walk.ladder.last_id,
            "trade_id": broadcast.last_trade_id,
        }

    def now_ms(self) -> int:
        """See `Venue`."""
        return self._now_ms

    def symbols(self) -> Mapping[str, Mapping[str, Any]]:
        """See `Venue`."""
        listed = {
            ticker: symbol_object(broadcast.instrument, number)
            for number, (ticker, broadcast) in enumerate(self._broadcasts.items(), 1)
        }
        return {**listed, CLOSED: closed_symbol(len(listed) + 1)}

    def book(self, ticker: str) -> Book | None:
        """See `Venue`."""
        return EMPTY if ticker == CLOSED else self._broadcasts[ticker].book()

    def stamp(self, ticker: str) -> str:
        """See `Venue`."""
        one = next(iter(self._broadcasts)) if ticker == CLOSED else ticker
        return self._broadcasts[one].stamp()

    def state(self, ticker: str) -> Mapping[str, str]:
        """See `Venue`."""
        return {} if ticker == CLOSED else self._broadcasts[ticker].state()
