"""Runs streams until they are told to end: producer, desks, telemetry, drain.

Stage.run ─► desks (threads) ─► records
      └────► telemetry: started, loading, error, finished or interrupted
"""

import gc
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from container_worker import log
from container_worker.capture.desk import Desk, Surroundings
from container_worker.capture.last_known import LastKnown
from container_worker.capture.orders import Order, channels_of, wanted_by
from container_worker.capture.ports import Producer
from container_worker.capture.reach import Reach
from container_worker.capture.timing import Timing
from container_worker.exchanges.adapter import Channel
from container_worker.streams_file import Wish
from container_worker.telemetry import Telemetry
from marketdata.errors import (
    DecodeError,
    ExchangeError,
    InputError,
    TapedeckError,
    UnknownTicker,
)
from marketdata.instruments import Instrument
from marketdata.messages import Gap
from marketdata.times import iso_ms

_STEP_S = 0.2
_SAME_TROUBLE_S = 30.0
_LAST_WORDS_S = 2.0


@dataclass(frozen=True, slots=True)
class Stream:
    """A wish with its telemetry."""

    wish: Wish
    telemetry: Telemetry


@dataclass(frozen=True, slots=True)
class Form:
    """In what the two forms of capture differ (design.md §5).

    `topic_of` maps a type to its topic. `fatal` says which troubles end the process.
    `listed` takes the instruments once they are known. For the others see `Surroundings`.
    """

    topic_of: Callable[[str], str]
    rejects_topic: str | None
    history_topic: str | None
    last_known: Mapping[tuple[str, Channel], LastKnown]
    fatal: Callable[[TapedeckError], bool]
    listed: Callable[[Iterable[Instrument]], None]


