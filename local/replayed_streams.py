"""What a replay is of, as the exchanges' process tells it, and the streams file made from it.

GET /exchanges ─► Overview ─► streams file
"""

import urllib.request
from collections.abc import Mapping
from urllib.error import URLError

import msgspec
import yaml

from container_worker.exchanges import REGISTRY

TIMEOUT_S = 5.0

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Replayed(msgspec.Struct, frozen=True):
    """One exchange that is replayed; no `types` means all that it has."""

    tickers: list[str]
    types: list[str] = []


class Overview(msgspec.Struct, frozen=True):
    """What the exchanges' process says of itself."""

    done: bool
    exchanges: dict[str, Replayed]


def overview(url: str) -> Overview | None:
    """The overview at a base URL, or None while it does not answer."""
    try:
        with _direct.open(f"{url}/exchanges", timeout=TIMEOUT_S) as answer:
            return msgspec.json.decode(answer.read(), type=Overview)
    except (OSError, URLError, ValueError):
        return None


def streams_yaml(replayed: Mapping[str, Replayed]) -> str:
    """The streams file of a replay: all that the recordings have, by exchange."""
    many = len(replayed) > 1
    streams = [
        {
            "queue_id": f"replay-{exchange}" if many else "replay",
            "exchange": exchange,
            "tickers": found.tickers,
            "types": found.types or sorted(REGISTRY[exchange].types),
        }
        for exchange, found in replayed.items()
    ]
    return yaml.safe_dump({"streams": streams}, sort_keys=False)
