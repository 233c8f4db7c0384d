"""All of one exchange: its instruments, its lines and sockets, its snapshots.

orders ─► instruments ─► lines of at most so many streams ─► a keeper each
"""

import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from container_worker.capture.keeper import AnyLink, Keeper
from container_worker.capture.line import Line
from container_worker.capture.link import Link
from container_worker.capture.orders import Order, find_instruments
from container_worker.capture.outlet import Outlet
from container_worker.capture.ports import Producer
from container_worker.capture.rejects import Rejects
from container_worker.capture.rest import RestClient
from container_worker.capture.retry import pause_s
from container_worker.capture.snapshots import Snapshots
from container_worker.capture.timing import Timing
from container_worker.capture.unit import Unit, make_sync
from container_worker.exchanges.adapter import Adapter, Channel, Endpoints
from marketdata import codec
from marketdata.errors import DecodeError, ExchangeError, TapedeckError, UnknownTicker
from marketdata.instruments import Instrument

_STEP_S = 0.1
_JOIN_S = 3.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all desks of a process share.

    `report` is told of every trouble that passes (exchange, error, tickers or none for all),
    `fail` of what cannot go on, `listed` of the instruments once they are known.
    """

    producer: Producer
    epoch: int
    rejects_topic: str | None
    timing: Timing
    stop: threading.Event
    report: Callable[[str, TapedeckError, Sequence[str]], None]
    fail: Callable[[TapedeckError], None]
    listed: Callable[[Iterable[Instrument]], None]


class Desk(threading.Thread):
    """Captures the orders of one exchange until `stop`; give it `prepare` first, or not."""

    def __init__(
        self,
        adapter: Adapter,
        endpoints: Endpoints,
        orders: Sequence[Order],
        around: Surroundings,
        chance: random.Random,
    ) -> None:
        super().__init__(name=f"{adapter.name}-desk", daemon=True)
        self.exchange = adapter.name
        self.connected: frozenset[Channel] = frozenset()
        self._adapter = adapter
        self._endpoints = endpoints
        self._orders = orders
        self._around = around
        self._chance = chance
        self._wake = threading.Event()
        self._instruments: dict[str, Instrument] = {}
        self._lines: list[tuple[Line, Keeper]] = []
        timing, stop = around.timing, around.stop
        self._rest = RestClient(adapter, endpoints.rest, timing.rest, stop)
        self._snapshots = Snapshots(
            adapter,
            self._rest.get,
            report=lambda error, tickers: around.report(adapter.name, error, tickers),
            fail=around.fail,
            timing=timing,
            chance=chance,
        )

    def prepare(self) -> None:
        """Asks the exchange for its instruments.

        Raises:
            UnknownTicker: it does not list all that was ordered.
            ExchangeError: it refused or did not answer; may be tried again.
            DecodeError: its answer is not what it should be.
        """
        adapter = self._adapter
        listed = adapter.decode_instruments(self._rest.get(adapter.instruments_request))
        channels = [order.channel for order in self._orders]
        self._instruments = find_instruments(adapter, listed, channels)
        self._around.listed(self._instruments.values())

    def run(self) -> None:
        """The thread: prepares if that is still to do, then keeps the lines connected."""
        try:
            if self._prepare_at_last():
                self._snapshots.start()
                self._lines = [self._line(group) for group in self._groups()]
                self._keep()
        except TapedeckError as error:
            self._around.fail(error)
        finally:
            self._close()

    def replace_sockets(self) -> None:
        """Asks for another socket on every line, without a seam (rule 9)."""
        for _, keeper in self._lines:
            keeper.replace()

    def _prepare_at_last(self) -> bool:
        stop, attempt = self._around.stop, 0
        while not self._instruments and not stop.is_set():
            try:
                self.prepare()
            except UnknownTicker:
                raise
            except (ExchangeError, DecodeError) as error:
                self._around.report(self._adapter.name, error, ())
                stop.wait(1.0 + pause_s(error, attempt, self._around.timing, self._chance))
                attempt += 1
        return not stop.is_set()

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
        self._snapshots.close()
        links = [link for _, keeper in self._lines for link in keeper.close()]
        until_s = time.monotonic() + _JOIN_S
        for link in links:
            if isinstance(link, Link):
                link.join(max(0.0, until_s - time.monotonic()))
        for line, _ in self._lines:
            line.part()

    def _groups(self) -> list[Sequence[Order]]:
        size = self._adapter.limits.streams_per_socket
        return [self._orders[at : at + size] for at in range(0, len(self._orders), size)]

    def _line(self, orders: Sequence[Order]) -> tuple[Line, Keeper]:
        around, timing, name = self._around, self._around.timing, self._adapter.name
        due_s = time.monotonic() + timing.watermark
        line = Line(
            self._adapter,
            [self._unit(order, due_s) for order in orders],
            Outlet(around.producer, around.stop, timing.room),
            Rejects(around.producer, name, around.rejects_topic),
            self._snapshots.request,
        )
        keeper = Keeper(
            line,
            lambda: self._link(line),
            life_s=self._adapter.limits.connection_life_s - timing.life_margin,
            timing=timing,
            chance=self._chance,
            report=lambda error: around.report(name, error, _tickers(line)),
        )
        return line, keeper

    def _link(self, line: Line) -> AnyLink:
        return Link(
            self._adapter,
            self._adapter.socket_url(self._endpoints.ws),
            self._adapter.subscriptions(list(line.units)),
            feed=line.feed,
            changed=self._wake.set,
            timing=self._around.timing,
        )

    def _unit(self, order: Order, watermark_due_s: float) -> Unit:
        ticker, type_ = order.channel
        return Unit(
            channel=order.channel,
            sync=make_sync(type_, self._instruments[ticker]),
            topic=order.topic,
            key=codec.key(self._adapter.name, ticker),
            headers=codec.base_headers(type_, order.queue_id, self._around.epoch),
            wrote=order.wrote,
            watermark_due_s=watermark_due_s,
        )


def _tickers(line: Line) -> list[str]:
    return sorted({channel.ticker for channel in line.units})
