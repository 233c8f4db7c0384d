"""All of one exchange: its instruments, its lines and sockets, its REST requests.

orders ─► instruments ─► lines of at most so many streams ─► a keeper each
"""

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from container_worker.capture.backfill import Backfill
from container_worker.capture.budgets import Budgets
from container_worker.capture.last_known import LastKnown
from container_worker.capture.line_maker import LineMaker, Requests
from container_worker.capture.orders import Order, find_instruments, make_instruments
from container_worker.capture.ports import Producer
from container_worker.capture.reach import Reach
from container_worker.capture.rest import RestClient
from container_worker.capture.retry import pause_s
from container_worker.capture.snapshots import Snapshots
from container_worker.capture.timing import Timing
from container_worker.exchanges.adapter import Channel
from container_worker.outermost import Fail, outermost
from marketdata.errors import DecodeError, ExchangeError, TapedeckError, UnknownTicker
from marketdata.instruments import Instrument
from marketdata.messages import Gap

if TYPE_CHECKING:
    from container_worker.capture.keeper import AnyLink, Keeper
    from container_worker.capture.line import Line

_STEP_S = 0.1
_JOIN_S = 3.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all desks of a process share.

    `last_known` has, by exchange and channel, what was written before this process. `report`
    is told of every trouble that passes (exchange, error, tickers or none for all), `lost` of
    every gap record, `fail` of what cannot go on, `listed` of the instruments once they are
    known. `history_topic` is where past candles go that no unit of ours captures; None where
    nobody wants them.
    """

    producer: Producer
    epoch: int
    rejects_topic: str | None
    history_topic: str | None
    timing: Timing
    stop: threading.Event
    last_known: Mapping[tuple[str, Channel], LastKnown]
    report: Callable[[str, TapedeckError, Sequence[str]], None]
    lost: Callable[[str, Channel, Gap], None]
    fail: Fail
    listed: Callable[[Iterable[Instrument]], None]


class Desk(threading.Thread):
    """Captures the orders of one exchange until `stop`; give it `prepare` first, or not."""

    def __init__(
        self,
        reach: Reach,
        orders: Sequence[Order],
        around: Surroundings,
        chance: random.Random,
    ) -> None:
        adapter = reach.adapter
        super().__init__(name=f"{adapter.name}-desk", daemon=True)
        self.exchange = adapter.name
        self.connected: frozenset[Channel] = frozenset()
        self._adapter = adapter
        self._reach = reach
        self._orders = orders
        self._around = around
        self._chance = chance
        self._wake = threading.Event()
        self._instruments: dict[str, Instrument] = {}
        self._lines: list[tuple[Line, Keeper]] = []
        timing, stop = around.timing, around.stop
        self._budgets = Budgets(adapter.limits, timing.restricted)
        self._rest = RestClient(adapter, reach.endpoints.rest, timing.rest, stop, self._budgets)
        self._snapshots = self._make_snapshots()
        self._backfill = self._make_backfill()

    def prepare(self) -> None:
        """Asks the exchange for its instruments, where it has a list.

        Raises:
            UnknownTicker: it does not list all that was ordered, or cannot have such a name.
            ExchangeError: it refused or did not answer; may be tried again.
            DecodeError: its answer is not what it should be.
        """
        adapter, listing = self._adapter, self._adapter.instruments
        channels = [order.channel for order in self._orders]
        if listing is None:
            self._instruments = make_instruments(adapter, channels)
        else:
            listed = listing.decode(self._rest.get(listing.request))
            self._instruments = find_instruments(adapter, listed, channels)
        self._around.listed(self._instruments.values())

    def run(self) -> None:
        """The thread: prepares if that is still to do, then keeps the lines connected."""
        outermost(self._work, self._around.fail)
        outermost(self._close, self._around.fail)

    def replace_sockets(self) -> None:
        """Asks for another socket on every line, without a seam (rule 9)."""
        for _, keeper in self._lines:
            keeper.replace()

    def _make_snapshots(self) -> Snapshots | None:
        books = self._adapter.books
        if books is None:
            return None
        return Snapshots(
            self.exchange,
            books,
            self._rest.get,
            report=self._report,
            fail=self._around.fail,
            timing=self._around.timing,
            chance=self._chance,
        )

    def _make_backfill(self) -> Backfill | None:
        if self._adapter.trades is None and self._adapter.candles is None:
            return None
        return Backfill(
            self._adapter,
            self._rest.get,
            report=self._report,
            fail=self._around.fail,
            timing=self._around.timing,
            chance=self._chance,
        )

    def _work(self) -> None:
        if self._prepare_at_last():
            self._open()
            self._keep()

    def _prepare_at_last(self) -> bool:
        stop, attempt = self._around.stop, 0
        while not self._instruments and not stop.is_set():
            try:
                self.prepare()
            except UnknownTicker:
                raise
            except (ExchangeError, DecodeError) as error:
                self._report(error, ())
                stop.wait(1.0 + pause_s(error, attempt, self._around.timing, self._chance))
                attempt += 1
        return not stop.is_set()

    def _open(self) -> None:
        maker = LineMaker(
            self._reach,
            self._instruments,
            self._around,
            chance=self._chance,
            requests=Requests(
                get=self._rest.get,
                snapshot=None if self._snapshots is None else self._snapshots.request,
                recover=None if self._backfill is None else self._backfill.request,
            ),
            budgets=self._budgets,
            wake=self._wake.set,
        )
        for worker in (self._snapshots, self._backfill):
            if worker is not None:
                worker.start()
        self._lines = [maker.line(group) for group in self._groups()]
        for line, _ in self._lines:
            maker.ask_again(line)
        maker.ask_for_history(self._orders)

    def _keep(self) -> None:
        stop, timing = self._around.stop, self._around.timing
        while not stop.is_set():
            now_s = time.monotonic()
            up: set[Channel] = set()
            for line, keeper in self._lines:
                keeper.step(now_s)
                line.tick(now_s, timing.watermark, connected=keeper.connected)
                up.update(line.units if keeper.connected else ())
            self.connected = frozenset(up)
            self._wake.wait(_STEP_S)
            self._wake.clear()

    def _close(self) -> None:
        for worker in (self._snapshots, self._backfill):
            if worker is not None:
                worker.close()
        links: list[AnyLink] = [link for _, keeper in self._lines for link in keeper.close()]
        until_s = time.monotonic() + _JOIN_S
        for link in links:
            link.join(max(0.0, until_s - time.monotonic()))
        for line, _ in self._lines:
            line.part()

    def _groups(self) -> list[Sequence[Order]]:
        size = self._adapter.limits.streams_per_socket
        return [self._orders[at : at + size] for at in range(0, len(self._orders), size)]

    def _report(self, error: TapedeckError, tickers: Sequence[str]) -> None:
        self._around.report(self.exchange, error, tickers)
