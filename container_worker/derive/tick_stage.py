"""Ticks: the records of `prices` become the conflated `ticks` (design.md §4, rule 22).

    prices ─► Conflator (a partition) ─► ticks ─► acknowledged ─► the group's commit

The commit never passes a trade that is unsent at some pace or sent and not acknowledged, so a
SIGKILL loses nothing; a value may then come a second time, never an older one after it.
"""

import threading
import time
from collections.abc import Callable
from functools import partial

from container_worker import log
from container_worker.derive.symbols import Symbols
from container_worker.kafka import Producer
from container_worker.kafka_consumer import ConsumedRecord, KafkaConsumer, Partition, Polled
from container_worker.sent_ticks import read_sent
from container_worker.settings import KafkaSettings
from marketdata import codec
from marketdata.errors import BrokerUnavailable, DecodeError
from marketdata.ticks import OFFSET, Conflator, Due, Taken
from marketdata.times import parse_iso_ms
from marketdata.topics import PRICES, TICKER, TICKS

POLL_SECONDS = 0.02
COMMIT_SECONDS = 1.0
REPORT_SECONDS = 60.0
DRAIN_SECONDS = 10.0


def run(kafka: KafkaSettings, symbols: Symbols, stop: threading.Event) -> None:
    """Derives until `stop`, and notes the symbols that it hears.

    Raises:
        BrokerError: Kafka refused; BrokerUnavailable when it did not answer at the start.
    """
    producer = Producer(kafka)
    consumer = KafkaConsumer(kafka, group="derive", topics=(PRICES,))
    derive = TickStage(consumer, producer, kafka, symbols, stop)
    log.event("derive.started", servers=kafka.bootstrap_servers)
    try:
        while not stop.is_set():
            try:
                derive.step()
            except BrokerUnavailable as error:
                log.event("derive.kafka_unavailable", level="warning", error=str(error))
                stop.wait(COMMIT_SECONDS)
        left = producer.flush(DRAIN_SECONDS)
        derive.commit()
        log.event("derive.ended", unacknowledged=left, counts=derive.report())
    finally:
        if not consumer.close():
            log.event("derive.group_not_left", level="warning")


class _Share:
    """One partition of `prices` while it is ours."""

    def __init__(self) -> None:
        self.conflator = Conflator()
        self.next_offset: int | None = None
        self.committed: int | None = None
        self._unacked: dict[int, int] = {}

    def sending(self, offset: int) -> Callable[[], None]:
        """Notes that the trade at `offset` is on its way; the result is its `on_ack`."""
        self._unacked[offset] = self._unacked.get(offset, 0) + 1
        return partial(self._acked, offset)

    def _acked(self, offset: int) -> None:
        left = self._unacked[offset] - 1
        if left:
            self._unacked[offset] = left
        else:
            del self._unacked[offset]

    def done_below(self) -> int | None:
        """Everything below this offset is sent and acknowledged; None while that is unknown."""
        if self.next_offset is None:
            return None
        unsent = self.conflator.oldest_unsent()
        bounds = [self.next_offset, *self._unacked]
        return min(bounds if unsent is None else [*bounds, unsent])


