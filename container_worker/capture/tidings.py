"""What a line says to whoever runs it, beside its records: losses, refusals, what is traded."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from container_worker.exchanges.adapter import Channel
from marketdata.messages import Gap


def _no_loss(_channel: Channel, _gap: Gap) -> None:
    """Its record alone tells a gap."""


def _no_refusal(_channels: Sequence[Channel], _text: str) -> None:
    """Nobody wants to hear of it."""


class Tidings(NamedTuple):
    """Called with the line's lock held.

    `lost` is told of every gap record, `refused` of the units that the exchange refuses, and
    its words.
    """

    lost: Callable[[Channel, Gap], None] = _no_loss
    refused: Callable[[Sequence[Channel], str], None] = _no_refusal


SILENT = Tidings()
