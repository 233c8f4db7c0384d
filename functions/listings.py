"""What bears a name that a client asks for: from the table of instruments (design.md §3)."""

import time
from collections.abc import Callable, Collection, Mapping
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
MAX_KEYS = 100
"""The most that DynamoDB reads at once."""
EXCHANGES = tuple(MAIN_TYPE)

Listed = tuple[Instrument, ...]


class ListingsTable:
    """Reads instruments by name; needs `dynamodb:BatchGetItem`.

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
        self._known: dict[str, tuple[Listed, float]] = {}

    def find(self, names: Collection[str]) -> dict[str, Listed]:
        """The instruments that bear each of at most twenty names; unknown names are absent.

        Raises:
            StoreError: the table cannot be read.
        """
        now = self._clock()
        known = {
            name: self._known[name][0]
            for name in names
            if name in self._known and self._known[name][1] > now
        }
        asked = [name for name in names if name not in known]
        found = self._read(asked) if asked else {}
        if len(self._known) + len(found) > MAX_REMEMBERED:
            self._known.clear()
        self._known.update({name: (one, now + KNOWN_FOR_S) for name, one in found.items()})
        return known | found

    def _read(self, names: Collection[str]) -> dict[str, Listed]:
        """One read for all: the sort key is the exchange, and the exchanges are known."""
        keys: list[Any] = [
            {"pk": {"S": f"NAME#{name}"}, "sk": {"S": exchange}}
            for name in names
            for exchange in EXCHANGES
        ]
        found: dict[str, Listed] = {}
        for _ in range(MAX_ROUNDS):
            wanted: Any = {self._table: {"Keys": keys[:MAX_KEYS]}}
            with store_errors("looking up symbols"):
                answer: Any = self._client.batch_get_item(RequestItems=wanted)
            for item in answer["Responses"].get(self._table, []):
                name = item["pk"]["S"].removeprefix("NAME#")
                found[name] = (*found.get(name, ()), _instrument(item))
            left = answer["UnprocessedKeys"].get(self._table, {}).get("Keys", [])
            keys = [*left, *keys[MAX_KEYS:]]
            if not keys:
                return found
        raise StoreUnavailable("looking up symbols failed: DynamoDB left keys unread")


def _instrument(item: Mapping[str, Any]) -> Instrument:
    return Instrument(
        exchange=item["exchange"]["S"],
        ticker=item["ticker"]["S"],
        symbol=item["symbol"]["S"],
        base=item["base"]["S"],
        quote=item.get("quote", {}).get("S", ""),
        channels=tuple(channel["S"] for channel in item.get("channels", {}).get("L", ())),
    )
