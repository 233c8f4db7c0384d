"""What this exchange's server can be told (`--set blockchain.NAME=VALUE`), and the defaults."""

from dataclasses import dataclass

from local.exchanges.blockchain.eras import Era, era
from local.exchanges.connection import ConnectionLimits
from local.exchanges.serving import ServeOptions

SETTINGS = {
    "era": "2026",
    "heartbeat_seconds": "5",
    "ping_seconds": "1",
    "pong_seconds": "60",
    "messages_per_minute": "1200",
    "throttle_seconds": "60",
    "subscribe_wait": "2",
}
"""`subscribe_wait`: how long after the latest subscription a tape begins without the rest."""

# Its own limit is the throttle's; this one only bounds what is remembered.
_MOST_A_SECOND = 100_000


@dataclass(frozen=True, slots=True)
class Settings:
    """`SETTINGS`, read."""

    era: Era
    heartbeat_ms: int
    connection: ConnectionLimits
    messages_per_minute: int
    throttle_s: float
    subscribe_wait_s: float


def read_settings(options: ServeOptions) -> Settings:
    """The server's settings.

    Raises:
        SettingsError: one is not what it must be.
    """
    return Settings(
        era=era(options.settings["era"]),
        heartbeat_ms=max(1, round(min(options.seconds("heartbeat_seconds"), 3600.0) * 1000)),
        connection=ConnectionLimits(
            ping_s=options.seconds("ping_seconds"),
            pong_s=options.seconds("pong_seconds"),
            messages_per_second=_MOST_A_SECOND,
        ),
        messages_per_minute=options.count("messages_per_minute"),
        throttle_s=options.seconds("throttle_seconds"),
        subscribe_wait_s=options.seconds("subscribe_wait"),
    )
