"""Status events of a stream on `queue-events`, as sources/loader-ws-orderbook.md prints them.

    on_ack ─► Counter.wrote ─► `loading` every 1,000 records
    main loop ─► Telemetry.tick ─► `loading` every 5 s

One record a ticker and type, keyed by the stream's id. The events go through the room that is
kept for them (rule 5); one that finds none is dropped, since the next one says more. Losses are
told one by one or counted, none is dropped.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Literal, Protocol

from container_worker.settings import QueueSettings
from marketdata import codec, messages, topics

Status = Literal["started", "loading", "interrupted", "error", "finished"]

LOADING_SECONDS = 5.0
LOADING_RECORDS = 1000
LOSS_SECONDS = 5.0

_NOUNS = {
    topics.TRADES: "trade",
    topics.TICKER: "ticker",
    topics.CANDLE_UPDATES: "candle",
    topics.CONTRACT_EVENTS: "contract event",
}


class Sender(Protocol):
    """The part of `kafka.Producer` that telemetry needs."""

    def send(
        self,
        record: codec.Record,
        on_ack: Callable[[], None] | None = None,
        *,
        reserved: bool = False,
    ) -> bool:
        """As `kafka.Producer.send`."""
        ...


class Counter:
    """Counts what Kafka has acknowledged of one ticker and type; `wrote` is its `on_ack`."""

    def __init__(self, telemetry: "Telemetry", ticker: str, stream_type: str) -> None:
        self.ticker = ticker
        self.type = stream_type
        self.records = 0
        self.next_loading_s = 0.0
        self._next_loss_s = 0.0
        self._untold = 0
        self._what = ""
        self._telemetry = telemetry
        self._lock = threading.Lock()

    def wrote(self) -> None:
        """One record more is durable. May be called from any thread."""
        with self._lock:
            self.records += 1
            due = self.records % LOADING_RECORDS == 0
        if due:
            self._telemetry.loading(self)

    def lose(self, what: str, times: int = 1) -> None:
        """Something is missing, to be told."""
        with self._lock:
            self._untold += times
            self._what = what

    def losses(self, now_s: float, *, hurry: bool) -> tuple[str, int]:
        """The last loss that is to be told now, and how many it stands for; 0 if none is."""
        with self._lock:
            if not self._untold or (now_s < self._next_loss_s and not hurry):
                return "", 0
            times, self._untold = self._untold, 0
            self._next_loss_s = now_s + LOSS_SECONDS
            return self._what, times


class Telemetry:
    """The status events of one stream, or of one job."""

    def __init__(
        self,
        sender: Sender,
        queue: QueueSettings,
        queue_id: str,
        units: Iterable[tuple[str, str]],
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sender = sender
        self._queue = queue
        self._queue_id = queue_id
        self._clock = clock
        self._monotonic = monotonic
        self._counters = {unit: Counter(self, *unit) for unit in units}

    def counter(self, ticker: str, stream_type: str) -> Counter:
        """The counter of one of the `units` (ticker, type) that were given."""
        return self._counters[ticker, stream_type]

    def started(self) -> None:
        """The stream is connected."""
        for counter in self._counters.values():
            counter.next_loading_s = self._monotonic() + LOADING_SECONDS
            self._send(counter, "started", f"Connected; receiving {_noun(counter)} records")

    def loading(self, counter: Counter) -> None:
        """How far one ticker has come; `Counter` and `tick` decide when."""
        counter.next_loading_s = self._monotonic() + LOADING_SECONDS
        self._send(
            counter,
            "loading",
            f"Loaded and published {counter.records} {_noun(counter)} records",
        )

    def tick(self) -> None:
        """Sends `loading` for every ticker whose last event is 5 s old; call it often.

        Losses that wait are told too.
        """
        now = self._monotonic()
        for counter in self._counters.values():
            self._tell_losses(counter)
            if 0 < counter.next_loading_s <= now:
                self.loading(counter)

    def error(self, message: str, *, goes_on: bool, tickers: Iterable[str] = ()) -> None:
        """Something failed; the event says whether the stream goes on or exits with 1.

        `tickers` limits it to those concerned; without, it is for all.
        """
        concerned = set(tickers) or {counter.ticker for counter in self._counters.values()}
        outcome = "goes on" if goes_on else "exits with 1"
        for counter in self._counters.values():
            self._tell_losses(counter, hurry=not goes_on)
            if counter.ticker in concerned:
                self._send(counter, "error", f"{message}; {outcome}")

    def lost(self, ticker: str, stream_type: str, what: str) -> None:
        """Something of one unit is missing; one event in 5 s at most counts the others."""
        counter = self._counters.get((ticker, stream_type))
        if counter is not None:
            counter.lose(what)
            self._tell_losses(counter)

    def finished(self) -> None:
        """A `stop` came and all data are durable."""
        self._end("finished", "Stopped by command")

    def interrupted(self) -> None:
        """The process was asked to end (SIGTERM) and all data are durable."""
        self._end("interrupted", "Interrupted")

    def _end(self, status: Status, message: str) -> None:
        for counter in self._counters.values():
            self._tell_losses(counter, hurry=True)
            counter.next_loading_s = 0.0
            text = f"{message} after {counter.records} {_noun(counter)} records"
            self._send(counter, status, text)

    def _tell_losses(self, counter: Counter, *, hurry: bool = False) -> None:
        what, times = counter.losses(self._monotonic(), hurry=hurry)
        if not times:
            return
        others = "1 more gap" if times == 2 else f"{times - 1} more gaps"
        more = f" ({others} before)" if times > 1 else ""
        if not self._send(counter, "error", f"{what}{more}; goes on"):
            counter.lose(what, times)

    def _send(self, counter: Counter, status: Status, message: str) -> bool:
        event = messages.Telemetry(
            queue_id=self._queue_id,
            symbol=counter.ticker,
            type=counter.type,
            status=status,
            message=message,
            records_written=counter.records,
            finished=status == "finished",
            producer=self._queue.producer_id,
            timestamp=round(self._clock(), 3),
        )
        key, value = self._queue_id.encode(), codec.encode(event)
        record = codec.Record(self._queue.events_topic, key, value, [])
        return self._sender.send(record, reserved=True)


def _noun(counter: Counter) -> str:
    return _NOUNS.get(counter.type, "order book")
