"""The exchange's limits (protocols 1.2, 1.5), scaled by options in tests."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from local.exchanges.connection import ConnectionLimits
from local.exchanges.serving import ServeOptions

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "ping_seconds": "20",
        "pong_seconds": "60",
        "life_seconds": "86400",
        "messages_per_second": "5",
        "weight_per_minute": "6000",
        "snapshot_wait": "5",
    }
)
"""Binance's own figures: seconds, messages a second, weight a minute.

`snapshot_wait` is the longest wait of a tape for a snapshot request, and of one for the tape.
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the server bears from its clients."""

    connection: ConnectionLimits
    weight_per_minute: int
    snapshot_wait_s: float

    @classmethod
    def of(cls, options: ServeOptions) -> "Limits":
        """The limits that the settings name.

        Raises:
            SettingsError: a setting is no number.
        """
        connection = ConnectionLimits(
            ping_s=options.seconds("ping_seconds"),
            pong_s=options.seconds("pong_seconds"),
            life_s=options.seconds("life_seconds"),
            messages_per_second=options.count("messages_per_second"),
        )
        weight = options.count("weight_per_minute")
        return cls(connection, weight, options.seconds("snapshot_wait"))


IGNORED_REFUSALS = 5
BAN_S = 120
_DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50))


def depth_weight(limit: int) -> int:
    """Weight of `GET /api/v3/depth`: 5, 25, 50 or 250."""
    return next((weight for most, weight in _DEPTH_WEIGHTS if limit <= most), 250)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer instead of the thing asked for: 429, or 418 for who went on asking."""

    status: int
    retry_after_s: int


class WeightBudget:
    """Used weight a minute and address; a 429 ignored five times is a ban of two minutes. Pure.

    At most 10,000 addresses are known; with more, all start afresh.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._minute = -1
        self._used: dict[str, int] = {}
        self._refused: dict[str, int] = {}
        self._banned_until_s: dict[str, float] = {}

    def used(self, address: str) -> int:
        """Weight of the current minute, as `X-MBX-USED-WEIGHT-1M` tells it."""
        return self._used.get(address, 0)

    def take(self, address: str, weight: int, now_s: float) -> Refusal | None:
        """Count a request; a refusal when the budget is used up."""
        self._turn(now_s)
        banned_for_s = self._banned_until_s.get(address, 0.0) - now_s
        if banned_for_s > 0:
            return Refusal(418, math.ceil(banned_for_s))
        if self.used(address) + weight <= self._limit:
            self._used[address] = self.used(address) + weight
            return None
        self._refused[address] = self._refused.get(address, 0) + 1
        if self._refused[address] > IGNORED_REFUSALS:
            self._banned_until_s[address] = now_s + BAN_S
            return Refusal(418, BAN_S)
        return Refusal(429, math.ceil(60 - now_s % 60))

    def _turn(self, now_s: float) -> None:
        minute = int(now_s // 60)
        if minute != self._minute or len(self._used) > 10_000:
            self._minute = minute
            self._used.clear()
            self._refused.clear()
            self._banned_until_s = {
                address: until
                for address, until in self._banned_until_s.items()
                if until > now_s
            }
