"""`tapedeck completeness`: what the archive has of each capture unit, and what is missing."""

import re
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, NamedTuple

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from container_worker.archive.inventory import checkpoints
from container_worker.kafka_records import Partition
from container_worker.object_store import ObjectStore
from marketdata.archive_state import decode_state
from marketdata.completeness import Figures, ledger
from marketdata.errors import InputError
from marketdata.times import day_bounds_ms
from marketdata.topics import MAIN_TYPE
from tapedeck.archive import NOT_ASKED, BucketOption, S3Option, places
from tapedeck.options import DEFAULT_DATA, DataOption

DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
WIDTH = 240
"""Wider than any table: a terminal breaks a long line, and nothing is left out of it."""

DateOption = Annotated[
    str, typer.Option("--date", metavar="YYYY-MM-DD", help="One day of the exchange's own.")
]
TickerOption = Annotated[
    str, typer.Option("--ticker", metavar="T", help="One ticker: BTCUSDT, or BTC/USDT.")
]
ExchangeOption = Annotated[
    str, typer.Option("--exchange", metavar="E", help="One exchange: binance, coinbase …")
]
JsonOption = Annotated[bool, typer.Option("--json", help="As one JSON object.")]


class Account(NamedTuple):
    """A unit's figures, and the records that they count: those below `offset`."""

    figures: Figures
    partition: Partition
    offset: int


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("completeness")(run)


def run(  # noqa: PLR0917
    date: DateOption = "",
    ticker: TickerOption = "",
    exchange: ExchangeOption = "",
    data: DataOption = DEFAULT_DATA,
    s3: S3Option = "",
    bucket: BucketOption = "",
    json: JsonOption = False,
) -> None:
    """Say what is there of each capture unit and what is missing; exit 1 if there is none."""
    _check(date, exchange)
    _, store = places(data, NOT_ASKED, s3, bucket)
    found = [
        account
        for account in accounts(store, date or None)
        if (not exchange or account.figures.exchange == exchange)
        and (not ticker or _plain(account.figures.ticker) == _plain(ticker))
    ]
    found.sort(key=lambda account: account.figures[:3])
    if not found:
        about = " ".join(filter(None, (exchange, ticker))) or "any capture unit"
        about += f" on {date}" if date else ""
        print(f"tapedeck: the archive counts nothing of {about}", file=sys.stderr)
        raise typer.Exit(1)
    if json:
        print(_json(found))
    else:
        _print_table(found)


def accounts(store: ObjectStore, date: str | None) -> Iterator[Account]:
    """The account of every unit in the checkpoints, of one day or of all.

    Raises:
        StoreError: the store cannot be used.
    """
    for partition, checkpoint in checkpoints(store):
        for figures in ledger(decode_state(checkpoint.state), date):
            yield Account(figures, partition, checkpoint.offset)


def _check(date: str, exchange: str) -> None:
    if exchange and exchange not in MAIN_TYPE:
        raise InputError(
            f"--exchange {exchange}: there is no such one; there are {', '.join(MAIN_TYPE)}"
        )
    if not date:
        return
    wrong = InputError(f"--date {date}: must be a day, YYYY-MM-DD")
    if not DATE.fullmatch(date):
        raise wrong
    try:
        day_bounds_ms(date, exchange)
    except ValueError:
        raise wrong from None


def _plain(ticker: str) -> str:
    """`BTC/USD`, `BTC-USD` and `btcusd` are one."""
    return ticker.replace("/", "").replace("-", "").upper()


def _json(found: list[Account]) -> str:
    units = [
        {
            "exchange": one.exchange,
            "ticker": one.ticker,
            "type": one.type,
            "date": one.date,
            "events": one.events,
            "gaps": one.gaps,
            "gaps_per_million": _number(one.gaps_per_million),
            "causes": one.causes,
            "unnumbered_gaps": one.unnumbered,
            "open_gap": one.open_cause,
            "missing": one.missing,
            "backfilled": one.backfilled,
            "history": one.history,
            "uncovered_seconds": _number(Decimal(one.uncovered_ms) / 1000),
            "seconds": _number(Decimal(one.span_ms) / 1000),
            "coverage_percent": _number(one.coverage_percent),
            "first_event": one.first_event or None,
            "last_event": one.last_event or None,
            "known_until": one.known_until,
            "whole": one.whole,
            "topic": partition.topic,
            "partition": partition.number,
            "offset": offset,
        }
        for one, partition, offset in found
    ]
    return msgspec.json.encode({"units": units}).decode()


def _number(value: Decimal | None) -> msgspec.Raw | None:
    return None if value is None else msgspec.Raw(f"{value:f}".encode())


def _print_table(found: list[Account]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("unit", "events", "gaps", "a million", "missing", "backfilled"):
        table.add_column(title, justify="left" if title == "unit" else "right", no_wrap=True)
    for title in ("uncovered", "covered"):
        table.add_column(title, justify="right", no_wrap=True)
    for title in ("first event", "last event", "known until"):
        table.add_column(title, no_wrap=True)
    for one, _, _ in found:
        table.add_row(*_cells(one))
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.width = max(console.width, WIDTH)
    console.print(table)
    offsets = {f"{at.topic}[{at.number}] {offset:,}" for _, at, offset in found}
    console.print(f"as of the offsets {', '.join(sorted(offsets))}")
    if any(one.open_cause for one, _, _ in found):
        console.print("+ and a gap that lasts")
    if any(one.unnumbered for one, _, _ in found):
        console.print("? some gaps do not say how much is missing")
    if not all(one.whole for one, _, _ in found):
        console.print("* not all was counted: an older version, or a lost beginning")


def _cells(one: Figures) -> tuple[str, ...]:
    per_million, covered = one.gaps_per_million, one.coverage_percent
    uncovered = Decimal(one.uncovered_ms) / 1000
    return (
        f"{one.exchange}:{one.ticker} {one.type}",
        f"{one.events:,}" + ("" if one.whole else "*"),
        f"{one.gaps:,}" + ("+" if one.open_cause else ""),
        "-" if per_million is None else f"{per_million:,.1f}",
        f"{one.missing:,}" + ("?" if one.unnumbered else ""),
        f"{one.backfilled:,}",
        f"{uncovered:,.1f} s",
        "-" if covered is None else f"{covered} %",
        one.first_event or "-",
        one.last_event or "-",
        one.known_until,
    )
