"""What the local gateway may be told on its command line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from marketdata.errors import SettingsError

MIB = 1024 * 1024
KIB = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """API Gateway's limits, or the document's where they are wider (design.md §7).

    Attributes:
        message_bytes: The longest message of a client; a longer one closes with 1009.
        post_bytes: The longest post to a connection; a longer one is answered with 413.
    """

    message_bytes: int
    post_bytes: int = 128 * KIB


LIMITS = {
    "local": Limits(message_bytes=MIB),
    # A frame has 32 KB at most. Messages of several frames, up to 128 KB, are refused too.
    "aws": Limits(message_bytes=32 * KIB),
}


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """The settings of one gateway, all checked; times are in seconds."""

    host: str
    api_port: int
    stream_port: int
    limits: Limits
    connection_life_s: float
    idle_s: float
    buffer_bytes: int


def read_settings(arguments: Sequence[str] | None) -> GatewaySettings:
    """The settings on a command line; usage errors end the process with 2.

    Raises:
        SettingsError: values that cannot be used, all of them.
    """
    parser = argparse.ArgumentParser(prog="python -m local.gateway", allow_abbrev=False)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--api-port", type=int, default=8080, metavar="P")
    parser.add_argument("--stream-port", type=int, default=3000, metavar="P")
    parser.add_argument("--limits", choices=sorted(LIMITS), default="local")
    parser.add_argument("--connection-life-s", type=float, default=7200.0, metavar="S")
    parser.add_argument("--idle-s", type=float, default=600.0, metavar="S")
    parser.add_argument("--buffer-bytes", type=int, default=512 * KIB, metavar="N")
    given = parser.parse_args(arguments)
    faults = [
        f"--{name.replace('_', '-')} must be between 0 and 65535"
        for name in ("api_port", "stream_port")
        if not 0 <= getattr(given, name) <= 65535
    ]
    faults += [
        f"--{name.replace('_', '-')} must be more than 0"
        for name in ("connection_life_s", "idle_s", "buffer_bytes")
        if not getattr(given, name) > 0
    ]
    if faults:
        raise SettingsError(faults)
    return GatewaySettings(
        host=given.host,
        api_port=given.api_port,
        stream_port=given.stream_port,
        limits=LIMITS[given.limits],
        connection_life_s=given.connection_life_s,
        idle_s=given.idle_s,
        buffer_bytes=given.buffer_bytes,
    )
