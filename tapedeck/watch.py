"""`tapedeck watch`: live prices in the terminal."""

import math
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, NoReturn
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import msgspec
import typer

from local import stack_status
from local.stack_settings import DEVELOPMENT_KEY
from marketdata.client_protocol import ClientPrice
from marketdata.errors import InputError, LocalError
from marketdata.instruments import Instrument
from tapedeck import price_display
from tapedeck.options import DEFAULT_DATA, DataOption, data_folder
from tapedeck.price_stream import PriceStream, Target

MAX_SYMBOLS = 10
API_TIMEOUT_S = 10.0
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}

Symbols = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SYMBOL]…", help="Symbols or tickers; all when left out."),
]
Url = Annotated[str, typer.Option("--url", help="The stream's address, ws://… or wss://…")]
Key = Annotated[str, typer.Option("--key", envvar="TAPEDECK_KEY", help="The API key.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON message a line.")]
Seconds = Annotated[
    float | None, typer.Option("--seconds", min=0.1, metavar="N", help="End after so long.")
]


class _SymbolList(msgspec.Struct):
    symbols: list[Instrument]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("watch")(watch)


def watch(
    symbols: Symbols = None,
    *,
    url: Url = "",
    key: Key = "",
    data: DataOption = DEFAULT_DATA,
    json: Json = False,
    seconds: Seconds = None,
) -> None:
    """Show live prices until Ctrl-C."""
    signal.signal(signal.SIGTERM, _interrupt)
    find = _remote(url, key) if url else _local(data_folder(data), key)
    find()
    names = _names(symbols, url, data)
    display = price_display.choose(names, json=json)
    until_s = time.monotonic() + seconds if seconds else math.inf
    interrupted, prices = False, 0

    def on_price(price: ClientPrice, text: str) -> None:
        nonlocal prices, interrupted
        prices += 1
        try:
            display.on_price(price, text)
        except BrokenPipeError:
            interrupted = True
            _forget_output()

    def ended() -> bool:
        return interrupted or time.monotonic() >= until_s

    def interrupt(*_: object) -> None:
        nonlocal interrupted
        interrupted = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    with display.shown():
        PriceStream(find, names, on_price, display.on_note, ended).run()
    if not (interrupted or prices):
        raise LocalError(f"no price of {', '.join(names)} came within {seconds:g} s")


def _names(symbols: Symbols, url: str, data: Path) -> list[str]:
    names = list(dict.fromkeys(symbols or [])) or _all_symbols(url, data_folder(data))
    _check(names)
    return names


def _forget_output() -> None:
    """Whoever read our output has enough; nothing may be flushed into it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _remote(url: str, key: str) -> Callable[[], Target]:
    parts = urlsplit(url)
    if parts.scheme not in {"ws", "wss"} or not parts.hostname:
        raise InputError(f"--url: {url!r} does not begin with ws:// or wss://")
    if not key and parts.hostname in _LOOPBACK:
        key = DEVELOPMENT_KEY
    return lambda: Target(url, key)


def _local(data: Path, key: str) -> Callable[[], Target]:
    def find() -> Target:
        status = stack_status.status(data)
        url = status.urls.get("stream")
        if not status.pids or not url:
            raise LocalError(
                f"no stack is up on {data}: start one with `make demo` or `tapedeck up`, "
                "or say where it is with --data or --url"
            )
        return Target(url, key or DEVELOPMENT_KEY)

    return find


def _all_symbols(url: str, data: Path) -> list[str]:
    """What the local stack captures; elsewhere one has to say what."""
    if url:
        raise InputError("which prices? Name the symbols, such as BTC/USDT")
    api = stack_status.status(data).urls.get("api")
    try:
        with urlopen(f"{api}/api/symbols", timeout=API_TIMEOUT_S) as answer:  # noqa: S310
            listed = msgspec.json.decode(answer.read(), type=_SymbolList)
    except (URLError, OSError, msgspec.DecodeError) as error:
        raise LocalError(f"{api}/api/symbols did not answer: {error}") from error
    names = [one.symbol for one in listed.symbols if "prices" in one.channels]
    if not names:
        raise LocalError("nothing with prices is captured yet: name a symbol, or try again")
    return list(dict.fromkeys(names))[:MAX_SYMBOLS]


def _check(names: Sequence[str]) -> None:
    if len(names) > MAX_SYMBOLS:
        raise InputError(
            f"{len(names)} symbols are too many: a connection has at most {MAX_SYMBOLS}"
        )
    if any(not name.strip() for name in names):
        raise InputError("a symbol is empty")
