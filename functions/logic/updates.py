"""From the records of a source to what subscribers of its names are sent (design.md §7).

RingRecord ─► Update: whom it suits, and its text in each form

The same code serves the push and the replay, so that an update is the same text in both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from functions.ring_blobs import RingRecord
from marketdata import client_protocol, codec
from marketdata.errors import DecodeError
from marketdata.messages import Tick
from marketdata.ring_items import Cursor, Source
from marketdata.subscriptions import Want, names_of
from marketdata.topics import CANDLES, DEPTH, PRICES, TICKER, TICKS

CUT_TOPICS = frozenset({TICKS.name, DEPTH.name})
"""After an outage only the newest of these is sent; candles and events never miss any."""


class Form(NamedTuple):
    """In which of its texts a subscriber gets an update."""

    name: str
    cursor: bool = False
    bare: bool = False


@dataclass(slots=True)
class Update:
    """One update of an instrument; its texts are made when first wanted.

    `slots` are those of which it is a state: a tick's paces, a candle's interval and start.
    `newest` are those of which no later state came with it.
    """

    cursor: Cursor
    key: tuple[str, str]
    symbol: str
    slots: frozenset[str]
    render: Callable[[Form, str], bytes]
    closed: bool = False
    interval: str = ""
    newest: frozenset[str] = frozenset()
    made: dict[Form, bytes] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The names under which it is subscribed to."""
        return names_of(self.symbol, self.key[1])

    def suits(self, want: Want, *, only_newest: bool) -> bool:
        """Whether it is what somebody wants; `only_newest` leaves out what is outdated."""
        if want.feed == TICKS.name:
            return want.rate in (self.newest if only_newest else self.slots)
        if want.feed == CANDLES.name:
            if not want.bare:
                return want.interval == self.interval
            return (
                want.interval == self.interval
                and want.source in {"", self.key[0]}
                and (self.closed or bool(self.newest))
            )
        return not only_newest or bool(self.newest)

    def text(self, form: Form) -> bytes:
        """What a client is sent."""
        if form not in self.made:
            self.made[form] = self.render(form, str(self.cursor) if form.cursor else "")
        return self.made[form]


def read_updates(
    source: Source, topic_id: str, records: Sequence[RingRecord]
) -> tuple[list[Update], int]:
    """The updates that records hold, in their order, and how many were not understood."""
    understand = _UNDERSTAND.get(source.topic)
    if understand is None:
        return [], 0
    updates, poison = [], 0
    for record in records:
        cursor = Cursor(source.topic, topic_id, source.partition, record.offset)
        try:
            update = understand(cursor, codec.split_key(record.key), record)
            if update is not None:
                update.text(Form(update.symbol))
                updates.append(update)
        except DecodeError:
            poison += 1
    _mark_newest(updates)
    return updates, poison


def _mark_newest(updates: Sequence[Update]) -> None:
    seen: set[tuple[tuple[str, str], str]] = set()
    for update in reversed(updates):
        update.newest = frozenset(one for one in update.slots if (update.key, one) not in seen)
        seen |= {(update.key, one) for one in update.slots}


def _tick(cursor: Cursor, key: tuple[str, str], record: RingRecord) -> Update:
    tick = codec.decode_tick(record.value)
    return Update(cursor, key, tick.symbol, frozenset(tick.rates), _price_text(tick))


def _trade(cursor: Cursor, key: tuple[str, str], record: RingRecord) -> Update | None:
    if record.headers.get("type") == TICKER:  # no trade of its own
        return None
    trade = codec.decode_price(record.value)
    tick = Tick(trade.symbol, trade.price, trade.volume, trade.timestamp, trade.source, ())
    return Update(cursor, key, trade.symbol, frozenset(), _price_text(tick))


def _price_text(tick: Tick) -> Callable[[Form, str], bytes]:
    return lambda form, cursor: client_protocol.price_update(tick, form.name, cursor)


def _candle(cursor: Cursor, key: tuple[str, str], record: RingRecord) -> Update:
    candle = codec.decode_candle(record.value)

    def render(form: Form, cursor: str) -> bytes:
        if form.bare:
            return client_protocol.bare_candle(candle, form.name)
        return client_protocol.candle(candle, form.name, cursor)

    slot = f"{candle.interval} {candle.timestamp}"
    return Update(
        cursor, key, candle.pair, frozenset({slot}), render, candle.closed, candle.interval
    )


def _depth(cursor: Cursor, key: tuple[str, str], record: RingRecord) -> Update:
    top = codec.decode_depth(record.value)
    return Update(
        cursor,
        key,
        top.symbol,
        frozenset({"top"}),
        lambda form, cursor: client_protocol.depth(top, form.name, cursor),
    )


_UNDERSTAND: dict[str, Callable[[Cursor, tuple[str, str], RingRecord], Update | None]] = {
    TICKS.name: _tick,
    PRICES.name: _trade,
    CANDLES.name: _candle,
    DEPTH.name: _depth,
}
