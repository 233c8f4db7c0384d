"""How much the server bears from one address and on one connection (protocols 5.1, 5.5)."""

from collections import OrderedDict
from dataclasses import dataclass, field

from local.exchanges.connection import ConnectionLimits
from local.exchanges.serving import ServeOptions

SETTINGS = {
    "subscribe_seconds": "5",
    "messages_per_second": "100",
    "requests_per_second": "10",
    "requests_burst": "15",
    "connects_per_second": "8",
    "connects_burst": "20",
}
"""Names and defaults of what this server can be told."""

_ADDRESSES_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Limits:
    """The server's limits; `connection` are those of each connection."""

    connection: ConnectionLimits = field(default_factory=ConnectionLimits)
    requests_per_second: int = 10
    requests_burst: int = 15
    connects_per_second: int = 8
    connects_burst: int = 20

    @classmethod
    def of(cls, options: ServeOptions) -> "Limits":
        """The limits that the settings say.

        Raises:
            SettingsError: a setting is bad.
        """
        return cls(
            connection=ConnectionLimits(
                subscribe_s=options.seconds("subscribe_seconds"),
                messages_per_second=options.count("messages_per_second"),
            ),
            requests_per_second=options.count("requests_per_second"),
            requests_burst=options.count("requests_burst"),
            connects_per_second=options.count("connects_per_second"),
            connects_burst=options.count("connects_burst"),
        )


class Bucket:
    """A token bucket for each address, the 1,000 last seen; the time is an argument."""

    def __init__(self, per_second: int, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str, now_s: float) -> bool:
        """Whether one more is allowed; then it is taken."""
        left, at_s = self._left.pop(address, (float(self._burst), now_s))
        left = min(float(self._burst), left + (now_s - at_s) * self._per_second)
        allowed = left >= 1.0
        self._left[address] = (left - 1.0 if allowed else left, now_s)
        if len(self._left) > _ADDRESSES_KEPT:
            self._left.popitem(last=False)
        return allowed
