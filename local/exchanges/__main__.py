"""`python -m local.exchanges`: the simulated or recorded exchanges as one process.

SIGTERM and SIGINT end it with 0; bad input ends it with 2 and a failure with 1, each with one
sentence.
"""

import asyncio
import contextlib
import json
import os
import signal
import ssl
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from local.exchanges.chosen import Chosen, choose
from local.exchanges.kept_ids import IdFile
from local.exchanges.options import Options, parse_options
from local.exchanges.overview import routes
from local.exchanges.serving import ServeOptions, Serving, running, site
from marketdata.errors import InputError, TapedeckError


def main(arguments: Sequence[str]) -> int:
    """Run until told to stop; the exit code."""
    try:
        options = parse_options(arguments)
        tls = _tls(options)
        chosen = choose(options, tls, _log)
        asyncio.run(_run(options, chosen))
    except TapedeckError as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        return 0
    return 0


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


async def _run(options: Options, chosen: Sequence[Chosen]) -> None:
    if options.state is None:
        await _serve(options, chosen, None)
        return
    file = IdFile(options.state, options.pace, _log)
    continued = [
        replace(each, options=replace(each.options, after=file.of(each.simulator.name)))
        for each in chosen
    ]
    # Only when every exchange has ended do the ids stand still.
    file.end(await _serve(options, continued, file))


async def _serve(
    options: Options, chosen: Sequence[Chosen], file: IdFile | None
) -> list[Serving]:
    """Serve until the signal; what has been served."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        serving = [
            await stack.enter_async_context(each.simulator.serve(each.options))
            for each in chosen
        ]
        ports = {
            f"{each.name}_{port}_port": number
            for each in serving
            for port, number in each.ports.items()
        }
        if options.overview_port is not None:
            told = ServeOptions(options.host, {"overview": options.overview_port})
            what = "the overview of the exchanges"
            ports["overview_port"] = await stack.enter_async_context(
                site(routes(serving), told, "overview", what)
            )
        if file is not None:
            await stack.enter_async_context(running(file.keep(serving)))
        tickers = sum(len(each.venue.tickers) for each in serving)
        _log("ready", **ports, mode=serving[0].venue.mode, tickers=tickers)
        await _until(stop, serving)
    return serving


async def _until(stop: asyncio.Event, serving: Sequence[Serving]) -> None:
    """Wait for the signal; raises what ends an exchange. A tape that is through stays open."""
    stopped = asyncio.create_task(stop.wait())
    playing = {each.playing for each in serving}
    try:
        while not stopped.done():
            done, _ = await asyncio.wait(
                {stopped, *playing}, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done & playing:
                task.result()
            playing -= done
    finally:
        stopped.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await stopped


def _log(event: str, **fields: object) -> None:
    sys.stderr.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # After thousands of cut connections the interpreter's last collection was seen to hang.
    os._exit(code)
