"""What the archive must hold for a recording, computed from the recording alone.

Shares no code with the product: its own parsing, its own book, Python's Decimal.
"""

import gzip
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path

HEADER = "timestamp,price,lots,total_value,side"
PRICES_HEADER = "timestamp,symbol,price,quantity,side,trade_id,source"


@dataclass
class Tape:
    """The depth events, trades and the snapshot of one ticker, in the order of receipt."""

    depth: list[dict] = field(default_factory=list)
    trades: list[dict] = field(default_factory=list)
    snapshot: dict = field(default_factory=dict)


def read(paths: list[Path]) -> Tape:
    """Reads recordings of the form `<ns> <json>`, gzip."""
    tape = Tape()
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                message = json.loads(line.partition(" ")[2])
                data = message.get("data", message)
                if "lastUpdateId" in data:
                    tape.snapshot = tape.snapshot or data
                elif data.get("e") == "depthUpdate":
                    tape.depth.append(data)
                elif data.get("e") == "trade":
                    tape.trades.append(data)
    return tape


def iso(time_ms: int) -> str:
    """ISO 8601 in UTC with milliseconds."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def exact(price: str, quantity: str) -> str:
    """The product in plain notation without trailing zeros."""
    with localcontext(prec=100):
        text = f"{Decimal(price) * Decimal(quantity):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def row(time_ms: int, price: str, quantity: str, side: str) -> str:
    """One CSV row of an order book."""
    return f"{iso(time_ms)},{price},{quantity},{exact(price, quantity)},{side}"


def rows(time_ms: int, bids: list, asks: list) -> list[str]:
    """The rows of one message: bids before asks."""
    return [row(time_ms, *level, "BUY") for level in bids] + [
        row(time_ms, *level, "SELL") for level in asks
    ]


def book_files(tape: Tape, first_snapshot_id: int) -> dict[str, list[str]]:
    """Day → rows, for a capture whose first snapshot was as of `first_snapshot_id`."""
    bids, asks = dict(tape.snapshot["bids"]), dict(tape.snapshot["asks"])
    seen = tape.snapshot["lastUpdateId"]
    days: dict[str, list[str]] = {}
    for event in tape.depth:
        if event["u"] > first_snapshot_id:
            day = iso(event["E"])[:10]
            if day not in days:
                days[day] = rows(event["E"], *_best_first(bids, asks))
            days[day] += rows(event["E"], event["b"], event["a"])
        if event["u"] > seen:
            _apply(bids, event["b"])
            _apply(asks, event["a"])
    return days


def price_files(tape: Tape, first_trade_id: int, symbol: str) -> dict[str, list[str]]:
    """Day → rows of `data/prices`, from the first trade that was captured."""
    days: dict[str, list[str]] = {}
    for trade in tape.trades:
        if trade["t"] >= first_trade_id:
            side = "SELL" if trade["m"] else "BUY"
            days.setdefault(iso(trade["T"])[:10], []).append(
                f"{iso(trade['T'])},{symbol},{trade['p']},{trade['q']},{side},{trade['t']},binance"
            )
    return days


def newest_of_each_second(tape: Tape) -> dict[int, dict]:
    """Unix second → the last trade in it."""
    return {trade["T"] // 1000: trade for trade in tape.trades}


def _apply(side: dict[str, str], levels: list) -> None:
    for price, quantity in levels:
        if Decimal(quantity):
            side[price] = quantity
        else:
            side.pop(price, None)


def _best_first(bids: dict[str, str], asks: dict[str, str]) -> tuple[list, list]:
    return (
        sorted(bids.items(), key=lambda level: -Decimal(level[0])),
        sorted(asks.items(), key=lambda level: Decimal(level[0])),
    )
