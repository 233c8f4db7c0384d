"""The table of instruments: what capture takes, by symbol and by ticker (design.md §3)."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from functions.dynamodb import store_errors
from marketdata.errors import StoreUnavailable
from marketdata.instruments import Instrument
from marketdata.topics import MAIN_TYPE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KNOWN_FOR_S = 60.0
MAX_REMEMBERED = 4096
MAX_ROUNDS = 5
EXCHANGES = tuple(MAIN_TYPE)


class InstrumentsTable:
    """Reads instruments; needs `dynamodb:BatchGetItem` and, for the list, `dynamodb:Scan`.

    Names found are remembered for a minute, so that a warm function asks once; names not
    found are asked for each time, so that a new instrument can be had at once.
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
        self._known_until: dict[str, float] = {}

    def unknown(self, names: Collection[str]) -> list[str]:
        """Those of at most ten names that no captured instrument bears, in their order.

        Raises:
            StoreError: the table cannot be read.
        """
        now = self._clock()
        asked = [name for name in names if self._known_until.get(name, 0.0) <= now]
        if not asked:
            return []
        found = self._find(asked)
        self._remember(found, now)
        return [name for name in asked if name not in found]

    def all(self) -> list[Instrument]:
        """Every instrument once, by exchange and ticker.

        Raises:
            StoreError: the table cannot be read.
        """
        found = {(one.exchange, one.ticker): one for one in self._scan()}
        return [found[key] for key in sorted(found)]

    def _find(self, names: Collection[str]) -> set[str]:
        """One read for all: the sort key is the exchange, and the exchanges are known."""
        wanted: list[Any] = [
            {"pk": {"S": f"NAME#{name}"}, "sk": {"S": exchange}}
            for name in names
            for exchange in EXCHANGES
        ]
        found: set[str] = set()
        for _ in range(MAX_ROUNDS):
            with store_errors("looking up symbols"):
                answer = self._client.batch_get_item(
                    RequestItems={self._table: {"Keys": wanted, "ProjectionExpression": "pk"}}
                )
            items = answer["Responses"].get(self._table, [])
            found.update(item["pk"]["S"].removeprefix("NAME#") for item in items)
            left = answer["UnprocessedKeys"].get(self._table)
            if not left:
                return found
            wanted = list(left["Keys"])
        raise StoreUnavailable("looking up symbols failed: DynamoDB left keys unread")

    def _remember(self, names: Collection[str], now: float) -> None:
        if len(self._known_until) + len(names) > MAX_REMEMBERED:
            self._known_until.clear()
        self._known_until.update(dict.fromkeys(names, now + KNOWN_FOR_S))

    def _scan(self) -> Iterator[Instrument]:
        pages = self._client.get_paginator("scan").paginate(TableName=self._table)
        with store_errors("listing the instruments"):
            for page in pages:
                yield from map(_instrument, page["Items"])


def _instrument(item: Mapping[str, Any]) -> Instrument:
    return Instrument(
        exchange=item["exchange"]["S"],
        ticker=item["ticker"]["S"],
        symbol=item["symbol"]["S"],
        base=item["base"]["S"],
        quote=item.get("quote", {}).get("S", ""),
        channels=tuple(channel["S"] for channel in item.get("channels", {}).get("L", ())),
    )
