"""`tapedeck record`: raw exchange frames to files that `tapedeck up --replay` takes back."""

import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from container_worker import settings, streams_file
from container_worker.capture.reach import reach_all
from container_worker.exchange_settings import read_exchanges
from container_worker.exchanges import REGISTRY
from container_worker.record import record
from container_worker.streams_file import Wish
from container_worker.variables import Reader
from marketdata.errors import InputError

_STREAMS = "recording"

Streams = Annotated[
    Path | None,
    typer.Option("--streams", metavar="FILE", help="What to record, as for capture."),
]
Exchange = Annotated[str, typer.Option("--exchange", help="Instead of a file: one exchange,")]
Tickers = Annotated[str, typer.Option("--tickers", metavar="A,B", help="its tickers, and")]
Types = Annotated[
    str, typer.Option("--types", metavar="T,T", help="their types; all when left out.")
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the files go.")]
Seconds = Annotated[
    float | None, typer.Option("--seconds", min=0.1, metavar="N", help="End after so long.")
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("record")(run_record)


def run_record(
    streams: Streams = None,
    *,
    exchange: Exchange = "",
    tickers: Tickers = "",
    types: Types = "",
    out: Out = Path("recordings"),
    seconds: Seconds = None,
) -> None:
    """Record raw exchange traffic until Ctrl-C; one file an exchange.

    The addresses are those of capture's variables (BINANCE_WS_URL and so on).
    """
    wishes = _wishes(streams, exchange, tickers, types)
    reader = Reader(settings.environment())
    exchanges = read_exchanges(reader)
    reader.check()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if seconds is not None:
        timer = threading.Timer(seconds, stop.set)
        timer.daemon = True
        timer.start()
    names = ", ".join(sorted({wish.exchange for wish in wishes}))
    print(f"recording {names} to {out}; Ctrl-C ends it", file=sys.stderr)
    files = record(wishes, reach_all(exchanges), out, stop, told=_tell)
    for file in files:
        print(f"{file.path}  {file.frames} frames  {file.size} bytes")


def _wishes(streams: Path | None, exchange: str, tickers: str, types: str) -> tuple[Wish, ...]:
    if streams is not None:
        if exchange or tickers or types:
            raise InputError("--streams says all: leave --exchange, --tickers and --types out")
        return streams_file.read(streams)
    if not exchange or not tickers:
        raise InputError("say what to record: --streams FILE, or --exchange with --tickers")
    known = REGISTRY.get(exchange)
    wanted = types or ",".join(sorted(known.types if known else ()))
    return streams_file.parse(_yaml(exchange, tickers, wanted), "--exchange")


def _yaml(exchange: str, tickers: str, types: str) -> str:
    """The same checks and sentences as for a file."""
    rows = {"tickers": tickers, "types": types}
    lists = [
        f"    {key}: {[one.strip() for one in text.split(',')]}" for key, text in rows.items()
    ]
    head = ["streams:", f"  - queue_id: {_STREAMS}", f"    exchange: {exchange!r}"]
    return "\n".join([*head, *lists]) + "\n"


def _tell(sentence: str) -> None:
    print(f"tapedeck: {sentence}", file=sys.stderr)
