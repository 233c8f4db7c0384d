"""What a deployment may choose for its clients: who gets in, how much, what is kept.

context ─► ClientChoices ─► the functions' variables
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from marketdata.topics import MAIN_TYPE

SWITCHES = {"open_ws": "OPEN_WS", "rate_all": "ALLOW_RATE_ALL"}
NUMBERS = {
    "max_queue_size": ("MAX_QUEUE_SIZE", 1000, 1, 100_000),
    "ring_seconds": ("RING_SECONDS", 300, 10, 86_400),
    "connections_per_key": ("MAX_CONNECTIONS_PER_KEY", 10, 1, 10_000),
    "rate_per_minute": ("RATE_PER_MINUTE", 120, 1, 1_000_000),
    "rate_burst": ("RATE_BURST", 60, 1, 1_000_000),
}
"""Context key to variable, default, least and most."""
LISTS = {
    "ring_topics": ("RING_TOPICS", ("events", "candles", "ticks", "depth", "prices")),
    "candle_sources": ("CANDLE_SOURCES", tuple(MAIN_TYPE)),
}
"""Context key to variable and the words that may be in it."""
DEFAULT_LISTS = {
    "ring_topics": "events,candles,ticks,depth",
    "candle_sources": "coinbase,blockchain,binance",
}
KEYS = (*SWITCHES, *NUMBERS, *LISTS)


@dataclass(frozen=True, slots=True)
class ClientChoices:
    """All checked.

    Attributes:
        variables: What the functions read, by variable; docs/settings.md says what each means.
    """

    variables: Mapping[str, str]


def read_client_choices(text: Callable[[str], str], faults: list[str]) -> ClientChoices:
    """The choices of a context; `text` gives a key's value or an empty text."""
    variables = {}
    for key, variable in SWITCHES.items():
        value = text(key) or "false"
        if value not in {"true", "false"}:
            faults.append(f"context {key}={value}: must be true or false")
        variables[variable] = value
    for key, (variable, default, least, most) in NUMBERS.items():
        value = text(key) or str(default)
        if not (value.isascii() and value.isdigit() and least <= int(value) <= most):
            faults.append(
                f"context {key}={value}: must be a whole number from {least} to {most}"
            )
        variables[variable] = value
    for key, (variable, words) in LISTS.items():
        value = text(key) or DEFAULT_LISTS[key]
        given = "" if value == "none" else value
        wrong = [word for word in given.split(",") if given and word.strip() not in words]
        if wrong:
            faults.append(
                f"context {key}={value}: must be none, or words of {', '.join(words)}"
            )
        variables[variable] = given
    return ClientChoices(variables)
