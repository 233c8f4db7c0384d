"""The values of the Kafka topics as typed messages (design.md §4).

The order book's four kinds are told apart by `e`; a gap or a watermark of any other type has
the same shape. Prices and quantities are the exchange's own text. Times are UTC milliseconds.
"""

from typing import Literal

import msgspec

Level = tuple[str, ...]
"""`(price, quantity)`, or `(price, quantity, value)` where the exchange sends its own value."""

NULL = msgspec.Raw(b"null")
"""A number that is not known: JSON's null, kept raw as numbers are."""

Cause = Literal[
    "sequence",
    "disconnect",
    "stall",
    "backpressure",
    "garbage",
    "clock",
    "retention",
    "restart",
]
"""Why something is missing; `restart` is a process that died and came back."""


class DepthUpdate(
    msgspec.Struct, frozen=True, gc=False, tag_field="e", tag="depthUpdate", omit_defaults=True
):
    """A delta: absolute quantities, zero removes the level; covers the ids `U` to `u`."""

    E: int
    s: str
    U: int
    u: int
    b: list[Level]
    a: list[Level]
    x: str


class DepthSnapshot(
    msgspec.Struct,
    frozen=True,
    gc=False,
    tag_field="e",
    tag="depthSnapshot",
    omit_defaults=True,
):
    """The whole book as of id `u`, best level first, or one side of it.

    `E` is the time of the event that it was verified against. `side` is `b` or `a` where only
    that side is restated.
    """

    E: int
    s: str
    u: int
    b: list[Level]
    a: list[Level]
    x: str
    side: str | None = None


class Gap(msgspec.Struct, frozen=True, tag_field="e", tag="gap", rename={"from_": "from"}):
    """Ids that are missing, `first` to `last` (null while the hole is open; rule 7).

    `E` is the event time at which the reader knows of it; `from` and `to` bound the time of
    what is missing, `to` is null while open. `first` is null where ids are not known. Of
    candles the ids are starts in ms, of contract events they are ledgers.
    """

    E: int
    s: str
    x: str
    first: int | None
    last: int | None
    cause: Cause
    from_: int
    to: int | None


class Watermark(
    msgspec.Struct, frozen=True, tag_field="e", tag="watermark", omit_defaults=True
):
    """All events of this key and type before `E` are written, or in a told gap (rule 17)."""

    E: int
    s: str
    x: str
    cursor: str | None = None


BookMessage = DepthUpdate | DepthSnapshot | Gap | Watermark
Mark = Gap | Watermark


class PriceUpdate(msgspec.Struct, frozen=True, tag_field="type", tag="price_update"):
    """One trade, as the document's `price_update` with three members more.

    `price`, `volume` and `quantity` are JSON number literals with the exchange's own digits,
    kept as raw bytes so that no digit is touched; `volume` may be `NULL`. `side` is the
    taker's: `BUY` or `SELL`.

    With the header `type: ws_ticker` it is what the exchange's ticker says: `volume` is the
    24 h volume, and of the last trade only that which the exchange tells; what it does not is
    empty in `trade_id` and `side`, and `NULL` in `quantity`.
    """

    symbol: str
    price: msgspec.Raw
    volume: msgspec.Raw
    timestamp: str
    source: str
    trade_id: int | str
    quantity: msgspec.Raw
    side: Literal["BUY", "SELL", ""]


class Tick(msgspec.Struct, frozen=True, tag_field="type", tag="price_update"):
    """The latest price of a symbol and source at the paces named in `rates` (`ticks`)."""

    symbol: str
    price: msgspec.Raw
    volume: msgspec.Raw
    timestamp: str
    source: str
    rates: tuple[str, ...]


class Candle(msgspec.Struct, frozen=True):
    """A candle as sources/crypto-streams.md prints it, and where it is from.

    `timestamp` is the start in ms; the five numbers are number literals kept raw.
    """

    pair: str
    timestamp: int
    open: msgspec.Raw
    high: msgspec.Raw
    low: msgspec.Raw
    close: msgspec.Raw
    volume: msgspec.Raw
    source: str
    interval: str
    closed: bool


class DepthTop(msgspec.Struct, frozen=True, tag_field="type", tag="depth", omit_defaults=True):
    """The best twenty levels a side of a book (topic `depth`), the exchange's own texts.

    `id` is the book's last update id. `hash` is the SHA-256 of the levels as they stand here,
    in hexadecimal (docs/topics.md says of which bytes): equal hashes are equal tops.
    `provisional`: the book lost something and waits to be restated (rule 8).
    """

    symbol: str
    timestamp: str
    source: str
    bids: list[Level]
    asks: list[Level]
    id: int
    hash: str
    provisional: bool = False


class ContractEvent(msgspec.Struct, frozen=True, tag_field="type", tag="contract_event"):
    """An event of a Stellar contract, as sources/save-to-websocket.md prints it, and more.

    `topics` (a list) and `data` are JSON in the XDR-JSON form (SEP-51), kept raw. `id` sorts
    as text in the order of events; `timestamp` is when the ledger closed; `event_type` is
    `contract`, `system` or, from older nodes, `diagnostic`.
    """

    ledger: int
    transaction_hash: str
    contract_id: str
    topics: msgspec.Raw
    data: msgspec.Raw
    id: str
    timestamp: str
    event_type: str
    transaction_index: int
    operation_index: int
    in_successful_call: bool


class Reject(msgspec.Struct, frozen=True):
    """A frame that did not decode: `frame` is its text, or base64 when `encoding` says so."""

    exchange: str
    reason: str
    encoding: Literal["utf-8", "base64"]
    frame: str
    received_ns: int


class Telemetry(msgspec.Struct, frozen=True):
    """One record of `queue-events` (sources/loader-ws-orderbook.md); `timestamp` in seconds."""

    queue_id: str
    symbol: str
    type: str
    status: Literal["started", "loading", "interrupted", "error", "finished"]
    message: str
    records_written: int
    finished: bool
    producer: str
    timestamp: float


class StartCommand(msgspec.Struct, frozen=True, tag_field="command", tag="start"):
    """Asks for a stream (design.md §4, `queue-control`)."""

    queue_id: str
    exchange: str
    tickers: tuple[str, ...]
    types: tuple[str, ...]


class StopCommand(msgspec.Struct, frozen=True, tag_field="command", tag="stop"):
    """Ends a stream or a job by its id."""

    queue_id: str


ControlMessage = StartCommand | StopCommand
