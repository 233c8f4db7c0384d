"""How prices look: a live table in a terminal, a line each elsewhere, or JSON lines.

    on_price, on_note ─► Table | Lines | JsonLines ─► stdout, stderr

Digits are shown as the exchange sent them.
"""

import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from typing import Protocol

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from marketdata.client_protocol import ClientPrice

REFRESH_HZ = 8


class Display(Protocol):
    """Shows prices and what happens to the connection."""

    def on_price(self, price: ClientPrice, text: str) -> None:
        """One update, and the text that it was."""

    def on_note(self, note: str) -> None:
        """What happened to the connection."""

    def shown(self) -> AbstractContextManager[object]:
        """While this is entered the display is on the screen."""


class _Row:
    """The newest price of one symbol and source."""

    def __init__(self) -> None:
        self.price: Decimal | None = None
        self.text = "—"
        self.style = "dim"
        self.mark = ""
        self.time = ""
        self.came_s = 0.0

    def take(self, price: ClientPrice) -> None:
        """Shows it, coloured by whether it rose or fell."""
        self.text = bytes(price.price).decode()
        number = Decimal(self.text)
        if self.price is not None and number != self.price:
            rose = number > self.price
            self.style, self.mark = ("green", "▲") if rose else ("red", "▼")
        elif self.price is None:
            self.style = "default"
        self.price = number
        self.time = price.timestamp
        self.came_s = time.monotonic()


class PriceTable:
    """A table that changes in place, one row a symbol and source."""

    def __init__(self, console: Console, symbols: Sequence[str]) -> None:
        self._console = console
        self._waiting = list(symbols)
        self._rows: dict[tuple[str, str], _Row] = {}
        self._note = "connecting"

    def on_price(self, price: ClientPrice, text: str) -> None:  # noqa: ARG002
        """Changes the row of this symbol and source."""
        if price.symbol in self._waiting:
            self._waiting.remove(price.symbol)
        self._rows.setdefault((price.symbol, price.source), _Row()).take(price)

    def on_note(self, note: str) -> None:
        """Becomes the line below the table."""
        self._note = note

    def shown(self) -> AbstractContextManager[object]:
        """The table stays on the screen afterwards, as it was last."""
        return Live(
            get_renderable=self.render, console=self._console, refresh_per_second=REFRESH_HZ
        )

    def render(self) -> RenderableType:
        """The table as it is now."""
        table = Table(caption=f"{self._note} · Ctrl-C ends", caption_justify="left")
        for title in ("symbol", "price", "", "source", "time (UTC)", "age"):
            table.add_column(title, justify="right" if title in {"price", "age"} else "left")
        now_s = time.monotonic()
        for (symbol, source), row in sorted(self._rows.items()):
            table.add_row(
                symbol,
                Text(row.text, style=row.style),
                Text(row.mark, style=row.style),
                source,
                row.time.replace("T", " ").removesuffix("Z"),
                f"{now_s - row.came_s:.1f} s",
            )
        for symbol in self._waiting:
            table.add_row(symbol, Text("—", style="dim"), "", "", "", "")
        return table


class Lines:
    """One line a price; notes go to stderr."""

    def on_price(self, price: ClientPrice, text: str) -> None:  # noqa: ARG002
        """`time symbol price source`."""
        digits = bytes(price.price).decode()
        print(f"{price.timestamp} {price.symbol} {digits} {price.source}", flush=True)

    def on_note(self, note: str) -> None:
        """A line on stderr."""
        print(f"tapedeck: {note}", file=sys.stderr, flush=True)

    def shown(self) -> AbstractContextManager[object]:
        """Nothing to prepare."""
        return nullcontext()


class JsonLines(Lines):
    """Each price as the server's own message."""

    def on_price(self, price: ClientPrice, text: str) -> None:  # noqa: ARG002
        """The text as it came."""
        print(text, flush=True)


def choose(symbols: Sequence[str], *, json: bool) -> Display:
    """The table on a terminal, lines where the output goes elsewhere."""
    if json:
        return JsonLines()
    console = Console()
    return PriceTable(console, symbols) if console.is_terminal else Lines()
