"""The ledger's figures against the same figures made from the CSV and marks files alone."""

import csv
import io
from datetime import datetime, timedelta

import pytest

from marketdata.archive_fold import ArchiveFold
from marketdata.archive_layout import object_path, read_path
from marketdata.archive_state import PartitionState, decode_state, encode_state
from marketdata.completeness import ledger

DAY = timedelta(days=1)
STEP = {"prices": 1, "candles": 60_000, "events": 1, "orderbook": 1}
OURS = {("coinbase", "BTC-USD", "ws_diff_depth"), ("stockbit", "BBCA", "ws_depth")}


def ms(text):
    return round(datetime.fromisoformat(text).timestamp() * 1000)


class Files:
    """What one unit's files of all days say."""

    def __init__(self, objects, topic, exchange, ticker, stream_type):
        self.topic, self.numbered = topic, (exchange, ticker, stream_type) not in OURS
        self.rows, self.marks = {}, {}
        for path, data in objects.items():
            name = read_path(path)
            if (name.topic, name.exchange, name.ticker, name.type) == (
                topic, exchange, ticker, stream_type
            ):  # fmt: skip
                where = self.marks if name.marks else self.rows
                where[name.day] = list(csv.DictReader(io.StringIO(data.decode())))
        self.gaps = {}
        for day in sorted(self.marks):
            for mark in self.marks[day]:
                if mark["kind"] == "gap":
                    # Once more at the beginning of a day is no other gap.
                    key = tuple(mark[name] for name in ("first_id", "last_id", "cause", "from"))
                    self.gaps.setdefault(key, (day, mark))
        self.late = self.filled()

    def id_of(self, row):
        if self.topic == "prices":
            return int(row["trade_id"]) if row["trade_id"].isdigit() else None
        return ms(row["timestamp"]) if self.topic == "candles" else None

    def span(self, mark):
        known = mark["first_id"] and mark["last_id"] and self.numbered
        return (int(mark["first_id"]), int(mark["last_id"])) if known else None

    def filled(self):
        """Day of the gap → rows that came late, of all days."""
        found = {}
        for day, mark in self.gaps.values():
            span = self.span(mark)
            if span and self.topic in ("prices", "candles"):
                found[day] = found.get(day, 0) + sum(
                    span[0] <= self.id_of(row) <= span[1]
                    for rows in self.rows.values()
                    for row in rows
                    if self.id_of(row) is not None
                )
        return found

    def missing(self, day):
        told = 0
        for of_day, mark in self.gaps.values():
            span = self.span(mark)
            if of_day == day and span:
                told += (span[1] - span[0]) // STEP[self.topic] + 1
        return told - self.late.get(day, 0)

    def late_rows(self, day):
        """The numbers of the rows that lie in a gap or in a history."""
        history = {
            number
            for mark in self.marks.get(day, ())
            if mark["kind"] == "backfill" and mark["cause"] == "history"
            for number in range(int(mark["row"]), int(mark["row"]) + int(mark["rows"]))
        }
        spans = [span for _, mark in self.gaps.values() if (span := self.span(mark))]
        late = {
            number
            for number, row in enumerate(self.rows.get(day, ()))
            if (id_ := self.id_of(row)) is not None
            and any(first <= id_ <= last for first, last in spans)
        }
        return history, late

    def uncovered(self, day, exchange, began):
        """Milliseconds of the union of the gaps' times in a day, by a sweep."""
        zone = timedelta(hours=7 if exchange == "stockbit" else 0)
        midnight = datetime.fromisoformat(f"{day}T00:00:00+00:00") - zone
        first, last = ms(midnight.isoformat()), ms((midnight + DAY).isoformat())
        edges = []
        for _, mark in self.gaps.values():
            if mark["from"] and mark["to"]:
                start = max(ms(mark["from"]), first, began)
                end = min(ms(mark["to"]), last)
                if start < end:
                    edges += [(start, 1), (end, -1)]
        total = depth = since = 0
        for at, change in sorted(edges):
            total += at - since if depth else 0
            depth, since = depth + change, at
        return total


def states(records, cuts):
    folds = {}
    for index, (topic, key, headers, value) in enumerate(records):
        fold = folds.setdefault(topic, ArchiveFold(topic, PartitionState()))
        if index in cuts:
            fold = folds[topic] = ArchiveFold(topic, decode_state(encode_state(fold.state)))
        fold.fold(key, headers, value)
    return {topic: fold.state for topic, fold in folds.items()}


def check(one, files, tape):
    """One unit's figures of one day."""
    day = one.date
    gaps = [mark for of_day, mark in files.gaps.values() if of_day == day]
    causes = [mark["cause"] for mark in gaps]
    assert one.gaps == len(gaps)
    assert one.causes == {cause: causes.count(cause) for cause in sorted(set(causes))}
    assert one.unnumbered == sum(files.span(mark) is None for mark in gaps)
    assert one.missing == files.missing(day)
    assert one.backfilled == files.late.get(day, 0)
    history, late = files.late_rows(day)
    assert one.history == len(history)
    live = [
        row
        for number, row in enumerate(files.rows.get(day, ()))
        if number not in history | late
    ]
    path = object_path(files.topic, one.exchange, one.ticker, one.type, day)
    if files.topic != "orderbook":
        assert one.events == len(live)
        assert (one.first_event, one.last_event) == (
            (live[0]["timestamp"], live[-1]["timestamp"]) if live else ("", "")
        )
    elif one.exchange == "stockbit":
        assert one.events == sum(
            mark["kind"].startswith("snapshot") for mark in files.marks.get(day, ())
        )
    else:
        assert one.events == tape.messages.get(path, 0)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("which", ["seeded_tape", "exchange_tape"])
def test_the_figures_are_those_of_the_files_alone(request, which, seed):
    tape = request.getfixturevalue(which)(seed, 600)
    objects = tape.objects()
    cuts = tape.rng.sample(range(len(tape.records)), 10)
    checked = 0
    for topic, state in states(tape.records, set(cuts)).items():
        for whole in ledger(state):
            unit = (topic, whole.exchange, whole.ticker, whole.type)
            files = Files(objects, *unit)
            days = sorted(files.rows.keys() | files.marks.keys())
            by_day = [
                one for day in days for one in ledger(state, day) if (topic, *one[:3]) == unit
            ]
            began = ms(whole.first_event)
            for one in by_day:
                check(one, files, tape)
                lasting = any(mark["kind"] == "open" for mark in files.marks.get(one.date, ()))
                if not one.open_cause:
                    assert one.uncovered_ms == files.uncovered(one.date, one.exchange, began)
                else:
                    assert lasting
                assert one.whole
                checked += 1
            for name in ("events", "gaps", "missing", "backfilled", "uncovered_ms", "span_ms"):
                assert getattr(whole, name) == sum(getattr(one, name) for one in by_day), name
    assert checked > 8