class Stage:
    """One process's capture. `finish` ends it as finished, `stop` as interrupted."""

    def __init__(
        self,
        producer: Producer,
        streams: Sequence[Stream],
        reach: Mapping[str, Reach],
        form: Form,
        *,
        timing: Timing,
        stop: threading.Event,
        finish: threading.Event,
    ) -> None:
        self._producer = producer
        self._streams = streams
        self._form = form
        self._timing = timing
        self._stop = stop
        self._finish = finish
        self._ended = threading.Event()
        self._failure: TapedeckError | None = None
        self._troubles: dict[str, float] = {}
        self._desks = self._make_desks(reach)

    def fail(self, error: TapedeckError) -> None:
        """Ends it as failed, soon, for the first reason given; any thread may call this."""
        if self._failure is None:
            is_input = isinstance(error, UnknownTicker)
            self._failure = InputError(str(error)) if is_input else error

    def run(self) -> int:
        """Captures until `stop` or `finish`; the exit code.

        Raises:
            InputError: an exchange does not list a ticker that is wanted.
            TapedeckError: capture cannot go on.
        """
        try:
            self._prepare()
            gc.collect()
            gc.freeze()
            gc.set_threshold(50_000, 20, 50)
            for desk in self._desks:
                desk.start()
            self._watch()
        except Exception as error:
            self._end_failed(error)
            raise
        return self._drain()

    def _make_desks(self, reach: Mapping[str, Reach]) -> list[Desk]:
        around = Surroundings(
            producer=self._producer,
            epoch=time.time_ns() // 1_000_000,
            rejects_topic=self._form.rejects_topic,
            history_topic=self._form.history_topic,
            timing=self._timing,
            stop=self._ended,
            last_known=self._form.last_known,
            report=self._report,
            lost=self._tell_loss,
            fail=self.fail,
            listed=self._form.listed,
        )
        wishes = [stream.wish for stream in self._streams]
        return [
            Desk(
                reach[exchange],
                self._orders(wanted_by(wishes, exchange)),
                around,
                random.Random(),  # noqa: S311 - jitter
            )
            for exchange in sorted({wish.exchange for wish in wishes})
        ]

    def _orders(self, wanted: Mapping[Channel, Sequence[str]]) -> list[Order]:
        telemetry = {stream.wish.queue_id: stream.telemetry for stream in self._streams}
        orders = []
        for channel, queue_ids in wanted.items():
            counts = [telemetry[queue_id].counter(*channel).wrote for queue_id in queue_ids]
            wrote = counts[0] if len(counts) == 1 else partial(_call_all, counts)
            topic = self._form.topic_of(channel.type)
            orders.append(Order(channel, queue_ids[0], topic, wrote))
        return orders

    def _prepare(self) -> None:
        """The first try happens before anything starts, so that a bad ticker exits with 2.

        All exchanges at once: one that does not answer holds up no other.
        """
        with ThreadPoolExecutor(len(self._desks)) as pool:
            tries = [(desk, pool.submit(desk.prepare)) for desk in self._desks]
        for desk, done in tries:
            try:
                done.result()
            except UnknownTicker as error:
                raise InputError(str(error)) from error
            except (ExchangeError, DecodeError) as error:
                self._report(desk.exchange, error, ())
                if self._failure is not None:
                    raise self._failure from error

    def _watch(self) -> None:
        waiting = list(self._streams)
        while not (self._stop.wait(_STEP_S) or self._finish.is_set()):
            if self._failure is not None:
                raise self._failure
            up = {
                (desk.exchange, channel) for desk in self._desks for channel in desk.connected
            }
            for stream in list(waiting):
                wish = stream.wish
                if all((wish.exchange, channel) in up for channel in channels_of(wish)):
                    waiting.remove(stream)
                    stream.telemetry.started()
            for stream in self._streams:
                stream.telemetry.tick()

    def _report(self, exchange: str, error: TapedeckError, tickers: Sequence[str]) -> None:
        """A trouble that passes; said once in a while, however often it comes.

        At the end nobody is told of what the end interrupts.
        """
        if self._ended.is_set():
            return
        if self._form.fatal(error):
            self.fail(error)
            return
        now_s, text = time.monotonic(), str(error)
        if now_s < self._troubles.get(text, 0.0):
            return
        self._troubles = {
            known: until_s for known, until_s in self._troubles.items() if now_s < until_s
        } | {text: now_s + _SAME_TROUBLE_S}
        log.event("capture.trouble", level="warning", exchange=exchange, message=text)
        for stream in self._streams:
            if stream.wish.exchange == exchange:
                stream.telemetry.error(text, goes_on=True, tickers=tickers)

    def _tell_loss(self, exchange: str, channel: Channel, gap: Gap) -> None:
        for stream in self._streams:
            if stream.wish.exchange == exchange:
                stream.telemetry.lost(*channel, what_is_missing(gap))

    def _end_failed(self, error: Exception) -> None:
        text = f"capture died of a {type(error).__name__}: see the log"
        if isinstance(error, TapedeckError):
            text = str(error)
        self._ended.set()
        for stream in self._streams:
            stream.telemetry.error(text, goes_on=False)
        self._join(_LAST_WORDS_S)
        self._producer.flush(_LAST_WORDS_S)

    def _drain(self) -> int:
        until_s = time.monotonic() + self._timing.drain
        self._ended.set()
        self._join(self._timing.drain / 2)
        left = self._producer.flush(max(0.0, until_s - time.monotonic() - _LAST_WORDS_S))
        for stream in self._streams:
            if self._finish.is_set():
                stream.telemetry.finished()
            else:
                stream.telemetry.interrupted()
        left = self._producer.flush(_LAST_WORDS_S)
        log.event("capture.drained", level="error" if left else "info", undelivered=left)
        return 1 if left else 0

    def _join(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        for desk in self._desks:
            if desk.ident is not None:
                desk.join(max(0.0, until_s - time.monotonic()))


def what_is_missing(gap: Gap) -> str:
    """A gap in words: `missing: 5 to 6 (sequence)`."""
    if gap.first is not None and gap.last is not None:
        ids = f"{gap.first} to {gap.last}" if gap.last > gap.first else f"{gap.first}"
        return f"missing: {ids} ({gap.cause})"
    since = iso_ms(gap.from_)
    if gap.to is None:
        return f"something may be missing since {since} ({gap.cause})"
    return f"something may be missing from {since} to {iso_ms(gap.to)} ({gap.cause})"


def _call_all(calls: Sequence[Callable[[], None]]) -> None:
    for call in calls:
        call()
