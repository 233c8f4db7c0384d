"""Any plan of faults on a book that nobody numbers ends with the true book, or marked.

The exchange and the reader (stream_rig.py) share no code with the product.
"""

import importlib.util
import sys
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from container_worker.capture.emissions import Renew, Restate, Write
from container_worker.capture.side_sync import SideSync
from container_worker.capture.stream_book_sync import CROSSED_MS, StreamBookSync
from container_worker.exchanges.outcomes import BookDelta, BookState
from marketdata.messages import DepthSnapshot, DepthUpdate

spec = importlib.util.spec_from_file_location(
    "stream_rig", Path(__file__).with_name("stream_rig.py")
)
rig = importlib.util.module_from_spec(spec)
sys.modules["stream_rig"] = rig
spec.loader.exec_module(rig)
Market, Shell = rig.Market, rig.Shell

NOW = 1_723_161_600_000
QUIET = 12

faults = st.sampled_from(
    ["deliver"] * 8
    + ["wait", "garbage", "garbage_new", "cut", "back", "share", "new_stays", "old_stays"]
    + ["died", "full", "room", "stall", "repeat", "wild_clock"]
)
plans = st.lists(faults, min_size=5, max_size=60)


def apply_fault(fault, shell) -> None:
    shell.advance()
    if fault == "wait":
        return
    if fault in {"share", "new_stays", "old_stays", "died", "full", "room", "back"}:
        change_sockets(fault, shell)
    elif fault == "stall":
        shell.run(shell.core.stalled())
    elif fault == "garbage_new" and shell.new is not None:
        shell.garbage(shell.new)
    elif shell.current is not None:
        hurt(fault, shell)
    shell.deliver(shell.current, shell.market.chance.choice([1, 99, 99]))
    shell.deliver(shell.new, shell.market.chance.choice([1, 2, 99]))


def change_sockets(fault, shell) -> None:
    if fault == "back":
        shell.current = shell.current or shell.connect()
    elif fault == "share":
        shell.share()
    elif fault in {"full", "room"}:
        shell.set_room(room=fault == "room")
    else:
        shell.part(new_stays=fault != "old_stays", dead=fault == "died")


def hurt(fault, shell) -> None:
    if fault == "garbage":
        shell.garbage(shell.current)
    elif fault == "cut":
        shell.cut()
    elif fault == "repeat":
        shell.state(shell.current)
    elif fault == "wild_clock" and not shell.by_side:
        version, _ = shell.current.frames.pop()
        shell.current.frames.append((version, shell.event(ahead_ms=7_200_000)))


def play(shell, plan) -> None:
    for fault in plan:
        apply_fault(fault, shell)
        if not shell.reader.marked and shell.core._guard.held is None:
            assert shell.reader.book in shell.plausible()
    shell.settle()
    for _ in range(QUIET):
        shell.advance()
        shell.deliver(shell.current)
    shell.settle()


def check_end(shell) -> None:
    reader = shell.reader
    assert not reader.marked
    assert reader.book == shell.market.books[shell.version]
    reader.announced()
    assert all(gap.from_ <= gap.to for gap in reader.gaps if gap.to is not None)
    assert not any(gap.first is None for gap in reader.gaps)
    for version in shell.lost if shell.wild < 2 else ():
        assert reader.covers(shell.market.time(version))


@settings(max_examples=600, deadline=None)
@given(seed=st.integers(0, 2**32), plan=plans)
def test_every_reader_of_an_unnumbered_book_ends_with_the_true_one(seed, plan) -> None:
    market = Market(seed, len(plan) + QUIET)
    shell = Shell(StreamBookSync("x", "T"), market)
    shell.deliver(shell.current)
    play(shell, plan)
    check_end(shell)
    if "wild_clock" not in plan:
        assert set(shell.reader.first_of_day.values()) <= {"DepthSnapshot", "Gap"}


@settings(max_examples=400, deadline=None)
@given(seed=st.integers(0, 2**32), plan=plans)
def test_every_reader_of_a_book_by_sides_ends_with_the_true_one(seed, plan) -> None:
    market = by_sides(Market(seed, len(plan) + QUIET))
    shell = Shell(SideSync("x", "T"), market, by_side=True)
    shell.deliver(shell.current)
    play(shell, plan)
    check_end(shell)


def by_sides(market):
    """Each version changes only the side that its message states."""
    for version in range(1, len(market.books)):
        side, other = market.changed_side(version), market.changed_side(version + 1)
        before = market.books[version - 1]
        kept = {place: size for place, size in before.items() if place[0] == other}
        stated = {
            place: size for place, size in market.books[version].items() if place[0] == side
        }
        market.books[version] = kept | stated
    return market