class TickStage:
    """The loop's body; `step` is one poll and what follows from it."""

    def __init__(
        self,
        consumer: KafkaConsumer,
        producer: Producer,
        kafka: KafkaSettings,
        symbols: Symbols,
        stop: threading.Event,
    ) -> None:
        self._consumer = consumer
        self._producer = producer
        self._kafka = kafka
        self._symbols = symbols
        self._stop = stop
        self._shares: dict[Partition, _Share] = {}
        self._unseeded: set[Partition] = set()
        self._out_of_range: set[Partition] = set()
        self._next_commit_s = 0.0
        self._next_report_s = time.monotonic() + REPORT_SECONDS
        self._records = self._ticks = self._rejects = 0

    def step(self) -> None:
        """Takes what has come, sends what is due, commits once a second.

        Raises:
            BrokerUnavailable: nothing was taken; the next step goes on where this one ended.
            BrokerError: Kafka refused.
        """
        self._prepare()
        polled = self._consumer.poll(seconds=POLL_SECONDS)
        self._follow_assignment(polled)
        if self._unseeded:
            self._seed()
        now_ms = time.monotonic_ns() // 1_000_000
        for record in polled.records:
            share = self._shares.get(Partition(record.topic, record.partition))
            if share is not None:
                self._take(share, record, now_ms)
        for share in self._shares.values():
            for due in share.conflator.tick(now_ms):
                self._send(share, due)
        self._producer.poll()
        now_s = time.monotonic()
        if now_s >= self._next_commit_s:
            self._next_commit_s = now_s + COMMIT_SECONDS
            self.commit()
        if now_s >= self._next_report_s:
            self._next_report_s = now_s + REPORT_SECONDS
            log.event("derive.progress", counts=self.report())
            for share in self._shares.values():
                share.conflator.forget_idle(now_ms)

    def commit(self) -> None:
        """Commits what is done, without waiting: what is refused is committed again later."""
        done = {part: share.done_below() for part, share in self._shares.items()}
        offsets = {
            part: offset
            for part, offset in done.items()
            if offset is not None and offset != self._shares[part].committed
        }
        self._consumer.commit(offsets, wait=False)
        for part, offset in offsets.items():
            self._shares[part].committed = offset

    def report(self) -> dict[str, int]:
        """The counters since the start, and those of the partitions that are ours now."""
        conflators = [share.conflator for share in self._shares.values()]
        return {
            "partitions": len(conflators),
            "keys": sum(len(one) for one in conflators),
            "records": self._records,
            "ticks": self._ticks,
            "rejects": self._rejects,
            "stale": sum(one.stale for one in conflators),
            "repeated": sum(one.repeated for one in conflators),
            "late": sum(one.late for one in conflators),
        }

    def _follow_assignment(self, polled: Polled) -> None:
        for partition in polled.lost:
            self._shares.pop(partition, None)
        for partition in polled.assigned:
            self._shares[partition] = _Share()
        for partition in polled.uncommitted:
            if partition in self._shares:
                self._shares[partition].committed = None
        self._unseeded.update(polled.assigned)
        self._out_of_range.update(polled.out_of_range)

    def _prepare(self) -> None:
        """Sees to partitions that stand still because the log no longer has their offset."""
        for partition in sorted(self._out_of_range & self._shares.keys()):
            begin, _ = self._consumer.log_range(partition)
            log.event("derive.retention", level="error", partition=partition.number, to=begin)
            self._shares[partition] = _Share()
            self._unseeded.add(partition)
            self._consumer.seek(partition, begin)
        self._out_of_range.clear()

    def _seed(self) -> None:
        """Both topics have the same keys, partitioner and number of partitions."""
        numbers = [partition.number for partition in self._unseeded & self._shares.keys()]
        self._unseeded.clear()
        for record in read_sent(self._kafka, numbers, self._stop):
            share = self._shares[Partition(PRICES.name, record.partition)]
            try:
                tick = codec.decode_tick(record.value)
                event_ms = parse_iso_ms(tick.timestamp)
                fields = codec.parse_headers(record.headers)
                offset = int(dict(record.headers or ()).get(OFFSET) or b"-1")
            except (DecodeError, ValueError):
                continue  # not ours: whoever wrote it, it says nothing about what we sent
            self._symbols.note(record.key or b"", tick.symbol)
            share.conflator.seed(record.key or b"", fields, tick, event_ms, offset)

    def _take(self, share: _Share, record: ConsumedRecord, now_ms: int) -> None:
        share.next_offset = record.offset + 1
        self._records += 1
        key, headers = record.key or b"", record.headers or []
        try:
            fields = codec.parse_headers(headers)
            if not share.conflator.fresh(key, fields, now_ms) or codec.is_mark(record.value):
                return
            update = codec.decode_price(record.value)
            self._symbols.note(key, update.symbol)
            event_ms = parse_iso_ms(update.timestamp)
            handed_on = [(name, raw or b"") for name, raw in headers]
            taken = Taken(update, event_ms, handed_on, record.offset, fields.received_ns)
            take = (
                share.conflator.take_ticker if fields.type == TICKER else share.conflator.take
            )
            due = take(key, taken, now_ms)
        except (DecodeError, ValueError):
            self._rejects += 1
            return
        if due is not None:
            self._send(share, due)

    def _send(self, share: _Share, due: Due) -> None:
        """Waits for room in the producer; at the end of the process it stays uncommitted."""
        on_ack = share.sending(due.offset)
        record = codec.Record(TICKS.name, due.key, codec.encode(due.tick), due.headers)
        while not self._producer.send(record, on_ack):
            if self._stop.is_set():
                return
            self._producer.poll(0.05)
        self._ticks += 1
