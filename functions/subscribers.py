"""What makes subscriptions, put together for one stage's clients."""

from functions.candles import candles_table
from functions.logic.bare_candles import BareCandles
from functions.logic.reserving import Reserving
from functions.logic.resuming import Resuming
from functions.logic.subscribing import Subscribing
from functions.posting import posts
from functions.settings import settings
from functions.tables import (
    connections_table,
    listings_table,
    ring_table,
    subscriptions_table,
)


def reserving() -> Reserving:
    """Reservations, of all stages."""
    return Reserving(connections_table(), subscriptions_table())


def subscribing(stage: str) -> Subscribing:
    """Subscriptions by JSON."""
    return Subscribing(
        stage=stage,
        listings=listings_table(),
        reserving=reserving(),
        resuming=_resuming(stage),
        posts=posts(stage),
        rate_all=settings().rate_all,
    )


def bare_candles(stage: str) -> BareCandles:
    """Subscriptions by `subscribe,BTC-USD`."""
    return BareCandles(
        stage=stage,
        listings=listings_table(),
        candles=candles_table(),
        reserving=reserving(),
        resuming=_resuming(stage),
        posts=posts(stage),
        order=settings().candle_sources,
    )


def _resuming(stage: str) -> Resuming:
    known = settings()
    return Resuming(
        ring=ring_table(),
        ring_topics=frozenset(known.ring_topics),
        reserving=reserving(),
        posts=posts(stage),
        most=known.max_queue_size,
    )
