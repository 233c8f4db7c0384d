"""Every simulated share: books that live, and the messages that state them.

step(now) ─► statements ─► Frame with the flat message; its id is the sequence number
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from local.exchanges.frames import Frame
from local.exchanges.ladder import ASK, BID, Ladder
from local.exchanges.market import NO_IDS, Ids
from local.exchanges.pace import Wanted
from local.exchanges.stockbit.book_walk import BookWalk, Statement
from local.exchanges.stockbit.connection import stream_of
from local.exchanges.stockbit.messages import as_channel, flat_book
from local.exchanges.stockbit.requests import Layout
from local.exchanges.stockbit.shares import share


class SimulatedShares:
    """The market of some tickers; each goes its own way by the seed.

    Raises:
        InputError: a ticker is no code of the exchange.
    """

    mode = "simulate"

    def __init__(
        self,
        tickers: Sequence[str],
        seed: int,
        start_ms: int,
        after: Mapping[str, Ids] | None = None,
    ) -> None:
        known = after or {}
        self._walks = {
            ticker: BookWalk(share(ticker), seed, start_ms, known.get(ticker, NO_IDS))
            for ticker in tickers
        }
        self._streams = {stream_of(ticker) for ticker in tickers}
        self.tickers = tuple(self._walks)
        self._now_ms = start_ms

    def has(self, stream: str) -> bool:
        """Whether a stream is one of these tickers'."""
        return stream in self._streams

    def now_ms(self) -> int:
        """The time until which the market has lived."""
        return self._now_ms

    def ladder(self, ticker: str) -> Ladder:
        """The true book; its levels are `["price","lots","value"]`."""
        return self._walks[ticker].ladder

    def ids(self) -> dict[str, Ids]:
        """How far each share is."""
        return {ticker: walk.ids() for ticker, walk in self._walks.items()}

    def last_ids(self, ticker: str) -> dict[str, int | str | None]:
        """The last sequence number."""
        return {"sequence_number": self._walks[ticker].ladder.last_id}

    def step(self, now_ms: int, wanted: Wanted) -> Iterator[Frame]:
        """The statements due until `now_ms`; a time that goes back is no step."""
        if now_ms <= self._now_ms:
            return
        self._now_ms = now_ms
        for walk in self._walks.values():
            is_wanted = wanted(stream_of(walk.share.ticker))
            for statement in walk.advance(now_ms):
                if is_wanted:
                    yield _frame(walk, statement)

    def settle(self, _wanted: Wanted) -> Iterable[Frame]:
        """Nothing: a statement is sent when it is made."""
        return ()

    def opening(self, tickers: Sequence[str], _connection: int) -> Iterator[Frame]:
        """Both sides of each book as they are, each under a number of its own, to everybody.

        A sequence number is one for all connections.
        """
        for ticker in tickers:
            walk = self._walks[ticker]
            for side in (BID, ASK):
                yield _frame(walk, walk.state(self._now_ms, side))

    def content(self, frame: Frame, layout: Layout) -> bytes:
        """The flat message, or the same in a wrapper with orders and shares."""
        if layout == "flat":
            return frame.payload
        return as_channel(frame.payload, frame.last_id, share(frame.ticker).book_id)


def _frame(walk: BookWalk, statement: Statement) -> Frame:
    ticker = walk.share.ticker
    levels = walk.levels(statement.side)
    payload = flat_book(ticker, statement.side, levels, statement.time_ms)
    number = statement.number
    return Frame(ticker, stream_of(ticker), payload, number, number)