def delta(bids=(), asks=(), event_ms=NOW):
    return BookDelta("exchange", DepthUpdate(event_ms, "T", 0, 0, list(bids), list(asks), "x"))


def statement(bids=(), asks=(), event_ms=NOW, type_="ws_diff_depth"):
    book = DepthSnapshot(event_ms, "T", 0, list(bids), list(asks), "x")
    return BookState(type_, "exchange", book)


def messages(emissions):
    return [each.message for each in emissions if isinstance(each, Write)]


def opened(bids=(("9", "1"),), asks=(("11", "1"),)):
    sync = StreamBookSync("x", "T")
    [first] = messages(sync.take(statement(bids, asks), NOW))
    assert first.u == 1
    return sync


def test_the_first_record_is_number_one_and_each_delta_the_next() -> None:
    sync = StreamBookSync("x", "T")
    assert sync.take(delta([("9", "2")]), NOW) == []
    assert not sync.settled
    [first] = messages(sync.take(statement([("9", "1")], [("11", "1")], NOW - 1), NOW))
    assert (first.u, first.b) == (1, [("9", "1")])
    [day, second] = messages(sync.take(delta([("8", "2")], event_ms=NOW), NOW))
    assert (day.u, day.E) == (1, NOW)
    assert (second.U, second.u, second.b) == (2, 2, [("8", "2")])
    assert sync.passed == 1


def test_a_statement_of_what_is_known_writes_nothing_however_it_is_spelled() -> None:
    sync = opened([("9.50", "1.0")])
    assert sync.take(statement([("9.5", "1.000")], [("11.0", "1")]), NOW) == []
    assert sync.take(statement([("9.5", "1.000")], [("11.0", "1")]), NOW) == []
    [gap, book] = messages(sync.take(statement([("9.5", "1.001")], [("11.0", "1")]), NOW + 5))
    assert (gap.first, gap.last, gap.cause, gap.from_) == (2, 2, "sequence", NOW)
    assert (book.u, book.b) == (2, [("9.5", "1.001")])


def test_a_book_that_stays_crossed_is_a_gap_and_is_asked_for() -> None:
    sync = opened()
    assert len(sync.take(delta([("11", "1")]), NOW)) == 1
    assert len(sync.take(delta(asks=[("11", "0")]), NOW + 10)) == 1
    sync.take(delta([("12", "1")], [("12", "1")]), NOW + 20)
    out = sync.take(delta([("12", "2")], event_ms=NOW + 3), NOW + 20 + CROSSED_MS)
    [_, gap] = messages(out)
    assert (gap.first, gap.last, gap.cause, gap.from_, gap.to) == (
        6,
        None,
        "sequence",
        NOW,
        None,
    )
    assert isinstance(out[-1], Restate)
    assert sync.take(delta([("8", "2")]), NOW) == []
    [closed, book] = messages(sync.take(statement([("8", "2")], [("12", "1")], NOW + 9), NOW))
    assert (closed.first, closed.last, closed.to, book.u) == (6, 6, NOW + 9, 6)


def test_a_stall_is_decided_by_what_the_exchange_states_then() -> None:
    sync = opened()
    assert sync.stalled() == [Restate()]
    assert sync.take(statement([("9", "1")], [("11", "1")], NOW + 5_000), NOW) == []
    assert sync.settled
    sync.stalled()
    [gap, _] = messages(sync.take(statement([("9", "2")], [("11", "1")], NOW + 9_000), NOW))
    assert (gap.cause, gap.from_, gap.to) == ("stall", NOW + 5_000, NOW + 9_000)


def test_what_lives_again_after_a_stall_does_not_prove_the_silence_before_it() -> None:
    sync = opened()
    sync.stalled()
    sync.take(delta([("8", "2")], event_ms=NOW + 5_000), NOW + 5_000)
    stated = statement([("9", "2"), ("8", "2")], [("11", "1")], NOW + 9_000)
    [gap, _] = messages(sync.take(stated, NOW + 9_000))
    assert (gap.cause, gap.from_, gap.to) == ("stall", NOW, NOW + 9_000)


