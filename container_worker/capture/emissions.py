"""What the pure core of a capture unit asks the shell to do."""

from typing import NamedTuple

import msgspec

from container_worker.exchanges.outcomes import (
    BookDelta,
    BookState,
    CandleState,
    TickerState,
    Trade,
)
from marketdata.messages import (
    Candle,
    ContractEvent,
    DepthSnapshot,
    DepthUpdate,
    Gap,
    PriceUpdate,
    Watermark,
)

Message = DepthUpdate | DepthSnapshot | Gap | Watermark | PriceUpdate | Candle | ContractEvent
Event = DepthUpdate | BookState | BookDelta | Trade | TickerState | CandleState | ContractEvent


class Write(NamedTuple):
    """Publish this message; `id` goes into its header."""

    message: Message
    id: int | str


class Fetch(NamedTuple):
    """Get the book of this ticker from the REST interface."""

    ticker: str


class Refuse(NamedTuple):
    """Put this event into `rejects`: it was received and is not used."""

    event: Event | msgspec.Raw
    reason: str


class Restate(NamedTuple):
    """Have the exchange state this unit anew, on the open socket."""


class Renew(NamedTuple):
    """Have the socket replaced without a seam: the new one's statement is the test (rule 9)."""


class Recover(NamedTuple):
    """Ask the REST interface for missing trades (ids) or candles (starts in ms), both in."""

    first: int
    last: int


Emission = Write | Fetch | Refuse | Restate | Renew | Recover
Emissions = list[Emission]


def gap(missing: Gap) -> Write:
    """A gap record, under the first missing id where that is known."""
    return Write(missing, "" if missing.first is None else missing.first)
