"""What an exchange must say about itself; nothing else in capture knows one by name.

Every exchange is a folder of three files: `wire.py` (the venue's own structs), `decode.py`
(bytes to outcomes, pure), `subscribe.py` (URLs, requests, limits); its `__init__.py` puts
them together as one `Adapter`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from container_worker.exchanges.outcomes import Outcome, RestBook
from marketdata.instruments import Instrument


class Endpoints(NamedTuple):
    """The base URLs of one exchange, as the user gave them."""

    ws: str
    rest: str


class Channel(NamedTuple):
    """One thing to subscribe to: a ticker and one of our types (`ws_trades` …)."""

    ticker: str
    type: str


class RestRequest(NamedTuple):
    """A GET: `path` follows the base URL; `weight` counts against the exchange's budget."""

    path: str
    weight: int


class Subscription(NamedTuple):
    """A control message; the exchange answers with `request_id`."""

    request_id: int
    text: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What the exchange bears from one address.

    `control_per_second` is ours: below the exchange's own, with room for pongs.
    """

    streams_per_socket: int
    streams_per_request: int
    control_per_second: float
    connection_life_s: float
    weight_per_minute: int


@dataclass(frozen=True, slots=True)
class Adapter:
    """One exchange: functions without state, socket or clock.

    Decoders raise DecodeError and nothing else. `decode` takes a frame and the time in ns at
    which it left the socket. `decode_snapshot` takes the body and the ticker that was asked
    for. `used_weight` reads the spent budget from the headers of an answer (lower-case
    names), where the exchange tells it. `restricted` is the sentence for HTTP 451.
    """

    name: str
    types: frozenset[str]
    limits: Limits
    restricted: str
    socket_url: Callable[[str], str]
    subscriptions: Callable[[Sequence[Channel]], Sequence[Subscription]]
    decode: Callable[[bytes, int], Sequence[Outcome]]
    instruments_request: RestRequest
    decode_instruments: Callable[[bytes], Mapping[str, Instrument]]
    snapshot_request: Callable[[str], RestRequest]
    decode_snapshot: Callable[[bytes, str], RestBook]
    used_weight: Callable[[Mapping[str, str]], int | None]
