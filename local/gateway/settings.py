"""What the local gateway may be told on its command line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from marketdata.errors import SettingsError

TAKEN = ("/api", "/_", "/healthz", "/docs")
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
    """The settings of one gateway, all checked; times are in seconds.

    Attributes:
        ws_path: Where the stage `ws` is on the API's port.
        ping_s: How often a client of `ws` is pinged (sources/save-to-websocket.md).
        pong_s: A client of `ws` that has not answered a ping for so long is closed.
    """

    host: str
    api_port: int
    stream_port: int
    candles_port: int
    ws_path: str
    limits: Limits
    ping_s: float
    pong_s: float
    connection_life_s: float
    idle_s: float
    buffer_bytes: int


def read_settings(arguments: Sequence[str] | None) -> GatewaySettings:
    """The settings on a command line; usage errors end the process with 2.

    Raises:
        SettingsError: values that cannot be used, all of them.
    """
    given = _parser().parse_args(arguments)
    faults = [
        f"--{name.replace('_', '-')} must be between 0 and 65535"
        for name in ("api_port", "stream_port", "candles_port")
        if not 0 <= getattr(given, name) <= 65535
    ]
    faults += [
        f"--{name.replace('_', '-')} must be more than 0"
        for name in ("connection_life_s", "idle_s", "buffer_bytes", "ping_s", "pong_s")
        if not getattr(given, name) > 0
    ]
    if not given.ws_path.startswith("/") or given.ws_path.startswith(TAKEN):
        faults.append(f"--ws-path {given.ws_path} must begin with / and be no path of the API")
    if faults:
        raise SettingsError(faults)
    return GatewaySettings(
        host=given.host,
        api_port=given.api_port,
        stream_port=given.stream_port,
        candles_port=given.candles_port,
        ws_path=given.ws_path,
        ping_s=given.ping_s,
        pong_s=given.pong_s,
        limits=LIMITS[given.limits],
        connection_life_s=given.connection_life_s,
        idle_s=given.idle_s,
        buffer_bytes=given.buffer_bytes,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.gateway", allow_abbrev=False)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--api-port", type=int, default=8080, metavar="P")
    parser.add_argument("--stream-port", type=int, default=3000, metavar="P")
    parser.add_argument("--candles-port", type=int, default=3004, metavar="P")
    parser.add_argument("--ws-path", default="/ws", metavar="PATH")
    parser.add_argument("--ping-s", type=float, default=30.0, metavar="S")
    parser.add_argument("--pong-s", type=float, default=90.0, metavar="S")
    parser.add_argument("--limits", choices=sorted(LIMITS), default="local")
    parser.add_argument("--connection-life-s", type=float, default=7200.0, metavar="S")
    parser.add_argument("--idle-s", type=float, default=600.0, metavar="S")
    parser.add_argument("--buffer-bytes", type=int, default=512 * KIB, metavar="N")
    return parser
