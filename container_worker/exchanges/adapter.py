"""What an exchange must say about itself; nothing else in capture knows one by name.

Every exchange is a folder of three files: `wire.py` (the venue's own structs), `decode.py`
(bytes to outcomes, pure), `subscribe.py` (URLs, requests, limits); its `__init__.py` puts
them together as one `Adapter`. What an exchange does not have is None.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from container_worker.exchanges.outcomes import CandleState, Outcome, RestBook, Trade
from container_worker.exchanges.polling import Polling
from marketdata.instruments import Instrument

Numbering = Literal["exchange", "snapshots", "ours", "opaque"]
"""How the losses of a type show (rule 7).

`exchange`: ids without holes. `snapshots`: each message states all; its ids may jump.
`ours`: nothing is numbered, so capture numbers. `opaque`: ids that only tell repeats.
"""


class Endpoints(NamedTuple):
    """The base URLs of one exchange, as the user gave them."""

    ws: str
    rest: str


class Channel(NamedTuple):
    """One thing to subscribe to: a ticker and one of our types (`ws_trades` …)."""

    ticker: str
    type: str


@dataclass(frozen=True, slots=True)
class RestRequest:
    """A GET, or a POST where there is a `body`; `path` follows the base URL.

    `weight` counts against the exchange's budget.
    """

    path: str
    weight: int
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)


class Subscription(NamedTuple):
    """A control message, text or binary.

    It is accepted when `Accepted` has named all of `awaits`; at once when that is empty.
    """

    payload: str | bytes
    awaits: frozenset[str]


class Session(NamedTuple):
    """Who listens, where the exchange wants to know; made anew for each connection.

    `expires_s` is Unix time; None for a session without an end.
    """

    user_id: str = ""
    key: str = ""
    token: str = ""
    expires_s: int | None = None


NOBODY = Session()
Get = Callable[[RestRequest], bytes]


@dataclass(frozen=True, slots=True)
class Limits:
    """What the exchange bears from one address.

    `control_per_second` is ours: below the exchange's own, with room for pongs.
    `connection_life_s` is infinite where the exchange names none. `weight_burst` bounds what
    may be spent at once; None is the whole minute's budget.
    """

    streams_per_socket: int
    streams_per_request: int
    control_per_second: float
    connection_life_s: float
    connects_per_minute: float
    weight_per_minute: int
    weight_burst: int | None = None


class KeepAlive(NamedTuple):
    """What a client sends every so often: a WebSocket ping, or a message of the exchange's."""

    every_s: float
    message: bytes | None = None


@dataclass(frozen=True, slots=True)
class Socket:
    """The WebSocket side. Functions without state, socket or clock.

    `decode` takes a frame and the time in ns at which it left the socket, and raises
    DecodeError and nothing else. `resubscribe` gives the messages that make the exchange state
    a channel anew on an open socket; empty when it cannot, so that the socket is replaced.
    """

    url: Callable[[str], str]
    subscriptions: Callable[[Sequence[Channel], Session], Sequence[Subscription]]
    resubscribe: Callable[[Channel, Session], Sequence[Subscription]]
    decode: Callable[[bytes, int], Sequence[Outcome]]
    headers: tuple[tuple[str, str], ...] = ()
    origin: str | None = None
    subprotocols: tuple[str, ...] = ()
    keep_alive: KeepAlive | None = None


@dataclass(frozen=True, slots=True)
class RestInstruments:
    """The exchange's own list; `decode` gives it by ticker and raises DecodeError."""

    request: RestRequest
    decode: Callable[[bytes], Mapping[str, Instrument]]


@dataclass(frozen=True, slots=True)
class RestBooks:
    """Books that deltas are joined to. `decode` takes the body and the ticker asked for."""

    request: Callable[[str], RestRequest]
    decode: Callable[[bytes, str], RestBook]


@dataclass(frozen=True, slots=True)
class RestTrades:
    """Past trades by id: a page has the ids from `first` on, `last` at the most.

    `decode` gives them by rising id; an empty page says that the exchange has none of them.
    """

    request: Callable[[str, int, int], RestRequest]
    decode: Callable[[bytes, str], Sequence[Trade]]
    per_page: int


@dataclass(frozen=True, slots=True)
class RestCandles:
    """Past candles of one minute: those that start from `from_ms` up to `to_ms`, both in.

    `request` takes ticker, from_ms, to_ms; at most `per_page` candles may lie between.
    `decode` gives closed ones only, by rising start; it takes body, ticker and the time in ms
    before which a candle must have ended.
    """

    request: Callable[[str, int, int], RestRequest]
    decode: Callable[[bytes, str, int], Sequence[CandleState]]
    per_page: int


def _no_weight(_headers: Mapping[str, str]) -> int | None:
    return None


@dataclass(frozen=True, slots=True)
class Adapter:
    """One exchange.

    `numbering` has every type that can be captured. `restricted` is the sentence for HTTP 451,
    `unauthorized` that for 401 where there is something to say.
    `used_weight` reads the spent budget from the headers of an answer (lower-case names),
    where the exchange tells it. `open_session` makes a session from a token, requests and the
    Unix time, and raises ExchangeError; None where nobody asks who listens. `renewal` says
    where a new token goes. Without a list of instruments `instrument` says what a ticker is, or
    None for what cannot be one. `variants` are the same exchange by another wire format, by the
    name of the setting's value.
    """

    name: str
    numbering: Mapping[str, Numbering]
    limits: Limits
    restricted: str
    unauthorized: str = ""
    socket: Socket | None = None
    polling: Polling | None = None
    instruments: RestInstruments | None = None
    instrument: Callable[[str], Instrument | None] | None = None
    books: RestBooks | None = None
    trades: RestTrades | None = None
    candles: RestCandles | None = None
    used_weight: Callable[[Mapping[str, str]], int | None] = _no_weight
    open_session: Callable[[str, Get, int], Session] | None = None
    renewal: str = ""
    variants: Mapping[str, "Adapter"] = field(default_factory=dict)

    @property
    def types(self) -> frozenset[str]:
        """The types that can be captured."""
        return frozenset(self.numbering)
