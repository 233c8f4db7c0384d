"""What a client asks for, and the state that answers it (protocols 5.2). Pure.

message ─► read_request ─► Request ─► Subscriptions ─► streams, the ack
"""

import base64
import binascii
from typing import Any, NamedTuple

import msgspec

from marketdata.errors import LocalError

KINDS = {
    "level2_batch": "level2",
    "level2_50": "level2",
    "level2": "level2",
    "matches": "matches",
    "ticker": "ticker",
    "ticker_batch": "ticker_batch",
    "heartbeat": "heartbeat",
    "status": "status",
}
"""Channels that are served, and the stream that carries each: `<product>@<kind>`."""

STATUS_STREAM = "@status"
_DOCUMENTS = "https://docs.cdp.coinbase.com/exchange/websocket-feed/channels"
_NEEDS_KEY = {
    "level2": f"level2, level3, and full channels now require authentication. {_DOCUMENTS}",
    "level3": f"level2, level3, and full channels now require authentication. {_DOCUMENTS}",
    "full": f"level2, level3, and full channels now require authentication. {_DOCUMENTS}",
    "user": "user channel requires authentication",
    "balance": "balance channel requires authentication",
}
_AUTH = ("signature", "key", "passphrase", "timestamp")
_SHA256_BYTES = 32


class BadRequest(LocalError):
    """A request that is answered with an error; nothing has changed."""

    def __init__(self, message: str, reason: str = "") -> None:
        self.message = message
        self.reason = reason
        super().__init__(f"{message}: {reason}" if reason else message)


class Request(NamedTuple):
    """`wanted` are pairs of channel and product; `whole` are channels without a product."""

    subscribes: bool
    wanted: tuple[tuple[str, str], ...]
    whole: tuple[str, ...]


def read_request(raw: str | bytes, products: frozenset[str]) -> Request:
    """A client's message.

    Raises:
        BadRequest: it is none, or names a channel or product that cannot be had.
    """
    try:
        message = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest("Malformed JSON") from error
    if not isinstance(message, dict) or message.get("type") not in ("subscribe", "unsubscribe"):
        raise BadRequest("Type has to be either subscribe or unsubscribe")
    subscribes = message["type"] == "subscribe"
    failed = f"Failed to {message['type']}"
    wanted: dict[tuple[str, str], None] = {}
    whole: dict[str, None] = {}
    for name, asked in _channels(message, failed):
        _check_channel(name, message, failed, subscribes=subscribes)
        unknown = next((product for product in asked if product not in products), None)
        if unknown is not None:
            raise BadRequest(failed, f"{unknown} is not a valid product")
        if KINDS[name] == "status" or (not asked and not subscribes):
            whole[name] = None
        elif not asked:
            raise BadRequest(failed, f"no product_ids given for {name}")
        else:
            wanted.update(dict.fromkeys((name, product) for product in asked))
    if not wanted and not whole:
        raise BadRequest(failed, "no channels provided")
    return Request(subscribes, tuple(wanted), tuple(whole))


def _channels(message: dict[str, Any], failed: str) -> list[tuple[str, list[str]]]:
    """Channel names as texts use the products of the message, objects carry their own."""
    shared = _texts(message.get("product_ids"), failed)
    listed = message.get("channels")
    if listed is None:
        listed = []
    if not isinstance(listed, list):
        raise BadRequest(failed, "channels must be a list")
    found = []
    for channel in listed:
        if isinstance(channel, str):
            found.append((channel, shared))
        elif isinstance(channel, dict) and isinstance(channel.get("name"), str):
            own = channel.get("product_ids")
            found.append((channel["name"], shared if own is None else _texts(own, failed)))
        else:
            raise BadRequest(failed, "a channel is a name or an object with a name")
    return found


def _texts(value: Any, failed: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise BadRequest(failed, "product_ids must be a list of product ids")
    return value


def _check_channel(
    name: str, message: dict[str, Any], failed: str, *, subscribes: bool
) -> None:
    if subscribes and name in _NEEDS_KEY and not _authenticated(message):
        raise BadRequest(failed, _NEEDS_KEY[name])
    if name not in KINDS:
        what = "is not simulated" if name in _NEEDS_KEY else "is not a valid channel"
        raise BadRequest(failed, f"{name} {what}")


def _authenticated(message: dict[str, Any]) -> bool:
    """Whether the message is signed; this server has no keys to check the signature with."""
    if not all(isinstance(message.get(name), str | int) and message[name] for name in _AUTH):
        return False
    try:
        signature = base64.b64decode(str(message["signature"]), validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(signature) == _SHA256_BYTES


class Subscriptions:
    """What one connection is subscribed to, by channel."""

    def __init__(self) -> None:
        self.channels: dict[str, dict[str, None]] = {}

    def take(self, request: Request) -> list[tuple[str, str]]:
        """Bring the state in line; the kinds and products that begin, in the asked order."""
        if not request.subscribes:
            self._leave(request)
            return []
        begun: dict[tuple[str, str], None] = {}
        for name, product in request.wanted:
            self.channels.setdefault(name, {})[product] = None
            begun[KINDS[name], product] = None
        for name in request.whole:
            self.channels.setdefault(name, {})
            begun[KINDS[name], ""] = None
        return list(begun)

    def _leave(self, request: Request) -> None:
        for name, product in request.wanted:
            self.channels.get(name, {}).pop(product, None)
        for name in request.whole:
            self.channels.pop(name, None)
        self.channels = {
            name: products
            for name, products in self.channels.items()
            if products or KINDS[name] == "status"
        }

    @property
    def streams(self) -> set[str]:
        """The streams that carry all of it."""
        found = {
            f"{product}@{KINDS[name]}"
            for name, products in self.channels.items()
            for product in products
            if KINDS[name] != "status"
        }
        return found | ({STATUS_STREAM} if "status" in self.channels else set())
