"""The names of the worker's variables, and one reader that finds all faults before it fails.

Pure: the environment is an argument.
"""

import difflib
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from marketdata.errors import SettingsError

DEFAULTS: dict[str, str] = {
    "QUEUE_ID": "",
    "SYMBOL": "",
    "TYPE": "",
    "KAFKA_TOPIC": "",
    "TELEMETRY_PRODUCER_ID": "",
    "KAFKA_BOOTSTRAP_SERVERS": "",
    "KAFKA_CLUSTER_ARN": "",
    "KAFKA_AUTH": "",
    "KAFKA_USER_PRODUCER": "",
    "KAFKA_PASSWORD_PRODUCER": "",
    "CA_PATH": "",
    "KAFKA_BUFFER_MB": "128",
    "QUEUE_CONTROL_TOPIC": "queue-control",
    "QUEUE_EVENTS_TOPIC": "queue-events",
    "BINANCE_WS_URL": "wss://stream.binance.com:9443/ws",
    "BINANCE_REST_URL": "https://api.binance.com",
    "EXCHANGE": "binance",
    "COINBASE_WS_URL": "wss://ws-feed.exchange.coinbase.com",
    "COINBASE_REST_URL": "https://api.exchange.coinbase.com",
    "BLOCKCHAIN_WS_URL": "wss://ws.blockchain.info/mercury-gateway/v1/ws",
    "BLOCKCHAIN_REST_URL": "https://api.blockchain.com",
    "STOCKBIT_WS_URL": "wss://wss-jkt.trading.stockbit.com/ws",
    "STOCKBIT_REST_URL": "https://exodus.stockbit.com",
    "STOCKBIT_WIRE": "flat",
    "STOCKBIT_TOKEN": "",
    "STOCKBIT_TOKEN_FILE": "",
    "STOCKBIT_TOKEN_SECRET": "",
    "STELLAR_RPC_URL": "https://rpc-mainnet.stellar.org",
    "STELLAR_AUTH_HEADER": "",
    "STELLAR_START_LEDGER": "0",
    "STELLAR_POLL_SECONDS": "5",
    "STELLAR_FILTERS": "[]",
    "STELLAR_PAGE_LIMIT": "1000",
    "STELLAR_XDR_FORMAT": "json",
    "STREAMS_FILE": "",
    "STREAMS": "",
    "INSTRUMENTS_TABLE": "",
    "ARCHIVE_BUCKET": "",
    "ARCHIVE_FLUSH_SECONDS": "60",
    "ARCHIVE_BUFFER_MB": "256",
    "CONNECTIONS_TABLE": "",
    "RING_TABLE": "",
    "KEYS_TABLE": "",
    "CALLBACK_URL_STREAM": "",
    "CALLBACK_URL_WS": "",
    "CALLBACK_URL_CANDLES": "",
    "KEEP_PERIOD_S": "2",
    "KEEP_REGISTER_S": "10",
    "KEEP_PONG_S": "30",
    "KEEP_IDLE_S": "300",
    "KEEP_TOUCH_S": "60",
    "KEEP_LIFE_S": "90",
    "KEEP_CONNECTION_S": "7200",
    "KEEP_RECONNECT_S": "300",
    "KEEP_TAKEOVER_S": "15",
}
"""Every variable of our own, with its default; empty means that there is none.

docs/settings.md says what each means; a test compares the two.
"""

_SHORTEST_FUZZY = 8
_LIKENESS = 0.85
# Kubernetes writes such variables for every service of the namespace, `kafka-bootstrap` too.
_KUBERNETES = re.compile(r"_SERVICE_(HOST|PORT(_\w+)?)$|_PORT(_\d+_(TCP|UDP)(_\w+)?)?$")
_SERVER = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")


