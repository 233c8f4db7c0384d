"""Makes the lines of one exchange: their units, and what keeps them connected.

orders ─► units ─► Line ─► Keeper ─► a Link (socket) or a Poller (questions) at a time
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from container_worker import log
from container_worker.capture.asked_again import asked_again
from container_worker.capture.budgets import Budgets
from container_worker.capture.candle_sync import HISTORY
from container_worker.capture.hole import Deliver
from container_worker.capture.keeper import AnyLink, Keeper
from container_worker.capture.line import Line
from container_worker.capture.link import Link
from container_worker.capture.orders import Order
from container_worker.capture.outlet import Outlet
from container_worker.capture.poller import Pollers
from container_worker.capture.reach import Reach
from container_worker.capture.rejects import Rejects
from container_worker.capture.snapshots import Deliver as DeliverBook
from container_worker.capture.tidings import Tidings
from container_worker.capture.timing import Timing
from container_worker.capture.unit import Unit, make_sync
from container_worker.capture.watch import Watch
from container_worker.exchanges.adapter import NOBODY, Channel, Get, Socket
from container_worker.exchanges.outcomes import Outcome, TradingStatus
from container_worker.exchanges.polling import Polling
from marketdata import codec
from marketdata.errors import ExchangeError, TapedeckError
from marketdata.instruments import Instrument
from marketdata.topics import CANDLE_UPDATES, MINUTE_MS, TRADES

if TYPE_CHECKING:
    from container_worker.capture.desk import Surroundings


class Requests(NamedTuple):
    """The REST side that units may ask; None for what the exchange does not have."""

    get: Get
    snapshot: Callable[[str, DeliverBook], None] | None
    recover: Callable[[Channel, int, int, Deliver], None] | None


class LineMaker:
    """One for each desk. `wake` is called when a link has changed."""

    def __init__(
        self,
        reach: Reach,
        instruments: Mapping[str, Instrument],
        around: "Surroundings",
        *,
        chance: random.Random,
        requests: Requests,
        budgets: Budgets,
        wake: Callable[[], None],
    ) -> None:
        self._reach = reach
        self._adapter = reach.adapter
        self._instruments = instruments
        self._around = around
        self._chance = chance
        self._requests = requests
        self._budgets = budgets
        self._wake = wake

    def line(self, orders: Sequence[Order]) -> tuple[Line, Keeper]:
        """The line of these orders, and its keeper; nothing is connected yet."""
        adapter, around = self._adapter, self._around
        line = self._make_line([self._unit(order) for order in orders])
        keeper = Keeper(
            line,
            self._opener(line),
            life_s=adapter.limits.connection_life_s - around.timing.life_margin,
            timing=self._patient(around.timing),
            chance=self._chance,
            connect_wait_s=self._budgets.connect_wait_s,
            report=partial(self._refused, _tickers(line)),
        )
        return line, keeper

    def ask_again(self, line: Line) -> None:
        """What was missing when the process before this one ended, and still is."""
        recover, exchange = self._requests.recover, self._adapter.name
        for channel in line.units:
            known = self._around.last_known.get((exchange, channel))
            if recover is None or known is None or not self._recovers(channel.type):
                continue
            for first, last in asked_again(known, channel.type):
                recover(channel, first, last, line.fill)

    def ask_for_history(self, orders: Sequence[Order]) -> None:
        """Past candles of tickers whose candles no unit captures, so that no chart is empty."""
        topic, recover = self._around.history_topic, self._requests.recover
        is_streamed = CANDLE_UPDATES in self._adapter.numbering
        if topic is None or recover is None or self._adapter.candles is None or is_streamed:
            return
        wanted = [_of_history(order, topic) for order in orders if order.channel.type == TRADES]
        line = self._make_line([self._unit(order) for order in wanted])
        last = time.time_ns() // 1_000_000 // MINUTE_MS * MINUTE_MS - MINUTE_MS
        for channel in line.units:
            known = self._around.last_known.get((self._adapter.name, channel))
            start = known.candle_start_ms if known else None
            first = last - (HISTORY - 1) * MINUTE_MS if start is None else start + MINUTE_MS
            recover(channel, first, last, line.fill)

    def _refused(self, tickers: Sequence[str], error: TapedeckError) -> None:
        self._budgets.connect_refused(error, time.monotonic())
        self._around.report(self._adapter.name, error, tickers)

    def _make_line(self, units: Sequence[Unit]) -> Line:
        adapter, around, requests = self._adapter, self._around, self._requests
        tickers = sorted({unit.channel.ticker for unit in units})
        return Line(
            adapter.name,
            _no_frames if adapter.socket is None else adapter.socket.decode,
            units=units,
            outlet=Outlet(around.producer, around.stop, around.timing.room),
            rejects=Rejects(
                around.producer,
                adapter.name,
                around.rejects_topic,
                lambda error: around.report(adapter.name, error, tickers),
            ),
            fetch=requests.snapshot,
            recover=requests.recover,
            audit_s=around.timing.audit,
            tidings=Tidings(
                partial(around.lost, adapter.name), self._tell_refusal, self._tell_status
            ),
        )

    def _tell_refusal(self, channels: Sequence[Channel], text: str) -> None:
        name, tickers = self._adapter.name, sorted({channel.ticker for channel in channels})
        types = ", ".join(sorted({channel.type for channel in channels}))
        error = ExchangeError(
            f"{name} refuses {', '.join(tickers)} ({types}): {text}. Take it out of the "
            "streams if it is not traded there any more; it is asked for again every hour"
        )
        self._around.report(name, error, tickers)

    def _tell_status(self, status: TradingStatus) -> None:
        name, ticker = self._adapter.name, status.ticker
        if status.is_open:
            log.event("capture.traded_again", exchange=name, ticker=ticker, status=status.word)
            return
        error = ExchangeError(
            f"{name} does not trade {ticker} as usual now (status {status.word}): nothing of "
            "it may come until it does"
        )
        self._around.report(name, error, [ticker])

    def _opener(self, line: Line) -> Callable[[], AnyLink]:
        if self._adapter.socket is not None:
            return partial(self._link, line, self._adapter.socket, [])
        if self._adapter.polling is not None:
            return self._pollers(line, self._adapter.polling).open
        raise AssertionError(f"{self._adapter.name} can neither be listened to nor asked")

    def _link(self, line: Line, wire: Socket, links: list[Link]) -> AnyLink:
        """The next of the line's `links`: one that is there may be about to lose its token."""
        links[:] = [one for one in links if not one.is_gone]
        ending = links[-1].ending if links else NOBODY
        link = Link(
            self._adapter,
            wire,
            wire.url(self._reach.endpoints.ws),
            line.wanted,
            open_session=partial(self._reach.session, self._requests.get, ending),
            feed=line.feed,
            changed=self._wake,
            timing=self._around.timing,
        )
        links.append(link)
        return link

    def _pollers(self, line: Line, polling: Polling) -> Pollers:
        query = self._reach.query
        return Pollers(
            self._adapter.name,
            polling,
            query,
            get=self._requests.get,
            line=line,
            cursor=line.cursor,
            poll_s=self._reach.poll_s,
            changed=self._wake,
            notes=polling.notes(query),
        )

    def _unit(self, order: Order) -> Unit:
        adapter, around = self._adapter, self._around
        ticker, type_ = order.channel
        sync = make_sync(
            type_,
            adapter.numbering.get(type_, "snapshots"),
            self._instruments[ticker],
            around.last_known.get((adapter.name, order.channel)),
            recovers=self._recovers(type_),
            timing=around.timing,
        )
        return Unit(
            channel=order.channel,
            sync=sync,
            topic=order.topic,
            key=codec.key(adapter.name, ticker),
            headers=codec.base_headers(type_, order.queue_id, around.epoch),
            wrote=order.wrote,
            watermark_due_s=time.monotonic() + around.timing.watermark,
            watch=Watch(around.timing.silence),
        )

    def _patient(self, timing: Timing) -> Timing:
        """The pause between two questions is no stall."""
        if self._adapter.polling is None:
            return timing
        return replace(timing, stall=max(timing.stall, 3 * self._reach.poll_s))

    def _recovers(self, stream_type: str) -> bool:
        adapter = self._adapter
        past = {TRADES: adapter.trades, CANDLE_UPDATES: adapter.candles}
        return past.get(stream_type) is not None


def _of_history(order: Order, topic: str) -> Order:
    channel = Channel(order.channel.ticker, CANDLE_UPDATES)
    return Order(channel, order.queue_id, topic, _uncounted)


def _uncounted() -> None:
    """Nobody asked for these records as such."""


def _no_frames(_frame: bytes, _received_ns: int) -> Sequence[Outcome]:
    return ()


def _tickers(line: Line) -> list[str]:
    return sorted({channel.ticker for channel in line.units})
