"""The functions' settings: the only reader of the environment here."""

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marketdata.errors import SettingsError

VARIABLES = {
    "connections_table": "CONNECTIONS_TABLE",
    "keys_table": "KEYS_TABLE",
    "instruments_table": "INSTRUMENTS_TABLE",
    "limits_table": "LIMITS_TABLE",
    "ring_table": "RING_TABLE",
    "candles_table": "CANDLES_TABLE",
    "archive_bucket": "ARCHIVE_BUCKET",
    "callback_url_stream": "CALLBACK_URL_STREAM",
    "callback_url_ws": "CALLBACK_URL_WS",
    "callback_url_candles": "CALLBACK_URL_CANDLES",
    "welcome_function": "WELCOME_FUNCTION",
    "region": "AWS_REGION",
}
"""The texts; `having` says which of them are missing."""

NUMBERS = {
    "max_queue_size": ("MAX_QUEUE_SIZE", 1000, 1, 100_000),
    "ring_seconds": ("RING_SECONDS", 300, 10, 86_400),
    "max_connections": ("MAX_CONNECTIONS_PER_KEY", 10, 1, 10_000),
    "rate_per_minute": ("RATE_PER_MINUTE", 120, 1, 1_000_000),
    "rate_burst": ("RATE_BURST", 60, 1, 1_000_000),
}
"""Each with its variable, default, least and most."""

SWITCHES = {"open_ws": "OPEN_WS", "rate_all": "ALLOW_RATE_ALL"}
"""On when the variable is `true`."""

LISTS = {
    "ring_topics": ("RING_TOPICS", ("events", "candles", "ticks", "depth")),
    "candle_sources": ("CANDLE_SOURCES", ("coinbase", "blockchain", "binance")),
}
"""Each with its variable, a list with commas, and its default."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the deployment tells a function; a text that is not set is empty.

    Attributes:
        callback_url_stream: The management API of the stage `stream`; likewise of the others.
        welcome_function: The name of the function that says `welcome` on `ws`.
        max_queue_size: The most events that are replayed when a client registers.
        ring_seconds: How long the ring keeps a batch.
        max_connections: Of one key, where the key says nothing else; likewise the two rates.
        open_ws: Whether the stage `ws` is for anyone; else it asks for a key.
        rate_all: Whether clients may have every trade.
        ring_topics: The topics whose batches are kept in the ring.
        candle_sources: The order in which exchanges are asked for a pair that several have.
        region: `AWS_REGION`, which Lambda sets.
    """

    connections_table: str
    keys_table: str
    instruments_table: str
    limits_table: str
    ring_table: str
    candles_table: str
    archive_bucket: str
    callback_url_stream: str
    callback_url_ws: str
    callback_url_candles: str
    welcome_function: str
    region: str
    max_queue_size: int
    ring_seconds: int
    max_connections: int
    rate_per_minute: int
    rate_burst: int
    open_ws: bool
    rate_all: bool
    ring_topics: tuple[str, ...]
    candle_sources: tuple[str, ...]

    def having(self, *names: str) -> "Settings":
        """Itself, when every named setting is there.

        Raises:
            SettingsError: names every variable that is missing.
        """
        missing = [VARIABLES[name] for name in names if not getattr(self, name)]
        if missing:
            raise SettingsError([f"the variable {name} is not set" for name in missing])
        return self

    def callback_url(self, stage: str) -> str:
        """The management API of a stage; empty for one that is not there."""
        urls = {
            "stream": self.callback_url_stream,
            "ws": self.callback_url_ws,
            "candles": self.callback_url_candles,
        }
        return urls.get(stage, "")


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings in a mapping of variables.

    Raises:
        SettingsError: names every number that is none or out of its bounds.
    """
    faults: list[str] = []
    texts = {name: environment.get(variable, "") for name, variable in VARIABLES.items()}
    numbers = {}
    for name, (variable, default, least, most) in NUMBERS.items():
        text = environment.get(variable, "").strip() or str(default)
        is_number = text.isascii() and text.isdigit() and least <= int(text) <= most
        if not is_number:
            faults.append(f"{variable}: {text!r} is not a whole number from {least} to {most}")
        numbers[name] = int(text) if is_number else default
    if faults:
        raise SettingsError(faults)
    switches = {name: environment.get(one, "") == "true" for name, one in SWITCHES.items()}
    lists = {name: _listed(environment, *one) for name, one in LISTS.items()}
    values: dict[str, Any] = {**texts, **numbers, **switches, **lists}
    return Settings(**values)


def _listed(
    environment: Mapping[str, str], variable: str, default: tuple[str, ...]
) -> tuple[str, ...]:
    given = environment.get(variable)
    if given is None:
        return default
    return tuple(part.strip() for part in given.split(",") if part.strip())


@functools.cache
def settings() -> Settings:
    """This process's settings, read once."""
    return read_settings(os.environ)
