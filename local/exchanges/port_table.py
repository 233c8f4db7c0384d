"""The exchanges that can be served and the ports of each."""

import importlib.util
from collections.abc import Mapping, Sequence
from types import MappingProxyType

PORTS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "binance": {"ws": 19443, "rest": 19444},
        "coinbase": {"ws": 19445, "rest": 19446},
        "blockchain": {"ws": 19447, "rest": 19448},
        "stockbit": {"ws": 19449, "rest": 19450},
        "stellar": {"rpc": 19451},
    }
)
"""Each exchange's ports by name, with their defaults; the last one has `/_control/`."""


def port_names(exchanges: Sequence[str]) -> list[str]:
    """The names of the ports of some exchanges, as `tapedeck status --json` has them."""
    return [f"{exchange}_{port}" for exchange in exchanges for port in PORTS[exchange]]


PORT_NAMES: Mapping[str, int] = MappingProxyType(
    {
        f"{exchange}_{port}": number
        for exchange, ports in PORTS.items()
        for port, number in ports.items()
    }
)
"""The ports of all exchanges by those names, with their defaults."""


def served_names() -> list[str]:
    """The exchanges whose package is there, in the order of their ports."""
    specs = {name: importlib.util.find_spec(f"local.exchanges.{name}") for name in PORTS}
    return [name for name, spec in specs.items() if spec and spec.origin]
