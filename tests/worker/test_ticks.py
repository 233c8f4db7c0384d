"""Conflation against an independent model: what is sent at each pace, in which order, when."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from marketdata.codec import HeaderFields
from marketdata.messages import NULL, PriceUpdate
from marketdata.ticks import IDLE_MS, PACES_MS, RATES, Conflator, Taken
from marketdata.times import iso_ms

START_MS = 1_700_000_000_000
HEADERS = HeaderFields(queue_id="q", epoch=5)


def trade(number, event_ms, offset=0):
    update = PriceUpdate(
        symbol="BTC/USDT",
        price=msgspec.Raw(b"1.50"),
        volume=NULL,
        timestamp=iso_ms(event_ms),
        source="binance",
        trade_id=number,
        quantity=msgspec.Raw(b"2"),
        side="BUY",
    )
    return Taken(update, event_ms, [("id", b"%d" % number)], offset)


def id_of(due):
    return int(dict(due.headers)["id"])


# One step: the key, how far event time moves (also back), how long until it arrives.
STEPS = st.lists(
    st.tuples(
        st.sampled_from([b"binance:A", b"binance:B"]),
        st.one_of(st.integers(-300, 400), st.integers(0, 12_000)),
        st.one_of(st.integers(0, 60), st.integers(0, 12_000)),
    ),
    max_size=40,
)


class Run:
    """Drives a conflator through a log of trades, as derive does; remembers what it sent."""

    def __init__(self, log, polls_ms=50):
        self.log = log
        self.polls_ms = polls_ms
        self.now_ms = 0
        self.sent = []  # (key, rate, trade id, when, offset)
        self.conflator = Conflator()

    def send(self, due):
        for rate in due.tick.rates:
            self.sent.append((due.key, rate, id_of(due), self.now_ms, due.offset))

    def wait(self, gap_ms):
        until = self.now_ms + gap_ms
        while self.now_ms < until:
            self.now_ms = min(until, self.now_ms + self.polls_ms)
            for due in self.conflator.tick(self.now_ms):
                self.send(due)

    def feed(self, begin, end):
        for offset in range(begin, end):
            key, number, event_ms, gap_ms = self.log[offset]
            self.wait(gap_ms)
            assert self.conflator.fresh(key, HEADERS, self.now_ms)
            due = self.conflator.take(key, trade(number, event_ms, offset), self.now_ms)
            if due is not None:
                self.send(due)


def make_log(steps):
    log, event_ms = [], dict.fromkeys((b"binance:A", b"binance:B"), START_MS)
    for number, (key, step_ms, gap_ms) in enumerate(steps):
        event_ms[key] += step_ms
        log.append((key, number, event_ms[key], gap_ms))
    return log


def last_of_each_window(log):
    """The model: of each key, pace and window the last trade; time never goes back."""
    found, high = {}, {}
    for key, number, event_ms, _ in log:
        high[key] = max(high.get(key, 0), event_ms)
        for rate, pace in zip(RATES, PACES_MS, strict=True):
            found[key, rate, high[key] // pace] = number
    return found


def window_of_trades(log):
    high, windows = {}, {}
    for key, number, event_ms, _ in log:
        high[key] = max(high.get(key, 0), event_ms)
        for rate, pace in zip(RATES, PACES_MS, strict=True):
            windows[rate, number] = high[key] // pace
    return windows


def check(run):
    windows = window_of_trades(run.log)
    last_sent = {}
    for key, rate, number, _, _ in run.sent:
        last_sent[key, rate, windows[rate, number]] = number
    assert last_sent == last_of_each_window(run.log)
    assert run.conflator.oldest_unsent() is None


def sent_at(run, key, rate):
    return [(number, when) for k, r, number, when, _ in run.sent if (k, r) == (key, rate)]


@given(STEPS)
def test_the_last_trade_of_every_window_is_the_last_value_sent_for_it(steps):
    run = Run(make_log(steps))
    run.feed(0, len(run.log))
    run.wait(PACES_MS[-1] + run.polls_ms)
    check(run)


@given(STEPS)
def test_no_pace_sends_an_older_value_after_a_newer_or_one_twice(steps):
    run = Run(make_log(steps))
    run.feed(0, len(run.log))
    run.wait(PACES_MS[-1] + run.polls_ms)
    for key in (b"binance:A", b"binance:B"):
        for rate in RATES:
            numbers = [number for number, _ in sent_at(run, key, rate)]
            assert numbers == sorted(set(numbers))


@given(STEPS)
def test_a_window_sends_once_a_pace_and_once_more_when_it_closes(steps):
    run = Run(make_log(steps))
    run.feed(0, len(run.log))
    run.wait(PACES_MS[-1] + run.polls_ms)
    windows = window_of_trades(run.log)
    for key in (b"binance:A", b"binance:B"):
        for rate, pace in zip(RATES, PACES_MS, strict=True):
            sent = sent_at(run, key, rate)
            for (first, at), (third, then) in zip(sent, sent[2:], strict=False):
                assert windows[rate, first] != windows[rate, third] or then - at >= pace


@given(STEPS, st.integers(1, 60))
def test_no_value_waits_longer_than_its_pace_and_one_poll(steps, polls_ms):
    run = Run(make_log(steps), polls_ms)
    taken_ms, now_ms = {}, 0
    for _, number, _, gap_ms in run.log:
        now_ms += gap_ms
        taken_ms[number] = now_ms
    run.feed(0, len(run.log))
    run.wait(PACES_MS[-1] + run.polls_ms)
    pace_of = dict(zip(RATES, PACES_MS, strict=True))
    for _, rate, number, when, _ in run.sent:
        assert when - taken_ms[number] <= pace_of[rate] + polls_ms


@given(STEPS, st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.booleans())))
def test_a_crash_anywhere_loses_nothing_and_no_pace_goes_back(steps, crashes):
    """A crash loses what was not acknowledged; the next life begins at an old commit."""
    run, position, committed, durable = Run(make_log(steps)), 0, 0, 0
    for ahead, lost, committing in crashes:
        end = min(len(run.log), position + ahead)
        run.feed(position, end)
        keep = max(durable, len(run.sent) - lost)
        unacked = [offset for *_, offset in run.sent[keep:]]
        unsent = run.conflator.oldest_unsent()
        done = min([end, *unacked, *([] if unsent is None else [unsent])])
        committed = max(committed, done) if committing else committed
        del run.sent[keep:]
        durable = keep
        run.conflator = Conflator()
        for key, rate, number, _, _ in run.sent:
            run.conflator.seed(key, HEADERS._replace(id=str(number)), [rate])
        position = committed
    run.feed(position, len(run.log))
    run.wait(PACES_MS[-1] + run.polls_ms)
    check(run)
    for key in (b"binance:A", b"binance:B"):
        for rate in RATES:
            numbers = [number for number, _ in sent_at(run, key, rate)]
            assert numbers == sorted(set(numbers))


def taken(conflator, number, event_ms, *, epoch=5, queue_id="q", now_ms=0):
    """Whether the trade passed the epochs, and what it made due."""
    fields = HeaderFields(queue_id=queue_id, epoch=epoch)
    if not conflator.fresh(b"k", fields, now_ms):
        return None
    return conflator.take(b"k", trade(number, event_ms), now_ms)


def flushed(conflator, now_ms=60_000):
    return [(id_of(due), due.tick.rates) for due in conflator.tick(now_ms)]


def test_a_stale_epoch_is_dropped_and_counted():
    conflator = Conflator()
    taken(conflator, 1, START_MS, epoch=5)
    taken(conflator, 9, START_MS + 1, epoch=4)
    taken(conflator, 8, START_MS + 2, epoch=4, queue_id="another")
    assert conflator.stale == 1
    assert flushed(conflator) == [(8, RATES)]


def test_a_mark_raises_the_epoch_too():
    conflator = Conflator()
    assert conflator.fresh(b"k", HeaderFields(queue_id="q", epoch=7), 0)
    assert not conflator.fresh(b"k", HeaderFields(queue_id="q", epoch=6), 0)


def test_a_trade_id_at_or_below_the_last_is_dropped_in_a_new_epoch_too():
    conflator = Conflator()
    taken(conflator, 10, START_MS, epoch=5)
    taken(conflator, 10, START_MS, epoch=6)
    taken(conflator, 9, START_MS - 500, epoch=6)
    assert conflator.repeated == 2
    assert flushed(conflator) == [(10, RATES)]


def test_a_new_epoch_that_is_a_minute_older_is_another_tape():
    conflator = Conflator()
    taken(conflator, 10, START_MS, epoch=5)
    due = taken(conflator, 3, START_MS - 3_600_000, epoch=6)
    assert id_of(due) == 10
    assert flushed(conflator) == [(3, RATES)]


def test_a_seed_is_void_for_a_new_epoch():
    conflator = Conflator()
    conflator.seed(b"k", HEADERS._replace(id="1000"), RATES)
    taken(conflator, 3, START_MS, epoch=6)
    assert flushed(conflator) == [(3, RATES)]


def test_what_a_seed_says_was_sent_is_not_sent_again():
    conflator = Conflator()
    conflator.seed(b"k", HEADERS._replace(id="4"), ["250ms"])
    conflator.seed(b"k", HEADERS._replace(id="3"), ["1s"])
    taken(conflator, 3, START_MS)
    taken(conflator, 4, START_MS + 1)
    assert flushed(conflator) == [(4, ("1s", "10s"))]


def test_ids_that_are_texts_are_dropped_only_when_they_repeat():
    conflator = Conflator()
    for now_ms, name in enumerate(["b", "b", "a"]):
        assert conflator.fresh(b"k", HEADERS, now_ms)
        one = trade(0, START_MS)
        update = msgspec.structs.replace(one.update, trade_id=name)
        conflator.take(b"k", one._replace(update=update), now_ms)
    assert conflator.repeated == 1
    [due] = conflator.tick(60_000)
    assert due.offset == 0


def test_the_digits_and_the_unknown_volume_are_handed_on():
    conflator = Conflator()
    taken(conflator, 1, START_MS)
    [due] = conflator.tick(60_000)
    assert msgspec.json.encode(due.tick) == (
        b'{"type":"price_update","symbol":"BTC/USDT","price":1.50,"volume":null,'
        b'"timestamp":"2023-11-14T22:13:20.000Z","source":"binance",'
        b'"rates":["250ms","1s","10s"]}'
    )


def test_an_idle_key_is_forgotten_and_an_unsent_one_never():
    conflator = Conflator()
    taken(conflator, 1, START_MS)
    conflator.forget_idle(IDLE_MS)
    assert len(conflator) == 1
    list(conflator.tick(IDLE_MS))
    conflator.forget_idle(IDLE_MS - 1)
    assert len(conflator) == 1
    conflator.forget_idle(IDLE_MS)
    assert len(conflator) == 0


def test_an_event_time_far_ahead_slows_nothing_but_windows_down():
    """A bad clock leaves the pace to our own clock until event time has caught up."""
    conflator = Conflator()
    taken(conflator, 1, START_MS + 86_400_000)
    for number in range(2, 12):
        now_ms = number * 100
        taken(conflator, number, START_MS + now_ms, now_ms=now_ms)
        list(conflator.tick(now_ms))
    assert flushed(conflator)[-1][0] == 11
