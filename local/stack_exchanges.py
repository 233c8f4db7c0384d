"""The exchanges of a local stack: their ports, addresses and credentials.

table of ports ─► names of `status --json`, variables of capture
"""

import importlib
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from container_worker.variables import DEFAULTS
from local.exchanges.port_table import PORT_NAMES, PORTS, port_names

KEPT_LIVE = tuple(
    name
    for name in DEFAULTS
    if name.lower().startswith(tuple(f"{exchange}_" for exchange in PORTS))
    and not name.startswith("STOCKBIT_TOKEN")
    and name != "STELLAR_AUTH_HEADER"
)
"""What a user may tell about the exchanges when the stack is live; no secret is among it."""

KEPT_SIMULATED = ("STOCKBIT_WIRE", "STELLAR_POLL_SECONDS")
CREDENTIALS = ("STOCKBIT_TOKEN", "STOCKBIT_TOKEN_FILE", "STELLAR_AUTH_HEADER")
"""What only capture gets to know."""


def arguments(exchanges: Sequence[str], ports: Mapping[str, int]) -> list[str]:
    """The port options of `python -m local.exchanges`."""
    return [
        part
        for name in port_names(exchanges)
        for part in (f"--{name.replace('_', '-')}-port", str(ports[name]))
    ]


def variables(
    exchanges: Sequence[str], address: str, ports: Mapping[str, int]
) -> dict[str, str]:
    """The base URLs that capture is given, with the paths of the exchanges' own."""
    return {
        _variable(name): _local(name, address, ports) + urlsplit(DEFAULTS[_variable(name)]).path
        for name in port_names(exchanges)
    }


def urls(
    exchanges: Sequence[str],
    address: str,
    ports: Mapping[str, int],
    told: Mapping[str, str],
    *,
    live: bool,
) -> dict[str, str | None]:
    """Every name of `PORT_NAMES`: where the exchange is, None where it is not served.

    Live it is the exchange's own address, or what the user's variables say (`told`).
    """
    if live:
        return {name: _base(told, name) for name in PORT_NAMES}
    served = variables(exchanges, address, ports)
    return {
        name: _base(served, name) if _variable(name) in served else None for name in PORT_NAMES
    }


def _base(told: Mapping[str, str], name: str) -> str:
    url = told.get(_variable(name)) or DEFAULTS[_variable(name)]
    # Binance has two modes, each with its own path behind the address.
    return url.removesuffix("/ws") if name == "binance_ws" else url


def _variable(name: str) -> str:
    return f"{name.upper()}_URL"


def _local(name: str, address: str, ports: Mapping[str, int]) -> str:
    scheme = "ws" if name.endswith("_ws") else "http"
    return f"{scheme}://{address}:{ports[name]}"


def credentials(
    exchanges: Sequence[str], inherited: Mapping[str, str], *, live: bool, now_s: int
) -> dict[str, str]:
    """What capture shows to the exchanges: the user's own when live, made ones otherwise."""
    if live:
        return {name: inherited[name] for name in CREDENTIALS if inherited.get(name)}
    if "stockbit" not in exchanges:
        return {}
    module = importlib.import_module("local.exchanges.stockbit")
    return {"STOCKBIT_TOKEN": module.demo_token(now_s)}
