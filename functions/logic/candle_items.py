"""Candles as items of their table, and which of two states of a candle is the newer one.

    CANDLE#<source>#<symbol>#<interval> / <start in ms, 15 digits>   one candle
    PAIR#<symbol or ticker> / <source>                               who has candles of it

A candle is told many times: as it grows, closed, corrected, and again when a batch is delivered
again. Whatever the order of the deliveries, the item ends as the topic says.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from marketdata.messages import Candle
from marketdata.topics import CANDLES

LAST_MS = 999_999_999_999_999
"""The highest start that fits the sort key (in the year 33658)."""
UNKNOWN_TOPIC_ID = CANDLES.name
"""Stands for the topic's id as long as the keeper has not written it."""
DIGITS = ("open", "high", "low", "close", "volume")


class CandleRecord(NamedTuple):
    """One state of a candle and its place in the topic."""

    candle: Candle
    ticker: str
    topic_id: str
    offset: int
    epoch: int

    @property
    def key(self) -> tuple[str, str]:
        """The keys of its item: equal for all states of one candle."""
        candle = self.candle
        pk = candle_pk(candle.source, candle.pair, candle.interval)
        return pk, candle_sk(candle.timestamp)

    @property
    def rank(self) -> tuple[bool, int, int]:
        """Of two states of one candle in one life of the topic the newer one has the higher."""
        return self.candle.closed, self.epoch, self.offset


class PairSource(NamedTuple):
    """An exchange that has candles of a pair."""

    source: str
    symbol: str
    ticker: str


def candle_pk(source: str, symbol: str, interval: str) -> str:
    """The partition of one series."""
    return f"CANDLE#{source}#{symbol}#{interval}"


def candle_sk(start_ms: int) -> str:
    """The sort key of a candle: sorts as the number."""
    return f"{start_ms:015d}"


def pair_pk(name: str) -> str:
    """The partition of those who have a pair, by symbol or by ticker."""
    return f"PAIR#{name}"


def supersedes(new: CandleRecord, old: CandleRecord) -> bool:
    """Whether `new` takes the place of `old`, a state of the same candle.

    A closed candle is newer than a growing one; of two alike, that of the later capture (what a
    succeeded one still writes does not count, rule 11); of one capture, the later record. All
    states of a candle are in this order, so that the newest is found whatever comes first.
    In another life of the topic offsets begin anew: its records are the newer ones.
    """
    if UNKNOWN_TOPIC_ID not in (new.topic_id, old.topic_id) and new.topic_id != old.topic_id:
        return True
    return new.rank > old.rank


def condition(record: CandleRecord) -> dict[str, Any]:
    """`supersedes` as the condition of a put, or that there is no such item yet."""
    later = "epoch < :epoch OR (epoch = :epoch AND #offset < :offset)"
    join = "OR" if record.candle.closed else "AND"
    allowed = f"attribute_not_exists(pk) OR (closed = :no {join} ({later}))"
    values: dict[str, Any] = {
        ":offset": {"N": str(record.offset)},
        ":epoch": {"N": str(record.epoch)},
        ":no": {"BOOL": False},
    }
    if record.topic_id != UNKNOWN_TOPIC_ID:
        allowed += " OR NOT topic_id IN (:topic, :unknown)"
        values[":topic"] = {"S": record.topic_id}
        values[":unknown"] = {"S": UNKNOWN_TOPIC_ID}
    return {
        "ConditionExpression": allowed,
        "ExpressionAttributeNames": {"#offset": "offset"},
        "ExpressionAttributeValues": values,
    }


def candle_item(record: CandleRecord) -> dict[str, Any]:
    """The item of a state."""
    pk, sk = record.key
    candle = record.candle
    return {
        "pk": {"S": pk},
        "sk": {"S": sk},
        "ticker": {"S": record.ticker},
        **{name: {"S": bytes(getattr(candle, name)).decode()} for name in DIGITS},
        "closed": {"BOOL": candle.closed},
        "topic_id": {"S": record.topic_id},
        "offset": {"N": str(record.offset)},
        "epoch": {"N": str(record.epoch)},
    }


def candle_of(item: Mapping[str, Any], at: PairSource, interval: str) -> Candle:
    """The inverse of `candle_item`."""
    digits = {name: msgspec.Raw(item[name]["S"].encode()) for name in DIGITS}
    return Candle(
        pair=at.symbol,
        timestamp=int(item["sk"]["S"]),
        source=at.source,
        interval=interval,
        closed=item["closed"]["BOOL"],
        **digits,
    )


def pair_items(at: PairSource) -> list[dict[str, Any]]:
    """The items by which a pair is found: by symbol and by ticker, once if equal."""
    return [
        {
            "pk": {"S": pair_pk(name)},
            "sk": {"S": at.source},
            "symbol": {"S": at.symbol},
            "ticker": {"S": at.ticker},
        }
        for name in dict.fromkeys((at.symbol, at.ticker))
    ]
