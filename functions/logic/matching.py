"""From the records of a feed to the texts that each registration is sent.

    records ─ offers ─► Offer (once a batch) ─ due(registration) ─► texts, in order

The same code serves the push and the replay, so that an event is the same text in both.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marketdata import client_protocol, codec, event_traits
from marketdata.client_messages import Rate
from marketdata.connection_items import Feed
from marketdata.errors import DecodeError
from marketdata.event_filters import Traits, Wanted, matches
from marketdata.ring_items import Cursor, Source
from marketdata.subscriptions import Want
from marketdata.topics import CANDLES, DEPTH, EVENTS, TICKS

if TYPE_CHECKING:
    from functions.registrations import Registration
    from functions.ring import RingRecord

PACE: Rate = "1s"
INTERVAL = "1m"
"""A registration cannot say them: it has what a plain `subscribe` has."""
WANTS: Mapping[Feed, Want] = {
    "events": Want("events"),
    "ticks": Want("ticks", rate=PACE),
    "candles": Want("candles", interval=INTERVAL),
    "depth": Want("depth"),
}
"""What a registration has of each feed, said as a subscription says it."""

Render = Callable[[str], bytes]
Understood = tuple[str, Traits, Render]


@dataclass(frozen=True, slots=True)
class Offer:
    """One event that registrations may want; its texts are made when first wanted.

    `symbol` is that of market data; an event of a chain has none.
    """

    cursor: Cursor
    symbol: str
    traits: Traits
    render: Render
    made: dict[bool, bytes] = field(default_factory=dict)

    def text(self, *, with_cursor: bool) -> bytes:
        """What a client is sent."""
        if with_cursor not in self.made:
            self.made[with_cursor] = self.render(str(self.cursor) if with_cursor else "")
        return self.made[with_cursor]


def offers(source: Source, topic_id: str, records: Sequence["RingRecord"]) -> list[Offer]:
    """What a source's records offer, in their order.

    Passed over: gaps and watermarks, what fills a gap later, other paces and intervals than
    the default ones, and what cannot be understood.
    """
    understand = _UNDERSTAND.get(source.topic)
    found = []
    for record in records:
        if understand is None or "backfill" in record.headers or codec.is_mark(record.value):
            continue
        cursor = Cursor(source.topic, topic_id, source.partition, record.offset)
        try:
            understood = understand(record.value)
            if understood is not None:
                offer = Offer(cursor, *understood)
                offer.text(with_cursor=False)
                found.append(offer)
        except DecodeError:
            continue
    return found


def wanted_of(wanted: Wanted, given: Sequence[Offer]) -> list[Offer]:
    """Those offers that filters want."""
    return [offer for offer in given if matches(wanted, offer.traits)]


def due(registration: "Registration", given: Sequence[Offer]) -> Iterator[tuple[Offer, bytes]]:
    """What a registration is sent of a batch's offers, in their order, and each one's text.

    What lies below all its cuts is not for the push: it was, or will be, replayed (rule 20).
    """
    for offer in given:
        terms = registration.terms_at(offer.cursor.source, offer.cursor.offset)
        if terms and matches(terms.wanted, offer.traits):
            yield offer, offer.text(with_cursor=terms.cursors)


def _event(value: bytes) -> Understood:
    event = codec.decode_event(value)
    text = value.rstrip()
    traits = event_traits.of_contract_event(event)
    return "", traits, lambda cursor: _spliced(text, cursor)


def _spliced(text: bytes, cursor: str) -> bytes:
    # The record itself, so that members that we do not know reach the client too.
    return text[:-1] + b',"cursor":"%b"}' % cursor.encode() if cursor else text


def _tick(value: bytes) -> Understood | None:
    tick = codec.decode_tick(value)
    if PACE not in tick.rates:
        return None
    symbol = tick.symbol
    traits = event_traits.of_market("price_update", symbol)
    return symbol, traits, lambda cursor: client_protocol.price_update(tick, symbol, cursor)


def _candle(value: bytes) -> Understood | None:
    candle = codec.decode_candle(value)
    if candle.interval != INTERVAL:
        return None
    pair = candle.pair
    traits = event_traits.of_market("candle", pair)
    return pair, traits, lambda cursor: client_protocol.candle(candle, pair, cursor)


def _depth(value: bytes) -> Understood:
    top = codec.decode_depth(value)
    symbol = top.symbol
    traits = event_traits.of_market("depth", symbol)
    return symbol, traits, lambda cursor: client_protocol.depth(top, symbol, cursor)


_UNDERSTAND: dict[str, Callable[[bytes], Understood | None]] = {
    EVENTS.name: _event,
    TICKS.name: _tick,
    CANDLES.name: _candle,
    DEPTH.name: _depth,
}
