"""A book that is stated side by side under numbers of our own: gaps, stalls, days."""

from container_worker.capture.emissions import Restate, Write
from container_worker.capture.side_sync import SideSync
from container_worker.exchanges.outcomes import BookState
from marketdata.messages import DepthSnapshot, Gap

NOW = 1_723_161_600_000


def messages(emissions):
    return [each.message for each in emissions if isinstance(each, Write)]


def side(name, price, event_ms=NOW):
    stated = [(price, "1")]
    sides = (stated, []) if name == "b" else ([], stated)
    return BookState("ws_depth", "exchange", DepthSnapshot(event_ms, "T", 0, *sides, "x", name))


def test_a_gap_of_a_book_by_sides_closes_when_both_have_been_stated() -> None:
    sync = SideSync("x", "T")
    sides = [side("b", "9"), side("a", "11"), side("b", "9")]
    assert [messages(sync.take(one, NOW))[0].u for one in sides] == [1, 2, 3]
    [gap] = messages(sync.disrupted("disconnect"))
    assert (gap.first, gap.last) == (4, None)
    [book] = messages(sync.take(side("a", "12"), NOW))
    assert (book.u, sync.settled) == (5, False)
    [closed, book] = messages(sync.take(side("b", "9", NOW + 7), NOW))
    assert (closed.first, closed.last, closed.to, book.u) == (4, 4, NOW + 7, 6)
    assert sync.settled


def test_sides_that_are_stated_after_a_stall_and_say_nothing_new_are_no_events() -> None:
    sync = SideSync("x", "T")
    for one in (side("b", "9"), side("a", "11")):
        sync.take(one, NOW)
    assert sync.stalled() == [Restate()]
    assert [sync.take(one, NOW) for one in (side("b", "9"), side("a", "11"))] == [[], []]
    assert len(sync.take(side("a", "11"), NOW)) == 1
    sync.stalled()
    assert sync.take(side("b", "9"), NOW) == []
    opened_gap, closed, book = messages(sync.take(side("a", "12", NOW + 5), NOW))
    assert isinstance(opened_gap, Gap)
    assert (closed.cause, closed.first, closed.last, book.u) == ("stall", 4, 4, 5)


def test_a_day_of_sides_begins_with_both() -> None:
    sync = SideSync("x", "T")
    for one in (side("b", "9", NOW - 1), side("a", "11", NOW - 1)):
        sync.take(one, NOW)
    other, now = messages(sync.take(side("b", "8", NOW), NOW))
    assert (other.side, other.u, other.E, other.a) == ("a", 2, NOW, [("11", "1")])
    assert (now.side, now.u) == ("b", 3)
