"""The times of the keeper and the stages it keeps, read from the variables.

KEEP_*, CALLBACK_URL_* ─► KeepTimes, addresses by stage
"""

from dataclasses import dataclass

from container_worker.variables import Reader
from marketdata.connection_items import STAGES

DAY_S = 86_400.0
RENEWALS = 3
"""A holder of the lease has at least so many sweeps before another one takes it over."""


@dataclass(frozen=True, slots=True)
class KeepTimes:
    """How long the keeper waits for what, in seconds.

    Attributes:
        period_s: From one sweep to the next.
        register_s: What a client of `ws` has for its registration.
        pong_s: From one automatic `pong` on `stream` to the next.
        idle_s: Without a message either way, then a connection of `stream` is closed.
        touch_s: How far behind the stored time of a client's last message may be.
        life_s: Without a sign of life, then the gateway is asked for the connection.
        connection_s: What the gateway gives a connection in all.
        reconnect_s: How long before that end the client is told.
        takeover_s: A keeper that has not renewed its lease for so long is replaced.
    """

    period_s: float = 2.0
    register_s: float = 10.0
    pong_s: float = 30.0
    idle_s: float = 300.0
    touch_s: float = 60.0
    life_s: float = 90.0
    connection_s: float = 7_200.0
    reconnect_s: float = 300.0
    takeover_s: float = 15.0


def read_times(reader: Reader) -> KeepTimes:
    """The times; what is out of bounds becomes a fault of the reader."""
    times = KeepTimes(
        period_s=reader.number("KEEP_PERIOD_S", 0.02, 5),
        register_s=reader.number("KEEP_REGISTER_S", 0.1, DAY_S),
        pong_s=reader.number("KEEP_PONG_S", 0.1, DAY_S),
        idle_s=reader.number("KEEP_IDLE_S", 0.1, DAY_S),
        touch_s=reader.number("KEEP_TOUCH_S", 0, DAY_S),
        life_s=reader.number("KEEP_LIFE_S", 0.1, DAY_S),
        connection_s=reader.number("KEEP_CONNECTION_S", 1, DAY_S),
        reconnect_s=reader.number("KEEP_RECONNECT_S", 0, DAY_S),
        takeover_s=reader.number("KEEP_TAKEOVER_S", 0.1, 3600),
    )
    if times.takeover_s < RENEWALS * times.period_s:
        reader.faults.append(
            f"KEEP_TAKEOVER_S: {times.takeover_s:g} is less than {RENEWALS} times KEEP_PERIOD_S"
        )
    return times


def read_callback_urls(reader: Reader) -> dict[str, str]:
    """The management API of each stage that has one; none at all is a fault."""
    found = {
        stage: reader.optional_url(f"CALLBACK_URL_{stage.upper()}", ("https", "http"))
        for stage in STAGES
    }
    urls = {stage: url for stage, url in found.items() if url}
    if not urls:
        reader.faults.append(
            "CALLBACK_URL_STREAM is missing: the management API of a stage that is to be kept "
            "(or give CALLBACK_URL_WS or CALLBACK_URL_CANDLES)"
        )
    return urls
