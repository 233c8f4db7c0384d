"""`tapedeck setup`: downloads what is not Python: Java packages and the examples' npm ones."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from local import jar_download, node_setup
from local.packages import Jar, repository
from marketdata.errors import LocalError

MEGABYTE = 1_000_000
LINE_EVERY_S = 5.0


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("setup")(run)


def run() -> None:
    """Download the embedded servers (about 150 MB, once); safe to repeat and to interrupt."""
    jars = jar_download.missing()
    try:
        if jars:
            _fetch(jars)
        _install_examples()
    except KeyboardInterrupt:
        print("tapedeck: interrupted; `make setup` goes on where it stopped", file=sys.stderr)
        raise SystemExit(130) from None


def _install_examples() -> None:
    """The stack runs without them: a machine that has no npm registry is only told so."""
    if node_setup.installed():
        return
    print("installing the npm packages of examples/ (about 80 MB)", file=sys.stderr, flush=True)
    try:
        node_setup.install()
    except LocalError as error:
        print(f"tapedeck: the example clients cannot run yet: {error}", file=sys.stderr)


def _fetch(jars: list[Jar]) -> None:
    total = sum(jar.bytes for jar in jars)
    begun = time.monotonic()
    with _progress(len(jars), total) as advance:
        jar_download.download(jars, advance)
    took = time.monotonic() - begun
    print(
        f"{len(jars)} Java packages, {total / MEGABYTE:.0f} MB in {took:.0f} s: {repository()}"
    )


@contextmanager
def _progress(count: int, total: int) -> Iterator[jar_download.Progress]:
    console = Console(stderr=True)
    title = f"Kafka, DynamoDB Local and S3Proxy ({count} packages)"
    if not console.is_terminal:
        yield _Lines(title, total).advance
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=total)
        yield lambda received: bar.advance(task, received)


class _Lines:
    """Progress where there is no terminal: a line now and then."""

    def __init__(self, title: str, total: int) -> None:
        self._title = title
        self._total = total
        self._received = 0
        self._told_at = time.monotonic()
        self._lock = threading.Lock()
        print(f"downloading {title}: {total / MEGABYTE:.0f} MB", file=sys.stderr, flush=True)

    def advance(self, received: int) -> None:
        with self._lock:
            self._received += received
            if time.monotonic() - self._told_at < LINE_EVERY_S:
                return
            self._told_at = time.monotonic()
            done, total = self._received / MEGABYTE, self._total / MEGABYTE
        print(f"  {done:.0f} of {total:.0f} MB", file=sys.stderr, flush=True)
