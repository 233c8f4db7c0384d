"""What the pure core of a capture unit asks the shell to do."""

from typing import NamedTuple

from container_worker.exchanges.outcomes import CandleState, Trade
from marketdata.messages import (
    Candle,
    DepthSnapshot,
    DepthUpdate,
    Gap,
    PriceUpdate,
    Watermark,
)

Message = DepthUpdate | DepthSnapshot | Gap | Watermark | PriceUpdate | Candle
Event = DepthUpdate | DepthSnapshot | Trade | CandleState


class Write(NamedTuple):
    """Publish this message; `id` goes into its header."""

    message: Message
    id: int | str


class Fetch(NamedTuple):
    """Get the book of this ticker from the REST interface."""

    ticker: str


class Refuse(NamedTuple):
    """Put this event into `rejects`: it was received and is not used."""

    event: Event
    reason: str


Emission = Write | Fetch | Refuse
Emissions = list[Emission]


def gap(missing: Gap) -> Write:
    """A gap record, under the first missing id where that is known."""
    return Write(missing, "" if missing.first is None else missing.first)
