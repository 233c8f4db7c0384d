"""What is captured, for those who look up names: the table of instruments (design.md §3).

Two items an instrument, `NAME#<symbol>` and `NAME#<ticker>`, sorted by exchange.
"""

from collections.abc import Iterable
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from marketdata.errors import StoreError, StoreUnavailable
from marketdata.instruments import Instrument

_CONFIG = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard"})
_PERMANENT = {
    "AccessDeniedException",
    "ResourceNotFoundException",
    "UnrecognizedClientException",
    "ValidationException",
}


def items(instrument: Instrument) -> list[dict[str, Any]]:
    """The items of one instrument."""
    return [
        {
            "pk": f"NAME#{name}",
            "sk": instrument.exchange,
            "symbol": instrument.symbol,
            "ticker": instrument.ticker,
            "exchange": instrument.exchange,
            "base": instrument.base,
            "quote": instrument.quote,
            "channels": list(instrument.channels),
        }
        for name in instrument.names
    ]


def write(table: str, instruments: Iterable[Instrument]) -> None:
    """Puts the items of all instruments; repeating it changes nothing.

    Raises:
        StoreUnavailable: DynamoDB did not answer; worth another try.
        StoreError: it refused, for example because the table does not exist.
    """
    try:
        client = boto3.resource("dynamodb", config=_CONFIG)
        with client.Table(table).batch_writer(overwrite_by_pkeys=["pk", "sk"]) as batch:
            for instrument in instruments:
                for item in items(instrument):
                    batch.put_item(Item=item)
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        text = f"the table {table} of instruments cannot be written: {error}"
        raise (StoreError if code in _PERMANENT else StoreUnavailable)(text) from error
    except BotoCoreError as error:
        raise StoreUnavailable(
            f"the table {table} of instruments cannot be reached: {error}"
        ) from error
