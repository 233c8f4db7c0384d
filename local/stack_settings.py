"""What `tapedeck up` was asked for, and the names that a local stack goes by.

options ─► StackSettings
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.exchanges.port_table import PORT_NAMES, port_names, served_names
from local.ports import free_ports

BUCKET = "tapedeck"
CONNECTIONS_TABLE = "tapedeck-connections"
KEYS_TABLE = "tapedeck-keys"
INSTRUMENTS_TABLE = "tapedeck-instruments"
LIMITS_TABLE = "tapedeck-limits"
RING_TABLE = "tapedeck-ring"
CANDLES_TABLE = "tapedeck-candles"
REGION = "us-east-1"
ACCESS_KEY_ID = "local"
SECRET_ACCESS_KEY = "local-secret"  # noqa: S105 the store checks none; it must be something
DEVELOPMENT_KEY = "chrono_public_dev_key_001"

SIMULATE, REPLAY, LIVE = "simulate", "replay", "live"
DEMO_STREAMS = Path(__file__).parent / "streams" / "demo.yaml"

PUBLIC_PORTS = {
    "api": 8080,
    "stream": 3000,
    "candles": 3004,
    "kafka": 19092,
    "s3": 19000,
    "dynamodb": 18000,
    **PORT_NAMES,
}
PRIVATE_PORTS = ("s3_private", "kafka_controller", "exchanges")


@dataclass(frozen=True, slots=True)
class StackSettings:
    """One local stack; `data` is absolute and holds everything that outlives a start.

    `speed` is a number or `max`; `streams` is None for the default of the mode; `replayed` are
    the exchanges of the recordings and `stockbit_wire` is Stockbit's wire format in them, once
    they have been looked at.
    """

    data: Path
    mode: str = SIMULATE
    recordings: tuple[Path, ...] = ()
    streams: Path | None = None
    seed: int = 1
    speed: str = "1"
    once: bool = False
    free_ports: bool = False
    host: str = "127.0.0.1"
    replayed: tuple[str, ...] | None = None
    stockbit_wire: str = ""

    @property
    def exchanges(self) -> tuple[str, ...]:
        """The exchanges that the stack serves itself."""
        if self.mode == LIVE:
            return ()
        return tuple(served_names()) if self.replayed is None else self.replayed

    @property
    def address(self) -> str:
        """Where the stack's own processes reach what listens on `host`."""
        return "127.0.0.1" if self.host in {"0.0.0.0", "localhost"} else self.host

    @property
    def logs(self) -> Path:
        """Where each process has its log."""
        return self.data / "logs"

    @property
    def run(self) -> Path:
        """Where the run file, its lock and what is made for one start are."""
        return self.data / "run"

    @property
    def objects(self) -> Path:
        """The bucket as a folder of plain files."""
        return self.data / "s3" / BUCKET

    @property
    def streams_file(self) -> Path:
        """The streams that capture reads; with a recording it is made from its tickers."""
        if self.streams is not None:
            return self.streams
        return self.run / "streams.yaml" if self.mode == REPLAY else DEMO_STREAMS


def choose_ports(settings: StackSettings) -> Mapping[str, int]:
    """The ports of this start: the documents' own, or free ones; private ones always are."""
    names = [*PUBLIC_PORTS, *PRIVATE_PORTS] if settings.free_ports else list(PRIVATE_PORTS)
    chosen = dict(zip(names, free_ports(len(names)), strict=True))
    return PUBLIC_PORTS | chosen


def public_ports(settings: StackSettings, ports: Mapping[str, int]) -> dict[str, int]:
    """The ports that this start will listen on under a name that a person may know."""
    unused = set(PORT_NAMES) - set(port_names(settings.exchanges))
    return {name: ports[name] for name in PUBLIC_PORTS if name not in unused}
