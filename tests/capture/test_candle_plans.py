"""Any plan of faults on candles: each minute ends closed, or is told as missing and asked for.

The exchange and the reader are written from the rules and share no code with the product.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from container_worker.capture.candle_sync import HISTORY, MOST_RECOVERED, CandleSync
from container_worker.capture.emissions import Recover, Write
from container_worker.capture.last_known import LastKnown
from container_worker.exchanges.outcomes import CandleState
from marketdata.messages import Gap

NOW = 1_723_161_600_000
MINUTE = 60_000
STATES = 4


def candle(minute, part=0, *, closed=None, volume=None):
    """The state of a minute's candle after `part` quarters of it."""
    start_ms = NOW + minute * MINUTE
    event_ms = start_ms + part * MINUTE // STATES
    return CandleState(
        *("T", event_ms, start_ms, MINUTE, "1m", "1", "2", "0.5", "1.5"),
        str(part if volume is None else volume),
        closed,
    )


def messages(emissions):
    return [each.message for each in emissions if isinstance(each, Write)]


class Topic:
    """What was written: closed candles by minute, gaps, and what was asked for."""

    def __init__(self) -> None:
        self.closed: dict[int, str] = {}
        self.missing: set[int] = set()
        self.asked: set[int] = set()
        self.newest = -1

    def read(self, core, emissions, *, room=True) -> None:
        for number, emission in enumerate(emissions):
            if isinstance(emission, Recover):
                span = range(emission.first, emission.last + 1, MINUTE)
                self.asked |= {(start - NOW) // MINUTE for start in span}
            elif isinstance(emission.message, Gap):
                gap = emission.message
                if gap.first is not None and gap.last is not None:
                    span = range(gap.first, gap.last + 1, MINUTE)
                    self.missing |= {(start - NOW) // MINUTE for start in span}
            elif room:
                self._candle(emission.message)
            else:
                self.read(core, core.overflow(emissions[number:]))
                return

    def _candle(self, message) -> None:
        minute = (message.timestamp - NOW) // MINUTE
        assert minute >= self.newest or message.closed, "candles go back"
        self.newest = max(self.newest, minute)
        if message.closed:
            assert minute not in self.closed, "closed twice"
            self.closed[minute] = bytes(message.volume).decode()


faults = st.sampled_from(["deliver"] * 6 + ["drop", "twice", "stale", "cut", "full", "room"])


@settings(max_examples=500, deadline=None)
@given(
    plan=st.lists(faults, min_size=8, max_size=60),
    says_closed=st.booleans(),
    quiet=st.sets(st.integers(1, 10), max_size=4),
)
def test_every_minute_is_closed_right_or_missing_and_asked_for(
    plan, says_closed, quiet
) -> None:
    """`quiet` minutes have no trade, so that the exchange has no candle of them.

    One of which nothing at all comes, on a line that nothing disturbs, looks the same.
    """
    core, topic, room, truth = CandleSync("x", "T", "T", recovers=True), Topic(), True, set()
    is_cut = False
    for number, fault in enumerate([*plan, "room", *["deliver"] * (2 * STATES)]):
        minute, part = divmod(number, STATES)
        if fault == "room" and not room:
            room = True
            topic.read(core, core.speak() if core.muted else [])
        if minute in quiet:
            continue
        truth.add(minute)
        state = candle(minute, part + 1, closed=part == STATES - 1 if says_closed else None)
        room = room and fault != "full"
        if fault == "cut":
            topic.read(core, core.disrupted("disconnect"))
            is_cut = True
        if fault in {"cut", "drop"}:
            continue
        topic.read(core, core.take(state, state.event_ms), room=room)
        if fault == "twice":
            assert core.take(state, state.event_ms) == []
        if fault == "stale" and part:
            assert core.take(candle(minute, part), state.event_ms) == []
    ended = {minute for minute in truth if minute < max(truth)}
    first = min(topic.closed, default=0)
    if says_closed or "drop" not in plan:
        parts = [plan[at : at + STATES] for at in range(0, len(plan), STATES)]
        unseen = {minute for minute, part in enumerate(parts) if part == ["drop"] * STATES}
        complete = {minute for minute in ended if minute > first} - unseen
        assert complete <= topic.closed.keys() | topic.missing
    if "drop" not in plan and not is_cut and "full" not in plan:
        assert all(volume == str(STATES) for volume in topic.closed.values())
        assert topic.missing == set()
    assert topic.missing <= topic.asked


def test_where_nobody_says_closed_the_next_begin_closes_the_one_before() -> None:
    sync = CandleSync("x", "T", "T")
    assert [one.closed for one in messages(sync.take(candle(0, 1), NOW))] == [False]
    assert sync.clock == "received"
    assert [one.closed for one in messages(sync.take(candle(0, 3), NOW))] == [False]
    before, begun = messages(sync.take(candle(5, 1), NOW))
    assert (before.closed, bytes(before.volume), before.timestamp) == (True, b"3", NOW)
    assert (begun.closed, begun.timestamp) == (False, NOW + 5 * MINUTE)
    assert sync.take(candle(5, 2, volume=0), NOW) == []


def test_a_candle_whose_end_may_be_lost_is_not_called_closed() -> None:
    sync = CandleSync("x", "T", "T", recovers=True)
    sync.take(candle(0, 1), NOW)
    sync.disrupted("disconnect")
    out = sync.take(candle(3, 1), NOW)
    gap, begun = messages(out)
    assert (gap.first, gap.last, gap.cause) == (NOW, NOW + 2 * MINUTE, "disconnect")
    assert not begun.closed
    assert Recover(gap.first, gap.last) in out


def test_a_short_outage_within_one_minute_loses_nothing() -> None:
    sync = CandleSync("x", "T", "T", recovers=True)
    sync.take(candle(0, 1), NOW)
    sync.disrupted("disconnect")
    assert len(sync.take(candle(0, 3), NOW)) == 1
    assert [one.closed for one in messages(sync.take(candle(1, 1), NOW))] == [True, False]


def test_at_the_first_start_of_all_the_history_is_asked_for_without_a_gap() -> None:
    sync = CandleSync("x", "T", "T", recovers=True)
    recover, _ = sync.take(candle(0, 1), NOW)
    assert recover == Recover(NOW - HISTORY * MINUTE, NOW - MINUTE)
    assert len(CandleSync("x", "T", "T").take(candle(0, 1), NOW)) == 1


def test_after_a_restart_the_minutes_between_are_a_gap_and_asked_for() -> None:
    known = LastKnown(NOW, NOW, NOW - MINUTE)
    sync = CandleSync("x", "T", "T", known, recovers=True)
    assert sync.take(candle(-1, 1), NOW) == []
    gap, recover, _ = sync.take(candle(3, 1), NOW)
    assert (gap.message.first, gap.message.last, gap.message.cause) == (
        *(NOW, NOW + 2 * MINUTE),
        "restart",
    )
    assert recover == Recover(NOW, NOW + 2 * MINUTE)
    known = LastKnown(NOW, NOW, NOW)
    sync = CandleSync("x", "T", "T", known, recovers=True)
    assert messages(sync.take(candle(3, 1), NOW))[0].first == NOW + MINUTE
    assert len(CandleSync("x", "T", "T", known, recovers=True).take(candle(1, 1), NOW)) == 1
    assert len(CandleSync("x", "T", "T", LastKnown(NOW, NOW)).take(candle(0, 3), NOW)) == 1


def test_of_a_long_hole_only_the_newest_candles_are_asked_for() -> None:
    sync = CandleSync("x", "T", "T", LastKnown(NOW, NOW), recovers=True)
    gap, recover, _ = sync.take(candle(5_000, 1), NOW + 5_000 * MINUTE)
    last = NOW + 4_999 * MINUTE
    assert (gap.message.first, gap.message.last) == (NOW, last)
    assert recover == Recover(last - (MOST_RECOVERED - 1) * MINUTE, last)


def test_recovered_candles_change_nothing_else() -> None:
    sync = CandleSync("x", "T", "T", recovers=True)
    sync.take(candle(9, 1), NOW)
    [late] = messages(sync.fill([candle(3, 4, closed=True)]))
    assert (late.timestamp, late.closed) == (NOW + 3 * MINUTE, True)
    assert len(sync.take(candle(9, 2), NOW)) == 1
