"""The command line of `python -m local.exchanges`, checked into one frozen object."""

import argparse
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from local.exchanges.binance.instruments import TABLE, load_tickers
from local.exchanges.binance.limits import Limits
from local.exchanges.binance.player import Pace
from marketdata.errors import SettingsError

_DEFAULT = Limits()
_MOST_TICKERS = 2_000


@dataclass(frozen=True, slots=True)
class Options:
    """What to serve, where, and how fast."""

    host: str
    ws_port: int
    rest_port: int
    seed: int
    tickers: tuple[str, ...]
    replay: tuple[Path, ...]
    pace: Pace
    once: bool
    retime: bool
    tls_cert: Path | None
    tls_key: Path | None
    tls_folder: Path | None
    limits: Limits


class _Parser(argparse.ArgumentParser):
    """Says one sentence instead of its usage."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError([f"{message}; see --help"])


def parse_options(arguments: Sequence[str]) -> Options:
    """Options from the command line.

    Raises:
        SettingsError: an option is unknown, missing, bad, or does not go with another.
    """
    given = _parser().parse_args(arguments)
    if (given.tls_cert is None) != (given.tls_key is None):
        raise SettingsError(["--tls-cert and --tls-key are given together or not at all"])
    if given.tls_folder and given.tls_cert:
        raise SettingsError(["--tls-folder makes what --tls-cert gives: choose one"])
    if not given.replay and (given.once or given.retime):
        raise SettingsError(["--once and --retime go with --replay"])
    tickers = tuple(dict.fromkeys([*given.tickers, *load_tickers(given.more_tickers)]))
    return Options(
        host=given.host,
        ws_port=given.binance_ws_port,
        rest_port=given.binance_rest_port,
        seed=given.seed,
        tickers=tickers,
        replay=tuple(given.replay),
        pace=Pace(given.speed, given.wait_for_subscriber),
        once=given.once,
        retime=given.retime,
        tls_cert=given.tls_cert,
        tls_key=given.tls_key,
        tls_folder=given.tls_folder,
        limits=Limits(
            ping_s=given.ping_seconds,
            pong_s=given.pong_seconds,
            life_s=given.life_seconds,
            messages_per_second=given.messages_per_second,
            weight_per_minute=given.weight_per_minute,
            snapshot_wait_s=given.snapshot_wait,
        ),
    )


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m local.exchanges",
        description="Serves Binance's streams and REST answers, simulated or recorded.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    add("--binance-ws-port", type=_port, default=19443, help="0 = a free one")
    add("--binance-rest-port", type=_port, default=19444, help="0 = a free one")
    add("--seed", type=int, default=1, help="of the simulated market")
    add("--tickers", type=_tickers, default=tuple(TABLE), help="simulated, with commas between")
    add("--more-tickers", type=_Count(0, _MOST_TICKERS), default=0, help="extra ones, for load")
    add(
        "--replay",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="recordings, or folders",
    )
    add("--speed", type=_speed, default=1.0, help="times real time, or max (default 1)")
    add("--once", action="store_true", help="stop at the tape's end instead of going round")
    add("--retime", action="store_true", help="move recorded times to now")
    add("--wait-for-subscriber", action="store_true", help="time stands still without one")
    wait = "longest wait of a tape for a snapshot request, and of a request for the tape"
    add("--snapshot-wait", type=_seconds, default=_DEFAULT.snapshot_wait_s, help=wait)
    add("--tls-cert", type=Path, metavar="FILE", help="with --tls-key: wss:// and https://")
    add("--tls-key", type=Path, metavar="FILE")
    add("--tls-folder", type=Path, metavar="DIR", help="the same with a certificate made there")
    add("--ping-seconds", type=_seconds, default=_DEFAULT.ping_s)
    add("--pong-seconds", type=_seconds, default=_DEFAULT.pong_s)
    add("--life-seconds", type=_seconds, default=_DEFAULT.life_s)
    add(
        "--messages-per-second", type=_Count(1, 1_000_000), default=_DEFAULT.messages_per_second
    )
    add("--weight-per-minute", type=_Count(1, 10**9), default=_DEFAULT.weight_per_minute)
    return parser


def _port(text: str) -> int:
    if not re.fullmatch(r"\d{1,5}", text) or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port")
    return int(text)


@dataclass(frozen=True, slots=True)
class _Count:
    """A whole number within bounds."""

    least: int
    most: int

    def __call__(self, text: str) -> int:
        if not re.fullmatch(r"\d{1,10}", text) or not self.least <= int(text) <= self.most:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a whole number from {self.least} to {self.most}"
            )
        return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return seconds


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not 0 < speed <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number above 0 nor max")
    return speed


def _tickers(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name for name in text.split(",") if name))
    if not 0 < len(names) <= _MOST_TICKERS:
        raise argparse.ArgumentTypeError(f"1 to {_MOST_TICKERS} tickers, with commas between")
    return names
