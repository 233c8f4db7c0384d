"""API keys: how one is made, what is stored of it, how long it is good (design.md §7).

    32 random bytes ─► key, shown once ─► SHA-256 ─► KEY#<hash> / META     who may connect
                                                     REVOKED / <key id>    who may no longer

The key itself is in no item, no struct and no text of an error.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from marketdata.errors import DecodeError, InputError

Scope = Literal["read", "operate"]
SCOPES: tuple[str, ...] = get_args(Scope)
OPERATE: Scope = "operate"
"""May change something; whoever may, may read as well."""

KEY_BYTES = 32
ID_BYTES = 6
MAX_NAME_LENGTH = 64
MAX_DAYS = 3650
DAY_S = 86_400

KEYS = "KEY#"
META = "META"
REVOKED = "REVOKED"
"""The partition of what was revoked lately; the sort key is the key's id."""
REVOKED_LIFE_S = 3 * 3600
"""Longer than any connection lasts."""
AUTHORIZED_MS = 60_000
"""An upgrade authorized just before a revocation is a connection no later than this after."""

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoredKey:
    """What is known of a key; limits that are None are the deployment's own.

    Attributes:
        created_ms: None for a key that was not made by the command.
        expires_s: From then on it is refused; None for never.
        connections: At a time, on `stream`.
        rate: Connects, subscribes and the like a minute; `burst` of them at once.
    """

    id: str
    name: str
    scope: str
    created_ms: int | None = None
    expires_s: int | None = None
    connections: int | None = None
    rate: int | None = None
    burst: int | None = None


NUMBERS = {
    "created_ms": "created_ms",
    "expires_s": "exp",
    "connections": "connections",
    "rate": "rate",
    "burst": "burst",
}
"""Attribute of the struct to attribute of the item."""


def key_text(random: bytes) -> str:
    """A key from its random bytes: URL-safe, so that it may stand in a query as it is."""
    return urlsafe_b64encode(random).decode().rstrip("=")


def key_hash(key: str) -> str:
    """What stands for a key in the table. A key is random: it needs no salt."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def key_item(digest: str, stored: StoredKey) -> Item:
    """The item of a key whose hash is `digest`."""
    texts = {"pk": f"{KEYS}{digest}", "sk": META, "id": stored.id, "name": stored.name}
    item: Item = {name: {"S": text} for name, text in (texts | {"scope": stored.scope}).items()}
    for attribute, name in NUMBERS.items():
        number = getattr(stored, attribute)
        if number is not None:
            item[name] = {"N": str(number)}
    return item


def stored_key(item: Mapping[str, Any]) -> StoredKey:
    """The inverse of `key_item`; a scope that is not there is `read`.

    Raises:
        DecodeError: the item has no id, or a number is none; the text names no key.
    """
    try:
        numbers = {
            attribute: int(item[name]["N"])
            for attribute, name in NUMBERS.items()
            if name in item
        }
        return StoredKey(
            id=item["id"]["S"],
            name=item.get("name", {}).get("S", ""),
            scope=item.get("scope", {}).get("S", "read"),
            **numbers,
        )
    except (KeyError, ValueError) as error:
        raise DecodeError(f"an item of the keys table is none: {error!r}") from None


def revoked_item(key_id: str, now_ms: int) -> Item:
    """Tells the keeper to close the key's connections that were made before now."""
    return {
        "pk": {"S": REVOKED},
        "sk": {"S": key_id},
        "at_ms": {"N": str(now_ms)},
        "exp": {"N": str(now_ms // 1000 + REVOKED_LIFE_S)},
    }


def checked_name(text: str) -> str:
    """A key's name without blanks around it.

    Raises:
        InputError: it is empty, too long, or cannot be shown on a line.
    """
    name = text.strip()
    if not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable():
        raise InputError(
            f"NAME {text!r}: must be 1 to {MAX_NAME_LENGTH} characters that can be printed"
        )
    return name


def expiry_s(text: str, now_s: int) -> int:
    """When `30d` from now or the day `2027-01-31` (0:00 UTC) is, in seconds since 1970.

    Raises:
        InputError: it is neither, not in the future, or more than ten years away.
    """
    count = text.removesuffix("d")
    if count != text and count.isascii() and count.isdigit() and len(count) <= 5:
        moment_s = now_s + int(count) * DAY_S
    else:
        try:
            day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            raise InputError(
                f"--expires {text}: must be a number of days (30d) or a day (YYYY-MM-DD)"
            ) from None
        moment_s = int(day.timestamp())
    if not now_s < moment_s <= now_s + MAX_DAYS * DAY_S:
        raise InputError(f"--expires {text}: must be in the future, {MAX_DAYS} days at most")
    return moment_s
