"""The command line of `python -m local.exchanges`, checked into one frozen object."""

import argparse
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from local.exchanges.pace import Pace
from local.exchanges.port_table import PORTS
from marketdata.errors import SettingsError

_MOST_TICKERS = 2_000


@dataclass(frozen=True, slots=True)
class Options:
    """What to serve, where, and how fast.

    `exchanges` is empty when none was named: then it is those whose ports are given, and with
    no port given all. `ports` has every exchange's, `tickers` and `settings` what was given.
    """

    host: str
    exchanges: tuple[str, ...]
    ports: Mapping[str, Mapping[str, int]]
    ported: tuple[str, ...]
    overview_port: int | None
    seed: int
    tickers: Mapping[str, tuple[str, ...]]
    more_tickers: int
    replay: tuple[Path, ...]
    state: Path | None
    pace: Pace
    once: bool
    retime: bool
    tls_cert: Path | None
    tls_key: Path | None
    tls_folder: Path | None
    settings: Mapping[str, Mapping[str, str]]


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
    if given.replay and given.state:
        raise SettingsError(["--state goes with simulated exchanges, not with --replay"])
    ports, ported = _ports(given)
    tickers = {name: getattr(given, f"{name}_tickers") for name in PORTS}
    return Options(
        host=given.host,
        exchanges=given.exchanges,
        ports=ports,
        ported=ported,
        overview_port=given.overview_port,
        seed=given.seed,
        tickers={name: some for name, some in tickers.items() if some is not None},
        more_tickers=given.more_tickers,
        replay=tuple(given.replay),
        state=given.state,
        pace=Pace(given.speed, given.wait_for_subscriber),
        once=given.once,
        retime=given.retime,
        tls_cert=given.tls_cert,
        tls_key=given.tls_key,
        tls_folder=given.tls_folder,
        settings=_settings(given),
    )


def _ports(given: Any) -> tuple[dict[str, dict[str, int]], tuple[str, ...]]:
    ports, ported = {}, []
    for name, defaults in PORTS.items():
        asked = {port: getattr(given, f"{name}_{port}_port") for port in defaults}
        ports[name] = {
            port: number if asked[port] is None else asked[port]
            for port, number in defaults.items()
        }
        if any(number is not None for number in asked.values()):
            ported.append(name)
    return ports, tuple(ported)


_BINANCE_SETTINGS = (
    *("snapshot_wait", "ping_seconds", "pong_seconds", "life_seconds"),
    *("messages_per_second", "weight_per_minute"),
)


def _settings(given: Any) -> dict[str, dict[str, str]]:
    settings: dict[str, dict[str, str]] = {name: {} for name in PORTS}
    for name in _BINANCE_SETTINGS:
        value = getattr(given, name)
        if value is not None:
            settings["binance"][name] = str(value)
    for exchange, name, value in given.set:
        settings[exchange][name] = value
    return settings


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m local.exchanges",
        description="Serves exchanges' streams and REST answers, simulated or recorded.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    what = "which, with commas between (default: those whose ports are given, else all)"
    add("--exchanges", type=_exchanges, default=(), help=what)
    for name, ports in PORTS.items():
        for port, number in ports.items():
            add(f"--{name}-{port}-port", type=_port, help=f"0 = a free one (default {number})")
        also = ("--tickers",) if name == "binance" else ()
        help_text = f"simulated of {name}, with commas between"
        add(f"--{name}-tickers", *also, type=_tickers, help=help_text)
    overview = "tells all exchanges at once, when all are served (default: none)"
    add("--overview-port", type=_port, help=overview)
    add("--more-tickers", type=_Count(0, _MOST_TICKERS), default=0, help="of Binance, for load")
    add("--seed", type=int, default=1, help="of the simulated markets")
    some: dict[str, Any] = {"type": Path, "nargs": "+", "default": [], "metavar": "PATH"}
    state = "keeps how far ids are, so that the next start goes on from there"
    add("--state", type=Path, metavar="FILE", help=state)
    add("--replay", **some, help="recordings, or folders")
    add("--speed", type=_speed, default=1.0, help="times real time, or max (default 1)")
    add("--once", action="store_true", help="stop at the tape's end instead of going round")
    add("--retime", action="store_true", help="move recorded times to now")
    add("--wait-for-subscriber", action="store_true", help="time stands still without one")
    add("--tls-cert", type=Path, metavar="FILE", help="with --tls-key: wss:// and https://")
    add("--tls-key", type=Path, metavar="FILE")
    add("--tls-folder", type=Path, metavar="DIR", help="the same with a certificate made there")
    _add_settings(parser)
    return parser


def _add_settings(parser: _Parser) -> None:
    add = parser.add_argument
    example = "a setting of one exchange, such as binance.ping_seconds=5"
    add("--set", type=_setting, action="append", default=[], metavar="NAME=VALUE", help=example)
    wait = "longest wait of a tape for a snapshot request, and of a request for the tape"
    add("--snapshot-wait", type=_seconds, help=wait)
    for name in ("--ping-seconds", "--pong-seconds", "--life-seconds"):
        add(name, type=_seconds, help="of Binance")
    add("--messages-per-second", type=_Count(1, 1_000_000), help="of Binance")
    add("--weight-per-minute", type=_Count(1, 10**9), help="of Binance")


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


def _exchanges(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name for name in text.split(",") if name))
    unknown = [name for name in names if name not in PORTS]
    if unknown or not names:
        told = f"{unknown[0]!r} is no exchange" if unknown else "no exchange is named"
        raise argparse.ArgumentTypeError(f"{told}: choose from {', '.join(PORTS)}")
    return names


def _setting(text: str) -> tuple[str, str, str]:
    name, _, value = text.partition("=")
    exchange, _, setting = name.partition(".")
    if exchange not in PORTS or not setting or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not EXCHANGE.NAME=VALUE")
    return exchange, setting, value
