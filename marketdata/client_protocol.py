"""The messages of the client WebSocket, both ways (sources/chrono-stream.md; design.md §7).

    client's text ─ parse ─► ClientMessage        answer ─ encode ─► text for the client

Unknown members of a client's message are passed over, so that old servers take new clients'
messages. Names (symbols, tickers) are case sensitive and are answered in the form used.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from marketdata.decimals import plain
from marketdata.errors import ClientError, DecodeError
from marketdata.messages import Tick
from marketdata.times import iso_ms

MAX_NAME_LENGTH = 64
MAX_UNSUBSCRIBE_NAMES = 100
MAX_DETAIL_LENGTH = 240

VALIDATION_ERROR = "VALIDATION_ERROR"
UNAUTHORIZED = "UNAUTHORIZED"
SUBSCRIPTION_LIMIT = "SUBSCRIPTION_LIMIT"
UNKNOWN_SYMBOL = "UNKNOWN_SYMBOL"
RATE_LIMITED = "RATE_LIMITED"
QUEUE_FULL = "QUEUE_FULL"
INTERNAL = "INTERNAL"

MESSAGES = {
    VALIDATION_ERROR: "Invalid message format",
    UNAUTHORIZED: "Authentication failed",
    SUBSCRIPTION_LIMIT: "Too many symbols",
    UNKNOWN_SYMBOL: "Symbol not found",
    RATE_LIMITED: "Too many requests",
    QUEUE_FULL: "message queue full",
    INTERNAL: "Internal error",
}
"""Each error code's fixed text; the first four are the document's, letter by letter."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_LENGTH)]


class Subscribe(msgspec.Struct, frozen=True, tag_field="type", tag="subscribe"):
    """Asks for prices; `symbols` are symbols or tickers, in any mixture."""

    symbols: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1)]

    @property
    def names(self) -> tuple[str, ...]:
        """The names asked for, each once, in the order of the message."""
        return tuple(dict.fromkeys(self.symbols))


class Unsubscribe(msgspec.Struct, frozen=True, tag_field="type", tag="unsubscribe"):
    """Ends some subscriptions, or all of them when `symbols` is left out or null."""

    symbols: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1)] | None = None

    @property
    def names(self) -> tuple[str, ...] | None:
        """The names to end, each once, in the order of the message; None for all."""
        return None if self.symbols is None else tuple(dict.fromkeys(self.symbols))


class Ping(msgspec.Struct, frozen=True, tag_field="type", tag="ping"):
    """Asks for a `pong`."""


ClientMessage = Subscribe | Unsubscribe | Ping


class Subscribed(msgspec.Struct, frozen=True, tag_field="type", tag="subscribed"):
    """The answer to `subscribe`; comes before the first update."""

    symbols: Sequence[str]
    timestamp: str


class Unsubscribed(msgspec.Struct, frozen=True, tag_field="type", tag="unsubscribed"):
    """The answer to `unsubscribe`: the names asked for, or those that were ended."""

    symbols: Sequence[str]
    timestamp: str


class Pong(msgspec.Struct, frozen=True, tag_field="type", tag="pong"):
    """The answer to `ping`."""

    timestamp: str


class ErrorMessage(
    msgspec.Struct, frozen=True, tag_field="type", tag="error", omit_defaults=True
):
    """What could not be done: the document's four members, `detail`, and `symbols` if any."""

    message: str
    code: str
    timestamp: str
    detail: str
    symbols: Sequence[str] = ()


class ClientPrice(msgspec.Struct, frozen=True, tag_field="type", tag="price_update"):
    """The document's `price_update`, member by member."""

    symbol: str
    price: msgspec.Raw
    volume: msgspec.Raw
    timestamp: str
    source: str


ServerMessage = Subscribed | Unsubscribed | Pong | ErrorMessage | ClientPrice

_encode = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
KNOWN_TYPES = ("subscribe", "unsubscribe", "ping")


def client_error(code: str, detail: str, symbols: Sequence[str] = ()) -> ClientError:
    """The error of a code with its fixed text; `detail` names what was wrong."""
    return ClientError(code, MESSAGES[code], detail=detail, symbols=symbols)


def parse(raw: bytes | str) -> ClientMessage:
    """Understand anything that a client may send.

    Raises:
        ClientError: VALIDATION_ERROR with a detail that names what is wrong.
    """
    try:
        message = _decoder.decode(raw)
    except RecursionError:
        raise client_error(VALIDATION_ERROR, "the message is nested too deeply") from None
    except UnicodeError:
        raise client_error(VALIDATION_ERROR, "the message is not valid UTF-8 text") from None
    except msgspec.ValidationError as error:
        raise client_error(VALIDATION_ERROR, _explain(str(error))) from None
    except msgspec.DecodeError as error:
        raise client_error(VALIDATION_ERROR, _explain_syntax(str(error), raw)) from None
    if isinstance(message, Unsubscribe) and len(message.names or ()) > MAX_UNSUBSCRIBE_NAMES:
        raise client_error(
            VALIDATION_ERROR, f"`symbols` has more than {MAX_UNSUBSCRIBE_NAMES} names"
        )
    return message


def _explain(reason: str) -> str:
    if reason.startswith("Invalid value") and reason.endswith("- at `$.type`"):
        given = reason.removeprefix("Invalid value ").removesuffix(" - at `$.type`")
        return f"unknown type {_cut(given)}: this server knows {', '.join(KNOWN_TYPES)}"
    return _cut(reason)


def _explain_syntax(reason: str, raw: bytes | str) -> str:
    escaped = "\\u" in raw if isinstance(raw, str) else b"\\u" in raw
    if escaped and "truncated" in reason:
        reason += ", or a \\u escape stands without its other half"
    return f"the message is not JSON: {_cut(reason)}"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_DETAIL_LENGTH else f"{text[:MAX_DETAIL_LENGTH]}…"


def subscribed(names: Sequence[str], now_ms: int) -> bytes:
    """The confirmation of a subscription to `names`."""
    return _encode(Subscribed(names, iso_ms(now_ms)))


def unsubscribed(names: Sequence[str], now_ms: int) -> bytes:
    """The confirmation that `names` are subscribed no more."""
    return _encode(Unsubscribed(names, iso_ms(now_ms)))


def pong(now_ms: int) -> bytes:
    """The answer to a ping."""
    return _encode(Pong(iso_ms(now_ms)))


def error(error: ClientError, now_ms: int) -> bytes:
    """An error as the client sees it."""
    return _encode(
        ErrorMessage(error.message, error.code, iso_ms(now_ms), str(error), error.symbols)
    )


def price_update(tick: Tick, name: str) -> bytes:
    """A tick for a subscriber of `name`, its digits untouched but for exponents.

    Raises:
        DecodeError: the tick's price or volume is not a JSON number.
    """
    volume = tick.volume if bytes(tick.volume) == b"null" else _number(tick.volume)
    return _encode(ClientPrice(name, _number(tick.price), volume, tick.timestamp, tick.source))


def _number(raw: msgspec.Raw) -> msgspec.Raw:
    try:
        return msgspec.Raw(plain(str(raw, "ascii")))
    except UnicodeDecodeError:
        raise DecodeError("a price or volume is not a number") from None
