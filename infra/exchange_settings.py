"""What a deployment may choose of the exchanges: addresses, Stockbit's wire, Stellar's query.

context ─► ExchangeChoices ─► the worker's variables, the ports that it may reach, its secrets
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

URLS = {
    "binance_rest_url": "https",
    "binance_ws_url": "wss",
    "blockchain_rest_url": "https",
    "blockchain_ws_url": "wss",
    "coinbase_rest_url": "https",
    "coinbase_ws_url": "wss",
    "stellar_rpc_url": "https",
    "stockbit_rest_url": "https",
    "stockbit_ws_url": "wss",
}
"""The context keys that are addresses, with the scheme that each must have."""

KEYS = (
    *URLS,
    "stellar_auth_secret",
    "stellar_filters",
    "stellar_poll_seconds",
    "stellar_start_ledger",
    "stockbit_wire",
)
_ARN = "arn:"
_LAST_LEDGER = 2**32 - 1


@dataclass(frozen=True, slots=True)
class ExchangeChoices:
    """All checked; what is empty leaves the worker's own default.

    Attributes:
        variables: What the capture stage reads, by variable.
        stellar_auth_secret: ARN of a secret whose text is the `Authorization` header.
        captured: The exchanges that the streams name.
    """

    variables: Mapping[str, str]
    stellar_auth_secret: str
    captured: frozenset[str]

    @property
    def ports(self) -> tuple[int, ...]:
        """The TCP ports that the worker must reach outside, HTTPS included."""
        ports = {443, 9443}
        for name, value in self.variables.items():
            if name.lower() in URLS and (port := urlsplit(value).port):
                ports.add(port)
        return tuple(sorted(ports))


def read_choices(
    text: Callable[[str], str], faults: list[str], captured: frozenset[str]
) -> ExchangeChoices:
    """The choices of a context; `text` gives a key's value or an empty text."""
    values = {key: text(key) for key in KEYS}
    for key, scheme in URLS.items():
        if values[key] and not _is_url(values[key], scheme):
            faults.append(f"context {key}={values[key]}: must be a {scheme}:// address")
            values[key] = ""
    wire = values["stockbit_wire"]
    if wire not in {"", "flat", "channel"}:
        faults.append(f"context stockbit_wire={wire}: must be flat or channel")
    for key, least, most in (
        ("stellar_start_ledger", 0, _LAST_LEDGER),
        ("stellar_poll_seconds", 1, 3600),
    ):
        if values[key] and not _is_whole(values[key], least, most):
            faults.append(
                f"context {key}={values[key]}: must be a whole number from {least} to {most}"
            )
    if values["stellar_filters"] and not _is_list(values["stellar_filters"]):
        faults.append("context stellar_filters: must be a JSON list of getEvents filters")
    secret = values.pop("stellar_auth_secret")
    if secret and not secret.startswith(_ARN):
        faults.append(f"context stellar_auth_secret={secret}: must be the ARN of a secret")
        secret = ""
    variables = {key.upper(): value for key, value in values.items()}
    return ExchangeChoices(variables, secret, captured)


def _is_url(value: str, scheme: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme == scheme and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_whole(value: str, least: int, most: int) -> bool:
    return value.isascii() and value.isdigit() and least <= int(value) <= most


def _is_list(value: str) -> bool:
    try:
        return isinstance(json.loads(value), list)
    except ValueError:
        return False
