"""The Kafka topics: names, partition counts, retention (design.md §4, rules 2-4).

Read by the worker, the functions, the local stack and the CDK app alike. A partition count
never changes: growth is a new topic name (rule 3).
"""

from dataclasses import dataclass

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as it must exist before anything writes to it."""

    name: str
    partitions: int
    retention_ms: int
    max_message_bytes: int = 1024 * 1024

    @property
    def configs(self) -> dict[str, str]:
        """The topic's own settings, as Kafka spells them."""
        return {
            "cleanup.policy": "delete",
            "compression.type": "producer",
            "max.message.bytes": str(self.max_message_bytes),
            "message.timestamp.type": "LogAppendTime",
            "retention.ms": str(self.retention_ms),
            "segment.ms": str(max(10 * MINUTE_MS, min(DAY_MS, self.retention_ms // 7))),
            "unclean.leader.election.enable": "false",
        }


ORDERBOOK = Topic("orderbook", 12, 7 * DAY_MS, max_message_bytes=8 * 1024 * 1024)
PRICES = Topic("prices", 6, 7 * DAY_MS)
TICKS = Topic("ticks", 6, HOUR_MS)
CANDLES = Topic("candles", 6, 7 * DAY_MS)
EVENTS = Topic("events", 3, 7 * DAY_MS)
DEPTH = Topic("depth", 6, HOUR_MS)
QUEUE_CONTROL = Topic("queue-control", 1, 7 * DAY_MS)
QUEUE_EVENTS = Topic("queue-events", 1, 7 * DAY_MS)
REJECTS = Topic("rejects", 1, 7 * DAY_MS, max_message_bytes=8 * 1024 * 1024)

TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        ORDERBOOK,
        PRICES,
        TICKS,
        CANDLES,
        EVENTS,
        DEPTH,
        QUEUE_CONTROL,
        QUEUE_EVENTS,
        REJECTS,
    )
}

ARCHIVED = (ORDERBOOK, PRICES, CANDLES, EVENTS)
"""The topics whose records become CSV objects."""

DIFF_DEPTH = "ws_diff_depth"
DEPTH_SNAPSHOTS = "ws_depth"
TRADES = "ws_trades"
TICKER = "ws_ticker"
CANDLE_UPDATES = "ws_candles"
CONTRACT_EVENTS = "contract_events"

DERIVED_CANDLES = "derived_candles"
"""The header `type` of candles that derive makes: no capture unit has it (rule 18)."""

UNARCHIVED = frozenset({DERIVED_CANDLES})
"""What the archive passes over in its topics: it can be made again from what it has."""

TOPIC_OF_TYPE: dict[str, Topic] = {
    DIFF_DEPTH: ORDERBOOK,
    DEPTH_SNAPSHOTS: ORDERBOOK,
    TRADES: PRICES,
    TICKER: PRICES,
    CANDLE_UPDATES: CANDLES,
    CONTRACT_EVENTS: EVENTS,
}
"""Where the data of a capture unit's type go (design.md §3, §4)."""

MAIN_TYPE: dict[str, str] = {
    "binance": DIFF_DEPTH,
    "coinbase": DIFF_DEPTH,
    "blockchain": DIFF_DEPTH,
    "stockbit": DEPTH_SNAPSHOTS,
    "stellar": CONTRACT_EVENTS,
}
"""The type whose archive object carries no type in its name (design.md §6)."""
