"""The keys of the connections table: one layout for the functions and the keeper.

    CONN#<stage>#<shard> / <id>            a connection, whoever it is and what it has
    SUB#<feed>#<name>#<shard> / <id>       a subscription that is served
    REG#<feed>#<shard> / <id>              a registration that is served
    LATE / <id>#<feed>#<name>              a subscriber that missed the newest value (rule 22)

A shard is one partition of DynamoDB: 1,000 writes and 3,000 reads a second. Which shard an
item is in follows from the connection's id.
"""

import zlib
from typing import Literal, cast

SHARDS = 4
STAGES = ("stream", "ws", "candles")
"""`candles` is the local third address of design.md §7; it is not deployed."""

Feed = Literal["ticks", "candles", "depth", "prices", "events"]
"""What is pushed, named after its topic; `prices` is each trade (`rate: all`)."""

SUBSCRIPTIONS, REGISTRATIONS = "SUB#", "REG#"
"""What the partitions of subscriptions and of registrations begin with."""
LATE = "LATE"
LIFE_S = 7_500
"""How long an item is believed: API Gateway ends a connection after 2 h; some margin."""


def shard_of(connection_id: str) -> int:
    """The shard of everything that belongs to a connection."""
    return zlib.crc32(connection_id.encode()) % SHARDS


def connections_pk(stage: str, shard: int) -> str:
    """The partition of a stage's connections; the sort key is the connection's id."""
    return f"CONN#{stage}#{shard}"


def subscriptions_pk(feed: str, name: str, shard: int) -> str:
    """The partition of a name's subscribers; the sort key is the connection's id."""
    return f"{SUBSCRIPTIONS}{feed}#{name}#{shard}"


def feed_and_name(pk: str) -> tuple[Feed, str]:
    """What the partition of a name's subscribers is of."""
    feed, _, rest = pk.removeprefix(SUBSCRIPTIONS).partition("#")
    return cast("Feed", feed), rest.rpartition("#")[0]


def registrations_pk(feed: str, shard: int) -> str:
    """The partition of a feed's registrations; the sort key is the connection's id."""
    return f"{REGISTRATIONS}{feed}#{shard}"


def feed_of_registrations(pk: str) -> Feed:
    """What the partition of a feed's registrations is of."""
    return cast("Feed", pk.removeprefix(REGISTRATIONS).partition("#")[0])


def late_sk(connection_id: str, feed: str, name: str) -> str:
    """The sort key below `LATE`."""
    return f"{connection_id}#{feed}#{name}"