def near_misses(names: Collection[str]) -> list[tuple[str, str]]:
    """Variables that look like one of ours and are none, each with the one that was meant.

    Case and underscores do not count; a longer name may also differ in a few letters. What
    Kubernetes itself sets is passed over.
    """
    ours = {_bare(name): name for name in DEFAULTS}
    found = []
    for name in sorted(names):
        if name in DEFAULTS or _KUBERNETES.search(name):
            continue
        meant = _nearest(_bare(name), ours)
        if meant is not None:
            found.append((name, meant))
    return found


def _bare(name: str) -> str:
    return name.replace("_", "").replace("-", "").upper()


def _nearest(bare: str, ours: Mapping[str, str]) -> str | None:
    if bare in ours or bare.removesuffix("S") in ours:
        return ours.get(bare) or ours[bare.removesuffix("S")]
    if len(bare) < _SHORTEST_FUZZY:
        return None
    long_enough = [name for name in ours if len(name) >= _SHORTEST_FUZZY]
    close = difflib.get_close_matches(bare, long_enough, n=1, cutoff=_LIKENESS)
    return ours[close[0]] if close else None


class Reader:
    """Reads variables one by one and keeps every fault; `check` raises them all at once.

    A variable that is set to blanks counts as absent. What a faulty variable returns is a
    placeholder that nobody sees, because `check` raises.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.faults = [
            f"{name} is not a variable of ours: did you mean {meant}?"
            for name, meant in near_misses(environment.keys())
        ]

    def text(self, name: str) -> str:
        """The variable or its default, without surrounding blanks."""
        return self._environment.get(name, "").strip() or DEFAULTS[name]

    def required(self, name: str, why: str = "") -> str:
        """A variable that must be there; `why` completes the sentence of its absence."""
        value = self.text(name)
        if not value:
            self.faults.append(f"{name} is missing{f': {why}' if why else ''}")
        return value

    def secret(self, name: str) -> str:
        """A variable whose value is taken as it is, blanks included."""
        return self._environment.get(name, "")

    def one_of(self, name: str, choices: Collection[str], value: str) -> str:
        """`value`, when it is empty or one of `choices`."""
        if value and value not in choices:
            close = difflib.get_close_matches(value, choices, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            self.faults.append(f"{name}: {value!r} is none of {', '.join(choices)}{hint}")
        return value

    def number(self, name: str, least: float, most: float) -> float:
        """A number within bounds."""
        text = self.text(name)
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            self.faults.append(f"{name}: {text!r} is not a number from {least:g} to {most:g}")
            return least
        return value

    def url(self, name: str, schemes: tuple[str, str]) -> str:
        """A base URL, without a slash at its end."""
        text = self.text(name)
        try:
            parts = urlsplit(text)
            good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good:
            wanted = " or ".join(f"{scheme}://" for scheme in schemes)
            self.faults.append(f"{name}: {text!r} is not a URL that begins with {wanted}")
        return text.rstrip("/")

    def optional_url(self, name: str, schemes: tuple[str, str]) -> str:
        """As `url`; may be empty."""
        return self.url(name, schemes) if self.text(name) else ""

    def topic(self, name: str, value: str) -> str:
        """A Kafka topic name, when it is not empty."""
        if value and not _TOPIC.fullmatch(value):
            self.faults.append(
                f"{name}: {value!r} is not a topic name (letters, digits, '.', '_', '-')"
            )
        return value

    def servers(self, name: str) -> str:
        """A comma-separated list of `host:port`; may be empty."""
        parts = [part.strip() for part in self.text(name).split(",") if part.strip()]
        for part in parts:
            match = _SERVER.fullmatch(part)
            if match is None or not 0 < int(match[2]) < 65536:
                self.faults.append(f"{name}: {part!r} is not host:port")
        return ",".join(parts)

    def readable_file(self, name: str) -> str:
        """The path of a file that is there; may be empty."""
        text = self.text(name)
        if text and not Path(text).is_file():
            self.faults.append(f"{name}: there is no file {text!r}")
        return text

    def check(self) -> None:
        """Fails when anything was wrong.

        Raises:
            SettingsError: with all faults.
        """
        if self.faults:
            raise SettingsError(self.faults)
