"""What a line says to whoever runs it, beside its records: losses, refusals, what is traded."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from container_worker.exchanges.adapter import Channel
from container_worker.exchanges.outcomes import TradingStatus
from marketdata.messages import Gap


def _no_loss(_channel: Channel, _gap: Gap) -> None:
    """Its record alone tells a gap."""


def _no_refusal(_channels: Sequence[Channel], _text: str) -> None:
    """Nobody wants to hear of it."""


def _no_status(_status: TradingStatus) -> None:
    """Nor of this."""


class Tidings(NamedTuple):
    """Called with the line's lock held.

    `lost` is told of every gap record, `refused` of the units that the exchange refuses, and
    its words, `traded` of a ticker that is no longer traded as usual, or is so again.
    """

    lost: Callable[[Channel, Gap], None] = _no_loss
    refused: Callable[[Sequence[Channel], str], None] = _no_refusal
    traded: Callable[[TradingStatus], None] = _no_status


SILENT = Tidings()
