"""What was written, folded record by record into what the checks need: bounded, however long.

Loaded by conftest.py. It shares no code with the product: the rules are those of rule 7.
"""

import json
import re
import threading
from bisect import bisect_left
from decimal import Decimal
from typing import NamedTuple

from venues_rig import BookReader

BOOKS = {"ws_diff_depth", "ws_depth"}


class Gap(NamedTuple):
    """A gap record; `to` and `last` are None while it is open.

    `opened_ms` and `closed_ms` are when its records were written, by the clock of receipt.
    """

    first: int | None
    last: int | None
    cause: str
    from_: int
    to: int | None
    opened_ms: int
    closed_ms: int

    def covers(self, at_ms, slack_ms, lag_ms):
        """Whether what happened then, at an event time up to `lag_ms` before, is in it."""
        was_open = self.from_ - slack_ms <= at_ms <= self.closed_ms + slack_ms
        return was_open and at_ms - lag_ms <= self.to


class Ranges:
    """A set of integers as ranges; `doubles` are those that were put in twice."""

    def __init__(self):
        self.ranges = []
        self.doubles = []

    def add(self, first, last):
        at = bisect_left(self.ranges, (first, first))
        if at and self.ranges[at - 1][1] >= first - 1:
            at -= 1
        start, end = at, at
        low, high = first, last
        while end < len(self.ranges) and self.ranges[end][0] <= last + 1:
            known_first, known_last = self.ranges[end]
            if known_first <= last and first <= known_last:
                self.doubles.append((max(known_first, first), min(known_last, last)))
            low, high = min(low, known_first), max(high, known_last)
            end += 1
        self.ranges[start:end] = [(low, high)]

    def missing(self, first, last):
        """The parts of first to last that are not in the set."""
        holes, at = [], first
        for low, high in self.ranges:
            if high < at:
                continue
            if low > last:
                break
            if low > at:
                holes.append((at, low - 1))
            at = max(at, high + 1)
        if at <= last:
            holes.append((at, last))
        return holes


class UnitLedger:
    """All records of one unit.

    `unannounced`: ids that a reader saw missing before any gap record told them. `corrected`:
    ids at which a book was stated as another one, and no gap record told readers that theirs
    was wrong.
    """

    def __init__(self, exchange, ticker, type_):
        self.exchange, self.ticker, self.type = exchange, ticker, type_
        self.records = self.backfilled = 0
        self.data = Ranges()
        self.told = Ranges()
        self.statements = Ranges()
        self.gaps = []
        self.open = None
        self.candles = {}
        self.event_ids = []
        self.reader = BookReader() if type_ in BOOKS else None
        self.stated = None
        self.received_ms = 0
        self.unannounced = []
        self.corrected = []
        self._is_excused = True

    def fold(self, message, headers):
        """Takes the next record."""
        kind = message.get("e")
        if kind == "watermark":
            return
        self.received_ms = int(headers["received_ns"]) // 1_000_000
        if kind == "gap":
            self._gap(message)
            return
        self.records += 1
        self.backfilled += "backfill" in headers
        if self.reader is not None:
            self._book(message)
        elif self.type == "ws_trades":
            if headers["id"].isdigit():
                self.data.add(int(headers["id"]), int(headers["id"]))
        elif self.type == "ws_candles":
            start = message["timestamp"]
            self.candles[start] = self.candles.get(start, False) or message["closed"]
        elif self.type == "contract_events":
            self.event_ids.append(message["id"])

    def _gap(self, message):
        values = [message[name] for name in ("first", "last", "cause", "from", "to")]
        opened_ms = self.received_ms if self.open is None else self.open.opened_ms
        gap = Gap(*values, opened_ms, self.received_ms)
        if gap.to is None:
            self.open = gap
        else:
            self.open = None
            self._is_excused = True
            self.gaps.append(gap)
            if gap.first is not None and gap.last is not None:
                self.told.add(gap.first, gap.last)
        self.reader and self.reader.read(message)

    def _book(self, message):
        last, before = self.reader.last, self.reader.book
        is_delta = message["e"] == "depthUpdate"
        first, final = message["U" if is_delta else "u"], message["u"]
        if is_delta:
            self.data.add(first, final)
        else:
            self.statements.add(final, final)
            self.stated = final if self.stated is None else self.stated
        is_told = self._is_excused or self.open is not None
        if last is not None and not is_told:
            self.unannounced += self.told.missing(last + 1, first - 1)
        was_whole = self.reader.whole and not is_told
        self.reader.read(message)
        if self.type == "ws_diff_depth" and not is_delta and was_whole:
            self.corrected += [] if self.reader.book == before else [final]
        self._is_excused = False

    @property
    def name(self):
        return f"{self.exchange} {self.ticker} {self.type}"


class LedgerProducer:
    """In place of Kafka: each record is folded and forgotten; `full` is a broker in trouble."""

    def __init__(self, units):
        self.full = self.closed = False
        self.in_flight = 0
        self.units = {unit: UnitLedger(*unit) for unit in units}
        self.rejects = []
        self.statuses = {}
        self.lossy = set()
        self.left_out = set()
        self._lock = threading.Lock()

    @property
    def crowded(self):
        return self.full

    def send(self, record, on_ack=None, *, reserved=False):
        if self.full and not reserved:
            return False
        headers = {name: value.decode() for name, value in record.headers}
        with self._lock:
            self._fold(record, headers)
        if on_ack is not None:
            on_ack()
        return True

    def book(self, unit):
        """A reader's book as it is now."""
        with self._lock:
            return dict(unit.reader.book)

    def _fold(self, record, headers):
        message = json.loads(record.value, parse_float=Decimal)
        if record.topic == "rejects":
            self.rejects.append((record.key.decode(), message))
        elif record.topic == "queue-events":
            self._telemetry(message)
        elif not self.closed:
            exchange, _, ticker = record.key.decode().partition(":")
            unit = self.units.get((exchange, ticker, headers["type"]))
            if unit is not None:
                unit.fold(message, headers)

    def _telemetry(self, event):
        """Which HTTP statuses were said of which exchange, and which units lost something.

        And of which exchanges frames are not in rejects.
        """
        if event["status"] != "error":
            return
        exchange, text = event["queue_id"], event["message"]
        if "missing" in text:
            self.lossy.add((exchange, event["symbol"], event["type"]))
        if "not in rejects" in text:
            self.left_out.add(exchange)
        self.statuses.setdefault(exchange, set()).update(re.findall(r"HTTP (\d+)", text))

    def poll(self, seconds=0.0):
        if seconds:
            threading.Event().wait(seconds)

    def flush(self, seconds):
        return 0
