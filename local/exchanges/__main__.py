"""`python -m local.exchanges`: the simulated or recorded exchanges as one process.

SIGTERM and SIGINT end it with 0; bad input ends it with 2 and a failure with 1, each with one
sentence.
"""

import asyncio
import contextlib
import json
import signal
import ssl
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from local.exchanges.binance.instruments import instrument
from local.exchanges.binance.recording_files import find_recordings
from local.exchanges.binance.server import Address, serve
from local.exchanges.binance.tape import Tape
from local.exchanges.binance.venue import SimulatedMarket
from local.exchanges.options import Options, parse_options
from marketdata.errors import InputError, TapedeckError


def main(arguments: Sequence[str]) -> int:
    """Run until told to stop; the exit code."""
    try:
        options = parse_options(arguments)
        venue = _venue(options)
        asyncio.run(_run(options, venue))
    except TapedeckError as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        return 0
    return 0


def _venue(options: Options) -> SimulatedMarket | Tape:
    now_ms = time.time_ns() // 1_000_000
    if not options.replay:
        instruments = [instrument(ticker) for ticker in options.tickers]
        return SimulatedMarket(instruments, options.seed, now_ms)
    files = find_recordings(options.replay)
    if files.passed_over:
        _log("recordings_passed_over", files=list(files.passed_over))
    _log("recordings", venue=files.venue, files=[path.name for path in files.paths])
    return Tape(files.paths, start_ms=now_ms if options.retime else None)


def _tls(options: Options) -> ssl.SSLContext | None:
    if options.tls_folder is not None:
        return _self_made(options.tls_folder)
    if options.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(options.tls_cert, options.tls_key)
    except OSError as error:
        raise InputError(
            f"--tls-cert {options.tls_cert} with --tls-key {options.tls_key} cannot be used: "
            f"{error}"
        ) from error
    return context


def _self_made(folder: Path) -> ssl.SSLContext:
    """A new certificate; clients trust its authority, whose file the log names."""
    from local.certificate import make_certificate  # noqa: PLC0415 - a slow import, rarely used

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        made = make_certificate(folder)
        context.load_cert_chain(made.chain, made.key)
    except OSError as error:
        raise InputError(f"--tls-folder {folder} cannot be used: {error}") from error
    _log("certificate", authority=str(made.authority))
    return context


async def _run(options: Options, venue: SimulatedMarket | Tape) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    address = Address(options.host, options.ws_port, options.rest_port, _tls(options))
    async with serve(
        venue,
        address,
        pace=options.pace,
        limits=options.limits,
        seed=options.seed,
        once=options.once,
    ) as serving:
        _log(
            "ready",
            binance_ws_port=serving.ws_port,
            binance_rest_port=serving.rest_port,
            mode=venue.mode,
            tickers=len(venue.tickers),
        )
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({stopped, serving.playing}, return_when=asyncio.FIRST_COMPLETED)
        if serving.playing.done():
            # Raises what ended it; a tape that is through just stays open.
            serving.playing.result()
            await stopped
        else:
            stopped.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await stopped


def _log(event: str, **fields: object) -> None:
    sys.stderr.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
