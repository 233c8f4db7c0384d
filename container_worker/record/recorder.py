"""Records one exchange: the sockets or questions of capture, without its cores and Kafka.

frames, messages, REST answers ─► lines of a TapeFile
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from container_worker.capture.budgets import Budgets
from container_worker.capture.keeper import AnyLink, Keeper
from container_worker.capture.link import Link
from container_worker.capture.orders import find_instruments, make_instruments
from container_worker.capture.poller import Pollers
from container_worker.capture.reach import Reach
from container_worker.capture.rest import RestClient
from container_worker.capture.snapshots import Snapshots
from container_worker.capture.timing import Timing
from container_worker.exchanges.adapter import Channel, RestRequest, Socket
from container_worker.exchanges.polling import Polling
from container_worker.record.tape_file import TapeFile
from container_worker.record.tape_line import TapeLine
from container_worker.record.traffic import RestTraffic, SocketTraffic
from marketdata.errors import TapedeckError

SNAPSHOT_S = 600.0
"""How often the books are taken again, so that a recording can be entered in its middle."""


class Recorder:
    """One exchange; `step` is called a few times a second. `told` gets sentences."""

    def __init__(
        self,
        reach: Reach,
        channels: Sequence[Channel],
        tape: TapeFile,
        told: Callable[[str], None],
        timing: Timing,
    ) -> None:
        self.tape = tape
        self._reach = reach
        self._adapter = reach.adapter
        self._channels = channels
        self._told = told
        self._timing = timing
        self._chance = random.Random()  # noqa: S311 - jitter
        self._stop = threading.Event()
        self._budgets = Budgets(reach.adapter.limits, timing.restricted)
        self._rest = RestClient(
            reach.adapter, reach.endpoints.rest, timing.rest, self._stop, self._budgets
        )
        self._connections = 0
        self._failure: TapedeckError | None = None
        self._keepers: list[Keeper] = []
        self._snapshots: Snapshots | None = None
        self._snapshot_due_s = 0.0
        self._seen: set[AnyLink] = set()

    def prepare(self) -> None:
        """Asks for the instruments and begins to connect.

        Raises:
            UnknownTicker: the exchange does not list what is wanted.
            ExchangeError: it does not answer.
        """
        adapter, traffic = self._adapter, RestTraffic(self.tape)
        get = partial(traffic.get, self._rest.get)
        if adapter.instruments is None:
            make_instruments(adapter, self._channels)
        else:
            listed = adapter.instruments.decode(get(adapter.instruments.request))
            find_instruments(adapter, listed, self._channels)
        if adapter.books is not None:
            self._snapshots = Snapshots(
                adapter.name,
                adapter.books,
                get,
                report=lambda error, _tickers: self._told(str(error)),
                fail=self._fail,
                timing=self._timing,
                chance=self._chance,
            )
            self._snapshots.start()
        size = adapter.limits.streams_per_socket
        groups = [self._channels[at : at + size] for at in range(0, len(self._channels), size)]
        self._keepers = [self._keeper(group, get) for group in groups]

    def step(self, now_s: float) -> None:
        """Keeps the sockets, takes the books when they are due, flushes the file.

        Raises:
            StoreError: the file cannot be written.
            TapedeckError: recording cannot go on.
        """
        for keeper in self._keepers:
            keeper.step(now_s)
        self._take_books(now_s)
        self.tape.tick(now_s)
        if self._failure is not None:
            raise self._failure

    def abandon(self) -> None:
        """Gives up what waits for the exchange."""
        self._stop.set()

    def close(self) -> None:
        """Ends all sockets and the file."""
        self._stop.set()
        if self._snapshots is not None:
            self._snapshots.close()
        links = [link for keeper in self._keepers for link in keeper.close()]
        until_s = time.monotonic() + 3.0
        for link in links:
            link.join(max(0.0, until_s - time.monotonic()))
        self.tape.close()

    def _take_books(self, now_s: float) -> None:
        """At the beginning of every socket, and now and then."""
        links = {keeper.current for keeper in self._keepers if keeper.current is not None}
        if links <= self._seen and now_s < self._snapshot_due_s:
            return
        if not links or self._snapshots is None:
            return
        self._seen = links
        self._snapshot_due_s = now_s + SNAPSHOT_S
        for ticker in sorted({channel.ticker for channel in self._channels}):
            self._snapshots.request(ticker, lambda _book: None)

    def _keeper(
        self, channels: Sequence[Channel], get: Callable[[RestRequest], bytes]
    ) -> Keeper:
        adapter, timing = self._adapter, self._timing
        line = TapeLine(adapter, channels, self._told)
        if adapter.socket is not None:
            open_link: Callable[[], AnyLink] = partial(self._link, line, adapter.socket)
        else:
            open_link = self._pollers(line, adapter.polling, get).open
        return Keeper(
            line,
            open_link,
            life_s=adapter.limits.connection_life_s - timing.life_margin,
            timing=timing,
            chance=self._chance,
            connect_wait_s=self._budgets.connect_wait_s,
            report=self._refused,
        )

    def _refused(self, error: TapedeckError) -> None:
        self._budgets.connect_refused(error, time.monotonic())
        self._told(str(error))

    def _link(self, line: TapeLine, wire: Socket) -> AnyLink:
        self._connections += 1
        return Link(
            self._adapter,
            wire,
            wire.url(self._reach.endpoints.ws),
            line.wanted,
            open_session=partial(self._reach.session, self._rest.get),
            feed=line.feed,
            changed=lambda: None,
            timing=self._timing,
            observer=SocketTraffic(self.tape, self._connections),
        )

    def _pollers(
        self, line: TapeLine, polling: Polling | None, get: Callable[[RestRequest], bytes]
    ) -> Pollers:
        if polling is None:
            raise AssertionError(f"{self._adapter.name} can neither be listened to nor asked")
        return Pollers(
            self._adapter.name,
            polling,
            self._reach.query,
            get=get,
            line=line,
            cursor=line.cursor,
            poll_s=self._reach.poll_s,
            changed=lambda: None,
            notes=(),
        )

    def _fail(self, error: TapedeckError) -> None:
        self._failure = error
