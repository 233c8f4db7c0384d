"""What `tapedeck up` prints: plain lines, coloured where there is a terminal."""

import os
import shutil
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from local.run_file import RunFile
from local.stack_plan import URL_NAMES
from local.stack_settings import DEVELOPMENT_KEY, LIVE, StackSettings

TITLES = {
    "stream": "client WebSocket",
    "api": "HTTP API",
    "kafka": "Kafka",
    "s3": "S3",
    "dynamodb": "DynamoDB",
    "binance_ws": "Binance WebSocket",
    "binance_rest": "Binance REST",
    "coinbase_ws": "Coinbase WebSocket",
    "coinbase_rest": "Coinbase REST",
    "blockchain_ws": "Blockchain WebSocket",
    "blockchain_rest": "Blockchain REST",
    "stockbit_ws": "Stockbit WebSocket",
    "stockbit_rest": "Stockbit REST",
    "stellar_rpc": "Stellar RPC",
}


def command() -> str:
    """How this command is called from here: by its name where the shell finds it."""
    path = Path(sys.argv[0])
    if path.name != "tapedeck":
        return "python -m tapedeck"
    return "tapedeck" if shutil.which("tapedeck") else os.path.relpath(path)


class Printer:
    """Prints the start, the summary and the end of one stack."""

    def __init__(self, settings: StackSettings) -> None:
        self._settings = settings
        self._console = Console(highlight=False, soft_wrap=True)
        self._begun = time.monotonic()

    def tell(self, line: str) -> None:
        """One step of the way up or down."""
        self._line(f"  {time.monotonic() - self._begun:5.1f} s  {line}", "dim")

    def announce(self, run: RunFile) -> None:
        """The stack is up: where everything is, and what to try."""
        self._line(f"Tapedeck is up ({run.mode}).", "bold green")
        self._addresses(run)
        data = "" if self._settings.data.name == "data" else f" --data {self._settings.data}"
        self._line("")
        me = command()
        self._line(f"try:        {me} watch BTC/USDT ETH/USDT{data}", "bold")
        self._line(f"CSV files:  {self._settings.objects / 'data' / 'orderbook'}")
        self._line(f"logs:       {self._settings.logs}")
        self._line(f"stop:       Ctrl-C here, or {me} down{data}")

    def already(self, run: RunFile) -> None:
        """The stack was up before."""
        self._line(f"Tapedeck is up already on {self._settings.data}.", "bold green")
        self._addresses(run)

    def stopped(self) -> None:
        """Nothing is left."""
        self._line("Tapedeck is stopped; no process is left.", "bold")

    def _addresses(self, run: RunFile) -> None:
        grid = Table.grid(padding=(0, 2))
        for name in URL_NAMES:
            if run.urls.get(name):
                grid.add_row(f"  {TITLES.get(name, name)}", str(run.urls[name]))
        if run.mode != LIVE or run.urls.get("stream"):
            grid.add_row("  API key", DEVELOPMENT_KEY)
        self._console.print(grid)

    def _line(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style))
