"""Who may listen: the bearer token of the demonstration and the trading key for a token.

demo_token ─► STOCKBIT_TOKEN ─► GET /auth/websocket/key ─► key ─► request frame ─► is_key_of

The tokens are unsigned: they open the simulator and nothing else.
"""

import base64
import binascii
import hashlib
from typing import NamedTuple

import msgspec

USER_ID = 4_826_457
_HEADER = {"alg": "none", "typ": "JWT"}
_KEY_BYTES = 24


class Holder(NamedTuple):
    """Whose a token is, and until when it is good (Unix time)."""

    user_id: str
    expires_s: int


class _Data(msgspec.Struct):
    uid: int | str


class _Claims(msgspec.Struct):
    data: _Data
    exp: int


def demo_token(now_s: int, life_s: int = 365 * 86_400) -> str:
    """A JWT (alg none) of the user 4826457 that the simulator takes for `life_s` from now."""
    payload = {
        "data": {"uid": USER_ID, "use": "demo"},
        "exp": now_s + life_s,
        "iat": now_s,
        "iss": "STOCKBIT",
    }
    return f"{_encoded(_HEADER)}.{_encoded(payload)}."


def holder_of(token: str, now_s: float) -> Holder | None:
    """Of a token that has not expired; None for anything else."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    padded = parts[1] + "=" * (-len(parts[1]) % 4)
    try:
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        claims = msgspec.json.decode(raw, type=_Claims)
    except (binascii.Error, ValueError):
        return None
    return Holder(str(claims.data.uid), claims.exp) if claims.exp > now_s else None


def trading_key(token: str) -> str:
    """The key that the REST interface gives out for a token, always the same."""
    digest = hashlib.sha256(b"trading key of " + token.encode()).digest()
    return _base64url(digest[:_KEY_BYTES])


def _encoded(part: object) -> str:
    return _base64url(msgspec.json.encode(part))


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
