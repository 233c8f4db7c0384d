"""What a key may use: so many requests a minute, so many connections (design.md §7).

    connecting ─ admit ─► one use, then a slot        leaving ─ leave ─► the slot is free
    subscribe, unsubscribe, register ─ spend ─► one use

A client without a key (`key_id` is empty) is free of both. Needs `dynamodb:UpdateItem` on the
limits; `admit` also PutItem, Query and DeleteItem, and `execute-api:ManageConnections` (GET);
`leave` Query and DeleteItem.
"""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from functions.holders import gone
from functions.limits import Holder, limits_table
from functions.logic.limit_rate import Rate
from functions.logic.limit_slots import YOUNG_MS, free_slots, take_slot
from functions.settings import settings
from marketdata.client_errors import RATE_LIMITED, client_error
from marketdata.errors import ClientError

SLOT_STAGES = frozenset({"stream"})
"""On `ws` the document knows no limit of connections; its rate counts where there is a key."""


class KeyLimits(NamedTuple):
    """What one key may use."""

    connections: int
    rate: Rate


def limits_of(authorizer: Mapping[str, Any]) -> KeyLimits:
    """A key's own limits, as its authorizer told them, and the deployment's for the others.

    A key with a rate of its own and no burst has the deployment's, but not more than its rate.
    """
    known = settings()
    per_minute = _number(authorizer, "rate", known.rate_per_minute)
    burst = _number(authorizer, "burst", min(known.rate_burst, per_minute))
    connections = _number(authorizer, "connections", known.max_connections)
    return KeyLimits(connections, Rate(per_minute, burst))


def spend(key_id: str, authorizer: Mapping[str, Any], cost: int = 1) -> None:
    """Use a key; `authorizer` is the event's own, `cost` at most the key's burst.

    Raises:
        ClientError: RATE_LIMITED, with the whole seconds after which the same may be tried.
        StoreError: the use could not be counted.
    """
    if not key_id:
        return
    rate = limits_of(authorizer).rate
    wait_us = limits_table().spend(key_id, rate, time.time_ns() // 1000, cost)
    if wait_us:
        seconds = -(-wait_us // 1_000_000)
        raise client_error(
            RATE_LIMITED,
            f"this key may send {rate.per_minute} requests a minute, {rate.burst} of them at "
            f"once: try again in {seconds} s",
            retry_after_s=seconds,
        )


def admit(
    connection_id: str, stage: str, key_id: str, authorizer: Mapping[str, Any], now_ms: int
) -> ClientError | None:
    """Let a connection in: None, or RATE_LIMITED for the rate or the number of connections.

    What it took when the connection does not come about after all is given back by `leave`,
    or by itself when the key is full and nothing answers for the connection.

    Raises:
        StoreError: the limits could not be read or changed.
    """
    if not key_id:
        return None
    try:
        spend(key_id, authorizer)
    except ClientError as refused:
        return refused
    if stage not in SLOT_STAGES:
        return None
    most = limits_of(authorizer).connections
    holder = Holder(connection_id, stage, now_ms)
    if take_slot(limits_table(), key_id, holder, most, gone):
        return None
    return client_error(
        RATE_LIMITED,
        f"this key may have {most} connections at a time, and has them: close one first",
        retry_after_s=YOUNG_MS // 1000,
    )


def leave(connection_id: str, key_id: str) -> None:
    """Give a connection's slot back; harmless when repeated, or when it has none.

    Raises:
        StoreError: the limits could not be read or changed; then the slot is taken over later.
    """
    if key_id:
        free_slots(limits_table(), key_id, connection_id, int(time.time()))


def _number(authorizer: Mapping[str, Any], name: str, default: int) -> int:
    """API Gateway hands an authorizer's values on as texts."""
    text = str(authorizer.get(name, ""))
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else default
