"""What a recording needs of a line: acceptance, refusal, life; it keeps nothing."""

from collections.abc import Callable, Sequence

from container_worker.capture.line import Source
from container_worker.capture.overlap import Overlap
from container_worker.capture.source import look_for_flow
from container_worker.exchanges.adapter import Adapter, Channel
from container_worker.exchanges.outcomes import (
    Accepted,
    ConnectionNumber,
    Heartbeat,
    Leaving,
    Refused,
    TradingStatus,
    Unknown,
)
from container_worker.exchanges.polling import Page
from marketdata.errors import DecodeError
from marketdata.messages import Cause

_NO_LIFE = (
    Accepted,
    ConnectionNumber,
    Heartbeat,
    Leaving,
    Refused,
    TradingStatus,
    Unknown,
)


class TapeLine:
    """Of each frame only what keeps a socket alive is read; one that does not decode stays.

    `wanted` are the channels that the exchange did not refuse by name; `told` gets a sentence
    for each that it did.
    """

    def __init__(
        self, adapter: Adapter, channels: Sequence[Channel], told: Callable[[str], None]
    ) -> None:
        self.exchange = adapter.name
        self.wanted = list(channels)
        self._told = told
        self._decode = None if adapter.socket is None else adapter.socket.decode
        self._overlap: Overlap | None = None
        self._cursor: str | None = None

    def feed(self, frame: bytes, received_ns: int, source: Source) -> None:
        """Takes a frame that is recorded already."""
        if self._decode is None:
            return
        try:
            outcomes = self._decode(frame, received_ns)
        except DecodeError:
            return
        for outcome in outcomes:
            if isinstance(outcome, Accepted):
                source.accepted(outcome.names)
            elif isinstance(outcome, Refused):
                self._refuse(outcome, source)
            elif isinstance(outcome, Leaving):
                source.leaving()
            elif not isinstance(outcome, _NO_LIFE):
                source.data_ns = received_ns
                if not source.flows:
                    look_for_flow(source, outcome)

    def _refuse(self, refused: Refused, source: Source) -> None:
        """The others are recorded without what is named; with nothing left the socket ends."""
        named = [one for one in self.wanted if refused.names(one.ticker, one.type)]
        if not named or len(named) == len(self.wanted):
            source.refused(refused.text)
            return
        self.wanted = [one for one in self.wanted if one not in named]
        source.forget(named)
        units = ", ".join(f"{one.ticker} ({one.type})" for one in named)
        self._told(f"{self.exchange} refuses {units}: {refused.text}. The rest is recorded")

    def feed_page(self, page: Page, received_ns: int, source: Source) -> None:
        """Takes a page that is recorded already; the next one begins after it."""
        del received_ns, source
        self._cursor = page.cursor or self._cursor

    def cursor(self) -> str | None:
        """Where the next page begins."""
        return self._cursor

    def disrupted(self, cause: Cause) -> None:
        """The recording says it by its lines."""

    def share(self, new: Source) -> None:
        """Both sockets are recorded, each under its number."""

    def overlap(self, overlap: Overlap) -> None:
        """Both are open for the least time."""
        self._overlap = overlap

    def may_part(self, now_s: float) -> bool:
        """Whether the older of two sockets may close."""
        return self._overlap is None or self._overlap.is_done(now_s, settled=True)

    def part(self) -> None:
        """One socket is left."""
        self._overlap = None