def test_a_side_that_is_as_it_was_does_not_prove_the_other_one() -> None:
    sync = SideSync("x", "T")
    bids = statement([("9", "1")], (), NOW, "ws_depth")
    asks = statement((), [("11", "1")], NOW, "ws_depth")
    sides = [one_side(bids, "b"), one_side(asks, "a")]
    for one in sides:
        sync.take(one, NOW)
    sync.stalled()
    sync.take(one_side(statement([("9", "1")], (), NOW + 5_000, "ws_depth"), "b"), NOW + 5_000)
    sync.proved_ms = NOW + 5_000
    later = one_side(statement((), [("11", "2")], NOW + 6_000, "ws_depth"), "a")
    [gap, *_] = messages(sync.take(later, NOW + 6_000))
    assert (gap.cause, gap.from_) == ("stall", NOW)


def one_side(state, side):
    message = msgspec.structs.replace(state.message, side=side)
    return msgspec.structs.replace(state, message=message)


def test_a_statement_that_does_not_come_is_asked_for_again() -> None:
    sync = opened()
    assert isinstance(sync.disrupted("garbage")[-1], Restate)
    assert sync.disrupted("garbage") == []
    assert [len(sync.audit(float(now_s), 600.0)) for now_s in range(0, 40, 5)] == [
        *(0, 0, 0, 1, 0, 0, 1, 0)
    ]


def test_the_book_is_tested_every_so_often_and_once_earlier_after_an_odd_removal() -> None:
    sync = opened()
    times = [now_s for now_s in range(2_000) if sync.audit(float(now_s), 600.0) == [Renew()]]
    assert times == [600, 1200, 1800]
    sync.take(delta([("3", "0")]), NOW)
    assert sync.unknown == 1
    times = [
        now_s for now_s in range(2_000, 4_000) if sync.audit(float(now_s), 600.0) == [Renew()]
    ]
    assert times == [2_000, 2_600, 3_200, 3_800]


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), lags=st.lists(st.integers(0, 3), min_size=20, max_size=20))
def test_a_second_socket_takes_over_without_a_gap(seed, lags) -> None:
    market = Market(seed, 60)
    shell = Shell(StreamBookSync("x", "T"), market)
    shell.deliver(shell.current)
    for number in range(40):
        shell.advance()
        if number == 10:
            shell.share()
        if number == 35:
            shell.part(new_stays=True)
        catch_up(shell, shell.current, 2 if number > 30 else lags[number // 2])
        catch_up(shell, shell.new, 2 if number > 30 else lags[-1 - number // 2])
    shell.settle()
    assert shell.reader.gaps == []
    assert shell.reader.book == market.books[shell.version]


def catch_up(shell, socket, most) -> None:
    """No socket is later than ten messages, a second."""
    if socket is not None:
        shell.deliver(socket, max(most, len(socket.frames) - 10))


def test_a_silent_loss_is_found_by_the_next_test_of_the_book() -> None:
    """One delta is lost without a trace; a new socket's statement tells, unless it is moot."""
    found = 0
    for seed in range(150):
        reader, market, version, at = after_a_silent_loss(seed)
        assert reader.book == market.books[version], f"seed {seed}"
        assert all(gap.cause == "sequence" for gap in reader.gaps), f"seed {seed}"
        assert not reader.gaps or reader.covers(market.time(at)), f"seed {seed}"
        found += bool(reader.gaps)
    assert found > 30


def after_a_silent_loss(seed):
    market = Market(seed, 50, step_ms=1_000)
    shell = Shell(StreamBookSync("x", "T"), market)
    shell.deliver(shell.current)
    at = market.chance.randint(12, 18)
    for number in range(1, 45):
        shell.advance()
        if number == at:
            shell.current.frames.pop()
        if number == 20:
            shell.share()
        if number == 44:
            shell.part(new_stays=True)
        shell.deliver(shell.current)
        shell.deliver(shell.new)
    shell.settle()
    return shell.reader, market, shell.version, at


def test_a_statement_beside_a_second_socket_is_what_that_one_is_compared_with() -> None:
    """The own book was stated anew: what the old one lacked is told, and is told once."""
    sync = opened()
    sync.share(two_sockets=True, now_ms=NOW)
    now = (("9", "1"), ("8", "5"))
    assert sync.take_new(statement(now, [("11", "1")], NOW + 1), NOW + 1) == []
    [gap, _] = messages(sync.take(statement(now, [("11", "1")], NOW + 2), NOW + 2))
    assert gap.cause == "sequence"
    assert sync.on_new
    assert sync.settled
    later = sync.take_new(delta([("9", "2")], event_ms=NOW + 9_000), NOW + 9_000)
    assert [each for each in messages(later) if not isinstance(each, DepthUpdate)] == []
