"""The table of instruments: what capture takes, by symbol and by ticker (design.md §3)."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from functions.dynamodb import store_errors
from marketdata.instruments import Instrument

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class InstrumentsTable:
    """Reads the list of instruments; needs `dynamodb:Scan`."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def all(self) -> list[Instrument]:
        """Every instrument once, by exchange and ticker.

        Raises:
            StoreError: the table cannot be read.
        """
        found = {(one.exchange, one.ticker): one for one in self._scan()}
        return [found[key] for key in sorted(found)]

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
