"""What a client may send, on every stage (sources/chrono-stream.md, save-to-websocket.md).

    client's text ─ parse ─► ClientMessage

Unknown members are passed over, so that old servers take new clients' messages. Names (symbols,
tickers) are case sensitive and are answered in the form used.
"""

from typing import Annotated, Literal

import msgspec

from marketdata.client_errors import VALIDATION_ERROR, client_error, cut

MAX_NAME_LENGTH = 64
MAX_UNSUBSCRIBE_NAMES = 100
MAX_FILTER_VALUES = 1000
MAX_CURSORS = 100

Channel = Literal["prices", "candles", "depth"]
Rate = Literal["10s", "1s", "250ms", "all"]
Interval = Literal["1m", "5m", "15m", "1h", "1d"]

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_LENGTH)]
Cursors = Annotated[tuple[str, ...], msgspec.Meta(max_length=MAX_CURSORS)]
Values = Annotated[tuple[str, ...], msgspec.Meta(max_length=MAX_FILTER_VALUES)]


class Subscribe(
    msgspec.Struct, frozen=True, tag_field="type", tag="subscribe", rename={"from_": "from"}
):
    """Asks for what `channels` says of `symbols`, which are symbols or tickers in any mixture.

    `rate` is the pace of prices, `interval` that of candles. With `resume` each update carries
    its cursor; `from` has the cursors of the last updates that were received (rule 21).
    """

    symbols: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1)]
    channels: Annotated[tuple[Channel, ...], msgspec.Meta(min_length=1)] = ("prices",)
    rate: Rate = "1s"
    interval: Interval = "1m"
    resume: bool = False
    from_: Cursors | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names asked for, each once, in the order of the message."""
        return tuple(dict.fromkeys(self.symbols))


class Unsubscribe(msgspec.Struct, frozen=True, tag_field="type", tag="unsubscribe"):
    """Ends some subscriptions, or all of them when `symbols` is left out or null.

    `channels` ends only these of the names; left out or null, all of them.
    """

    symbols: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1)] | None = None
    channels: Annotated[tuple[Channel, ...], msgspec.Meta(min_length=1)] | None = None

    @property
    def names(self) -> tuple[str, ...] | None:
        """The names to end, each once, in the order of the message; None for all."""
        return None if self.symbols is None else tuple(dict.fromkeys(self.symbols))


class Ping(msgspec.Struct, frozen=True, tag_field="type", tag="ping"):
    """Asks for a `pong`."""


class Filters(msgspec.Struct, frozen=True):
    """What a registration wants; an empty or absent member does not filter.

    A list may be null, as Go writes an empty one.
    """

    types: Values | None = ()
    account_ids: Values | None = ()
    asset_codes: Values | None = ()
    min_amount: str | int | None = ""


class Register(
    msgspec.Struct, frozen=True, tag_field="type", tag="register", rename={"from_": "from"}
):
    """Asks for the events that match `filters`; a further one replaces them."""

    filters: Filters = Filters()
    resume: bool = False
    from_: Cursors | None = None


ClientMessage = Subscribe | Unsubscribe | Ping | Register
KNOWN_TYPES = ("subscribe", "unsubscribe", "ping", "register")

_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)


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
        return f"unknown type {cut(given)}: this server knows {', '.join(KNOWN_TYPES)}"
    return cut(reason)


def _explain_syntax(reason: str, raw: bytes | str) -> str:
    escaped = "\\u" in raw if isinstance(raw, str) else b"\\u" in raw
    if escaped and "truncated" in reason:
        reason += ", or a \\u escape stands without its other half"
    return f"the message is not JSON: {cut(reason)}"
