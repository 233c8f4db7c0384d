"""Conflation against an independent model: what is sent at each pace, in which order, when."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.codec import HeaderFields
from marketdata.errors import DecodeError
from marketdata.messages import NULL, PriceUpdate, Tick
from marketdata.tick_key import VOLUME_MS
from marketdata.ticks import IDLE_MS, PACES_MS, QUIET_MS, RATES, Conflator, Taken
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


def opaque(text, event_ms, received_ns):
    """A trade of an exchange whose ids only tell repeats."""
    one = trade(0, event_ms)
    update = msgspec.structs.replace(one.update, trade_id=text)
    return one._replace(update=update, headers=[("id", text.encode())], received_ns=received_ns)


def sent_tick(rates, event_ms=0, volume=b"null"):
    """A record of `ticks` as an earlier life wrote it."""
    return Tick(
        symbol="BTC/USDT",
        price=msgspec.Raw(b"1.50"),
        volume=msgspec.Raw(volume),
        timestamp=iso_ms(event_ms),
        source="binance",
        rates=tuple(rates),
    )


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
            run.conflator.seed(key, HEADERS._replace(id=str(number)), sent_tick([rate]), 0, 0)
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
    conflator.seed(b"k", HEADERS._replace(id="1000"), sent_tick(RATES), 0, 0)
    taken(conflator, 3, START_MS, epoch=6)
    assert flushed(conflator) == [(3, RATES)]


def test_what_a_seed_says_was_sent_is_not_sent_again():
    conflator = Conflator()
    conflator.seed(b"k", HEADERS._replace(id="4"), sent_tick(["250ms"]), 0, 0)
    conflator.seed(b"k", HEADERS._replace(id="3"), sent_tick(["1s"]), 0, 0)
    taken(conflator, 3, START_MS)
    taken(conflator, 4, START_MS + 1)
    assert flushed(conflator) == [(4, ("1s", "10s"))]


def test_ids_that_are_texts_are_dropped_only_when_they_repeat():
    conflator = Conflator()
    for now_ms, name in enumerate(["b", "b", "a"]):
        assert conflator.fresh(b"k", HEADERS, now_ms)
        conflator.take(b"k", opaque(name, START_MS, now_ms), now_ms)
    assert conflator.repeated == 1
    [due] = conflator.tick(60_000)
    assert dict(due.headers)["id"] == b"a"


# A tape of text ids: how far event time moves (also back), and who has the same receive time.
TEXT_STEPS = st.lists(
    st.tuples(st.integers(-400, 1_500), st.integers(0, 2)), min_size=1, max_size=30
)


@given(TEXT_STEPS, st.data())
def test_after_a_crash_text_ids_lose_nothing_and_no_pace_goes_back(steps, data):
    """Whatever event times and frames say, the topic is the order."""
    log, event_ms, received_ns = [], START_MS, 1
    for number, (step_ms, later_ns) in enumerate(steps):
        event_ms, received_ns = event_ms + step_ms, received_ns + later_ns
        log.append(
            opaque(f"{number:x}-{number}", event_ms, received_ns)._replace(offset=number)
        )
    crash = data.draw(st.integers(0, len(log)), "crash")
    first, second = Conflator(), Conflator()
    sent = _lived(first, log[:crash])
    durable = data.draw(st.integers(0, len(sent)), "acknowledged")
    done, unsent = sent[:durable], first.oldest_unsent()
    unacked = [offset for offset, _ in sent[durable:]]
    begin = min([crash, *unacked, *([] if unsent is None else [unsent])])
    begin = data.draw(st.integers(0, begin), "commit")
    for offset, rates in done:
        headers = HEADERS._replace(
            type="ws_trades", id=f"{offset:x}-{offset}", received_ns=log[offset].received_ns
        )
        second.seed(b"k", headers, sent_tick(rates), 0, offset)
    again = _lived(second, log[begin:], flush=True)
    for rate in RATES:
        offsets = [offset for offset, rates in done + again if rate in rates]
        assert offsets[-1] == len(log) - 1
        assert offsets == sorted(set(offsets))


@pytest.mark.parametrize(("offset", "received_ns"), [(8, 49), (2, 51)])
def test_neither_a_clock_that_went_back_nor_a_topic_made_anew_hides_a_text_id(
    offset, received_ns
):
    conflator = Conflator()
    headers = HEADERS._replace(type="ws_trades", id="a", received_ns=50)
    conflator.seed(b"k", headers, sent_tick(RATES), START_MS, 7)
    sent_already = opaque("a", START_MS, 50)._replace(offset=7)
    for one in (sent_already, opaque("b", START_MS - 9, received_ns)._replace(offset=offset)):
        assert conflator.fresh(b"k", HEADERS, 0)
        conflator.take(b"k", one, 0)
    [due] = conflator.tick(60_000)
    assert (dict(due.headers)["id"], due.tick.rates) == (b"b", RATES)


def _lived(conflator, log, *, flush=False):
    """What a life sends: (offset, rates), the clock going with the receive time."""
    sent = []
    for now_ms, one in enumerate(log):
        assert conflator.fresh(b"k", HEADERS, now_ms)
        due = conflator.take(b"k", one, now_ms)
        sent += [due] if due is not None else []
    if flush:
        sent += conflator.tick(10**6)
    return [(due.offset, due.tick.rates) for due in sent]


def said(event_ms, price=b"1.50", volume=b"98.7654", received_ns=0, offset=0):
    """What a ticker channel says."""
    update = PriceUpdate(
        symbol="BTC/USDT",
        price=msgspec.Raw(price),
        volume=msgspec.Raw(volume),
        timestamp=iso_ms(event_ms),
        source="binance",
        trade_id="",
        quantity=NULL,
        side="",
    )
    return Taken(update, event_ms, [("type", b"ws_ticker")], offset, received_ns)


def ticked(conflator, *arguments, now_ms=0, **more):
    assert conflator.fresh(b"k", HEADERS, now_ms)
    return conflator.take_ticker(b"k", said(*arguments, **more), now_ms)


def prices(conflator, now_ms):
    """Price and volume of what is due by the clock."""
    return [(bytes(due.tick.price), bytes(due.tick.volume)) for due in conflator.tick(now_ms)]


def test_the_tickers_volume_goes_into_the_ticks_of_the_trades():
    conflator = Conflator()
    taken(conflator, 1, START_MS)
    ticked(conflator, START_MS + 5, b"9.99", b"123.40")
    assert prices(conflator, 60_000) == [(b"1.50", b"123.40")]
    taken(conflator, 2, START_MS + VOLUME_MS + 4)
    assert prices(conflator, 120_000) == [(b"1.50", b"123.40")]
    taken(conflator, 3, START_MS + VOLUME_MS + 5)
    assert prices(conflator, 180_000) == [(b"1.50", b"null")]


def test_the_tickers_price_counts_only_after_a_minute_without_trades():
    conflator = Conflator()
    taken(conflator, 1, START_MS)
    list(conflator.tick(60_000))
    ticked(conflator, START_MS + QUIET_MS - 1, b"2.00")
    assert prices(conflator, 120_000) == []
    ticked(conflator, START_MS + QUIET_MS, b"3.00", b"7")
    assert prices(conflator, 180_000) == [(b"3.00", b"7")]
    taken(conflator, 2, START_MS + QUIET_MS + 1)
    assert prices(conflator, 240_000) == [(b"1.50", b"7")]


def test_a_key_without_trades_has_the_tickers_prices_in_the_order_of_their_times():
    conflator = Conflator()
    for event_ms, price in ((10, b"1"), (20, b"2"), (20, b"2"), (15, b"9"), (20, b"3")):
        ticked(conflator, START_MS + event_ms, price)
    assert conflator.repeated == 2
    assert prices(conflator, 60_000) == [(b"3", b"98.7654")]


def test_a_ticker_does_not_move_the_last_trade_id():
    conflator = Conflator()
    one = said(START_MS)
    update = msgspec.structs.replace(one.update, trade_id=1_000)
    assert conflator.fresh(b"k", HEADERS, 0)
    conflator.take_ticker(b"k", one._replace(update=update), 0)
    taken(conflator, 7, START_MS + 1)
    assert conflator.repeated == 0
    assert flushed(conflator) == [(7, RATES)]


@pytest.mark.parametrize("volume", [b'"1"', b"[]", b"1e9999", b"NaN", b"\xff"])
def test_a_ticker_whose_volume_is_no_number_is_refused_and_leaves_the_volume_alone(volume):
    conflator = Conflator()
    ticked(conflator, START_MS, b"1", b"5")
    with pytest.raises(DecodeError):
        ticked(conflator, START_MS + 1, b"1", volume)
    assert prices(conflator, 60_000) == [(b"1", b"5")]


def test_what_was_fetched_later_is_no_news():
    conflator = Conflator()
    taken(conflator, 9, START_MS)
    assert not conflator.fresh(b"k", HEADERS._replace(epoch=6, backfill=True), 0)
    assert conflator.late == 1
    taken(conflator, 10, START_MS + 1)
    assert flushed(conflator) == [(10, RATES)]


def test_a_restart_remembers_the_volume_and_that_there_were_trades():
    conflator = Conflator()
    headers = HEADERS._replace(type="ws_trades", id="4", received_ns=50)
    conflator.seed(b"k", headers, sent_tick(RATES, volume=b"77.0"), START_MS, 7)
    ticked(conflator, START_MS + 100, b"9", b"null", received_ns=60, offset=8)
    assert prices(conflator, 60_000) == []
    taken(conflator, 5, START_MS + 200)
    assert prices(conflator, 120_000) == [(b"1.50", b"77.0")]


def test_a_tickers_tick_that_was_sent_is_not_sent_again_and_hides_no_trade():
    conflator = Conflator()
    headers = HEADERS._replace(type="ws_ticker", id="1000000", received_ns=50)
    conflator.seed(b"k", headers, sent_tick(RATES), START_MS, 7)
    ticked(conflator, START_MS, b"9", received_ns=50, offset=7)
    assert prices(conflator, 60_000) == []
    assert conflator.fresh(b"k", HEADERS, 0)
    conflator.take(b"k", trade(5, START_MS + 1, offset=8)._replace(received_ns=51), 0)
    assert prices(conflator, 120_000) == [(b"1.50", b"98.7654")]


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
