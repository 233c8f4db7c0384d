"""The table of candles: written by `history`, read by `GET /api/ohlcv` and `subscribe,PAIR`."""

import functools
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from functions.dynamodb import dynamodb, store_errors
from functions.logic.candle_items import (
    DIGITS,
    LAST_MS,
    CandleRecord,
    PairSource,
    candle_item,
    candle_of,
    candle_pk,
    candle_sk,
    condition,
    pair_items,
    pair_pk,
)
from functions.settings import settings
from marketdata.messages import Candle

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KNOWN_FOR_S = 60.0
MAX_REMEMBERED = 4096
TOGETHER = 100
"""DynamoDB's most in one transaction."""
NEWEST_OF = "1m"
"""The interval of the latest candle (sources/crypto-streams.md)."""


class CandlesTable:
    """Candles by source, symbol, interval and start; needs `Query`, and to write `PutItem`.

    The exchanges that have a pair are remembered for a minute; a pair that nobody has is asked
    for each time, so that a new one can be had at once.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._table = table
        self._clock = clock
        self._known: dict[str, tuple[float, dict[str, PairSource]]] = {}
        self._told: set[PairSource] = set()

    def put(self, record: CandleRecord) -> bool:
        """Keep a state of a candle; False when the table has the same or a newer one.

        May be repeated, and in any order: see `supersedes`.

        Raises:
            StoreError: the table cannot be written.
        """
        with store_errors("writing a candle"):
            try:
                self._client.put_item(
                    TableName=self._table, Item=candle_item(record), **condition(record)
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return False
        return True

    def put_together(self, records: Sequence[CandleRecord]) -> bool:
        """Keep up to `TOGETHER` candles in one transaction; False when nothing was kept.

        Nothing is kept where one of them is not newer than what the table has: put each then.

        Raises:
            StoreError: the table cannot be written.
        """
        puts: list[Any] = [
            {"Put": {"TableName": self._table, "Item": candle_item(one), **condition(one)}}
            for one in records
        ]
        with store_errors("writing candles"):
            try:
                self._client.transact_write_items(TransactItems=puts)
            except self._client.exceptions.TransactionCanceledException:
                return False
        return True

    def put_pair(self, at: PairSource) -> bool:
        """Let a pair be found by its symbol and its ticker; False when that was done before.

        Raises:
            StoreError: the table cannot be written.
        """
        if at in self._told:
            return False
        with store_errors("writing a pair"):
            for item in pair_items(at):
                self._client.put_item(TableName=self._table, Item=item)
        if len(self._told) >= MAX_REMEMBERED:
            self._told.clear()
        self._told.add(at)
        return True

    def latest(self, pair: str, sources: Sequence[str]) -> Candle | None:
        """The newest candle of one minute from the first exchange of the order with the pair.

        None when nobody has the pair. `pair` is a symbol or a ticker; the candle's is the
        symbol.

        Raises:
            StoreError: the table cannot be read.
        """
        at = self.source_of(pair, sources)
        found = self.range(at, NEWEST_OF, 0, LAST_MS, 1) if at else []
        return found[0] if found else None

    def source_of(self, pair: str, sources: Sequence[str]) -> PairSource | None:
        """The first exchange of the order that has the pair; those not in it come last.

        Raises:
            StoreError: the table cannot be read.
        """
        found = self.sources_of(pair)
        ordered = [*(one for one in sources if one in found), *sorted(found)]
        return found[ordered[0]] if ordered else None

    def sources_of(self, pair: str) -> dict[str, PairSource]:
        """Who has candles of a symbol or ticker, by exchange; empty when nobody has.

        Raises:
            StoreError: the table cannot be read.
        """
        now = self._clock()
        until, known = self._known.get(pair, (now, {}))
        if now < until:
            return known
        with store_errors("looking up a pair"):
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": pair_pk(pair)}},
            )
        found = {
            item["sk"]["S"]: PairSource(
                item["sk"]["S"], item["symbol"]["S"], item["ticker"]["S"]
            )
            for item in answer["Items"]
        }
        self._remember(pair, found, now)
        return found

    def range(
        self, at: PairSource, interval: str, from_ms: int, to_ms: int, limit: int
    ) -> list[Candle]:
        """The newest `limit` candles that start in `from_ms` to `to_ms`, newest first.

        Both times belong to it, and lie in 0 to `LAST_MS`. What lies before the last one given
        is had by asking again up to the millisecond before its start.

        Raises:
            StoreError: the table cannot be read.
        """
        found: list[Candle] = []
        more: dict[str, Any] = {}
        if from_ms > to_ms:
            return found
        while len(found) < limit:
            with store_errors("reading candles"):
                page = self._client.query(
                    **self._series(at, interval, from_ms, to_ms),
                    Limit=limit - len(found),
                    **more,
                )
            found += [candle_of(item, at, interval) for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                break
            more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        return found

    def _series(
        self, at: PairSource, interval: str, from_ms: int, to_ms: int
    ) -> dict[str, Any]:
        names = {f"#{name}": name for name in DIGITS}
        return {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :from AND :to",
            "ProjectionExpression": ", ".join(("sk", "closed", *names)),
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": {
                ":pk": {"S": candle_pk(at.source, at.symbol, interval)},
                ":from": {"S": candle_sk(from_ms)},
                ":to": {"S": candle_sk(to_ms)},
            },
            "ScanIndexForward": False,
        }

    def _remember(self, pair: str, found: dict[str, PairSource], now: float) -> None:
        if len(self._known) >= MAX_REMEMBERED:
            self._known.clear()
        if found:
            self._known[pair] = (now + KNOWN_FOR_S, found)


@functools.cache
def candles_table() -> CandlesTable:
    """This process's table, made when first needed and kept while the function is warm."""
    return CandlesTable(dynamodb(), settings().having("candles_table").candles_table)
