"""Which exchanges one process serves, each with its own options.

Options ─► names, recordings ─► [Chosen]
"""

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.exchanges.binance.instruments import load_tickers
from local.exchanges.options import Options
from local.exchanges.port_table import served_names
from local.exchanges.recordings import find_recordings
from local.exchanges.registry import Simulator, replays, simulator
from local.exchanges.serving import ServeOptions
from marketdata.errors import InputError, SettingsError

Log = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Chosen:
    """An exchange and what it is to do."""

    simulator: Simulator
    options: ServeOptions


def choose(options: Options, tls: ssl.SSLContext | None, log: Log) -> list[Chosen]:
    """The exchanges asked for, or those that have a recording among `--replay`.

    Raises:
        InputError: an exchange cannot be served, or has nothing to replay.
        SettingsError: an exchange has no setting of that name.
    """
    recordings = _recordings(options, log)
    names = _names(options, recordings)
    return [Chosen(found, _options(options, found, tls, recordings)) for found in names]


def _names(options: Options, recordings: Mapping[str, Sequence[Path]]) -> list[Simulator]:
    if options.replay:
        missing = [name for name in options.exchanges if name not in recordings]
        if missing:
            raise InputError(f"--replay has no recording of {missing[0]}")
        return [simulator(name) for name in options.exchanges or recordings]
    return [simulator(name) for name in options.exchanges or options.ported or served_names()]


def _recordings(options: Options, log: Log) -> dict[str, tuple[Path, ...]]:
    if not options.replay:
        return {}
    found = find_recordings(options.replay, replays)
    if found.passed_over:
        log("recordings_passed_over", files=found.passed_over)
    for exchange, venues in found.venues.items():
        venue = next(iter(venues.values()))
        log("recordings", exchange=exchange, venue=venue, files=[path.name for path in venues])
    return {exchange: found.paths(exchange) for exchange in found.venues}


def _options(
    options: Options,
    found: Simulator,
    tls: ssl.SSLContext | None,
    recordings: Mapping[str, tuple[Path, ...]],
) -> ServeOptions:
    given = options.settings[found.name]
    unknown = [name for name in given if name not in found.settings]
    if unknown:
        known = ", ".join(found.settings) or "none"
        raise SettingsError([f"{found.name} has no setting {unknown[0]}: it has {known}"])
    return ServeOptions(
        host=options.host,
        ports=options.ports[found.name],
        seed=options.seed,
        tickers=_tickers(options, found),
        pace=options.pace,
        recordings=recordings.get(found.name, ()),
        once=options.once,
        retime=options.retime,
        settings={**found.settings, **given},
        tls=tls,
    )


def _tickers(options: Options, found: Simulator) -> tuple[str, ...]:
    tickers = options.tickers.get(found.name, found.default_tickers)
    more = load_tickers(options.more_tickers) if found.name == "binance" else []
    return tuple(dict.fromkeys([*tickers, *more]))
