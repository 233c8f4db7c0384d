"""Where Stockbit listens, who asks and what is asked of it (protocols 2.2, 2.3).

token ─► claims, trading key ─► Session ─► request frames, flat or by channel
"""

import base64
import binascii
import math
import re
from collections.abc import Sequence
from typing import NoReturn
from urllib.parse import urlsplit, urlunsplit

import msgspec

from container_worker.exchanges.adapter import (
    Channel,
    Get,
    KeepAlive,
    Limits,
    Numbering,
    RestRequest,
    Session,
    Subscription,
)
from container_worker.exchanges.stockbit import wire
from container_worker.exchanges.stockbit.protobuf_wire import encode_field
from marketdata import topics
from marketdata.errors import BadCredential, DecodeError, ExchangeUnavailable
from marketdata.times import iso_ms

FLAT_NUMBERING: dict[str, Numbering] = {topics.DEPTH_SNAPSHOTS: "ours"}
CHANNEL_NUMBERING: dict[str, Numbering] = {topics.DEPTH_SNAPSHOTS: "exchange"}

LIMITS = Limits(
    streams_per_socket=500,
    streams_per_request=500,
    control_per_second=3.0,
    connection_life_s=math.inf,
    connects_per_minute=20.0,
    weight_per_minute=60,
)
"""Ours, for Stockbit names none. A socket has one subscribe frame, which states everything that
is wanted: nobody knows whether a second one adds to the first or replaces it."""

ORIGIN = "https://stockbit.com"
USER_AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Safari/537.36"
)
HEADERS = (("User-Agent", USER_AGENT),)
SUBPROTOCOLS = ("web",)
FLAT_KEEP_ALIVE = KeepAlive(30.0)
CHANNEL_KEEP_ALIVE = KeepAlive(15.0, wire.PING)

RESTRICTED = (
    "Stockbit refuses this address (HTTP 451, restricted location): run in another region, "
    "such as ap-southeast-3 (Jakarta), or set STOCKBIT_WS_URL and STOCKBIT_REST_URL"
)

RENEWAL = (
    "put a new one into STOCKBIT_TOKEN, the file that STOCKBIT_TOKEN_FILE names or the secret "
    "that STOCKBIT_TOKEN_SECRET names"
)
_KEY_PATH = "/auth/websocket/key"
_JWT = re.compile(r"[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*")
_LARGEST_UID = 2**64 - 1

_claims = msgspec.json.Decoder(wire.Claims)
_key_answer = msgspec.json.Decoder(wire.KeyAnswer)


class Secret(str):
    """A text that shows itself to the one who sends it, and to no log or repr."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'…'"


class SecretFrame(bytes):
    """A frame with a secret in it; see `Secret`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


def socket_url(base: str) -> str:
    """The base URL; one without a path gets `/ws`."""
    parts = urlsplit(base)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") or "/ws"))


def flat_subscriptions(channels: Sequence[Channel], session: Session) -> list[Subscription]:
    """The guide's one frame for all tickers; Stockbit answers with data or an error only."""
    tickers = [channel.ticker for channel in channels]
    user_id = int(session.user_id or "0")
    frame = encode_websocket_request(user_id, tickers, session.key, session.token)
    return [_unawaited(frame)]


def channel_subscriptions(channels: Sequence[Channel], session: Session) -> list[Subscription]:
    """The frame that says who asks, then the same with the tickers (protocols 2.2)."""
    tickers = [channel.ticker for channel in channels]
    return [
        _unawaited(encode_channel_request(session)),
        _unawaited(encode_channel_request(session, tickers)),
    ]


def resubscribe(_channel: Channel, _session: Session) -> list[Subscription]:
    """Nothing: see `LIMITS`; on a new socket Stockbit states every book anew."""
    return []


def _unawaited(frame: bytes) -> Subscription:
    return Subscription(SecretFrame(frame), frozenset())


def encode_websocket_request(
    user_id: int | str, tickers: Sequence[str], key: str, token: str
) -> bytes:
    """The subscription message of sources/stockbit-orderbook-l2.md, fields 1 to 6.

    Raises:
        ValueError: the user id is not an unsigned 64-bit number.
    """
    return b"".join(
        (
            encode_field(1, int(user_id)),
            encode_field(2, "".join(tickers)),
            encode_field(3, ":".join(tickers)),
            encode_field(4, "".join(f"J{ticker}" for ticker in tickers)),
            encode_field(5, key),
            encode_field(6, token),
        )
    )


def encode_channel_request(session: Session, tickers: Sequence[str] = ()) -> bytes:
    """`WebsocketRequest` with the order books of the tickers, or of none (protocols 2.3)."""
    channel = b"".join(encode_field(2, ticker) for ticker in tickers)
    return b"".join(
        (
            encode_field(1, session.user_id),
            encode_field(2, channel) if channel else b"",
            encode_field(3, session.key),
            encode_field(5, session.token),
        )
    )


def open_session(token: str, get: Get, now_s: int) -> Session:
    """The user id of the token and a trading key for it; asks `GET /auth/websocket/key`.

    The token's signature is Stockbit's matter.

    Raises:
        BadCredential: the token is missing, no JWT, expired or refused; the text says where a
            new one goes.
        ExchangeError: the key could not be had, as `get` says.
    """
    if not token:
        _refuse("there is no Stockbit token")
    claims = read_claims(token)
    expires_s = None if claims.exp is None else int(claims.exp)
    if expires_s is not None and expires_s <= now_s:
        _refuse(f"the Stockbit token expired at {iso_ms(max(0, expires_s) * 1000)}")
    request = RestRequest(_KEY_PATH, 1, headers=(("Authorization", Secret(f"Bearer {token}")),))
    try:
        answer = _key_answer.decode(get(request))
    except BadCredential as error:
        raise BadCredential(
            f"Stockbit does not accept the token (HTTP 401): {RENEWAL}"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ExchangeUnavailable(f"Stockbit's trading key is unreadable: {error}") from error
    return Session(str(claims.data.uid), Secret(answer.data.key), Secret(token), expires_s)


def read_claims(token: str) -> wire.Claims:
    """The payload of a JWT, its signature unchecked.

    Raises:
        BadCredential: it is no JWT, or has no `data.uid` that is a number.
    """
    match = _JWT.fullmatch(token)
    if match is None:
        _refuse("the Stockbit token is not a JWT (three parts with dots between them)")
    try:
        claims = _claims.decode(_base64url(match[1]))
    except (DecodeError, msgspec.DecodeError, UnicodeDecodeError):
        _refuse("the Stockbit token has no user id (data.uid) in its payload")
    uid = str(claims.data.uid)
    if not (uid.isascii() and uid.isdecimal()) or int(uid) > _LARGEST_UID:
        _refuse("the user id (data.uid) in the Stockbit token is not a number")
    return claims


def _base64url(text: str) -> bytes:
    padded = text + "=" * (-len(text) % 4)
    try:
        return base64.b64decode(padded, altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise DecodeError("not base64url") from error


def _refuse(what: str) -> NoReturn:
    raise BadCredential(f"{what}: {RENEWAL}")
