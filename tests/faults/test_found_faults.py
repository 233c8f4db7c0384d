"""What the fault plan found in capture's cores and the simulators, each as small as can be."""

from container_worker.capture.book_sync import BookSync
from container_worker.capture.candle_sync import CandleSync
from container_worker.capture.emissions import Refuse, Write
from container_worker.capture.side_sync import SideSync
from container_worker.exchanges.outcomes import BookState, CandleState, RestBook
from local.exchanges.fault_runs import FrameFaultRun
from local.exchanges.faults import Garbage
from local.exchanges.frames import Frame
from marketdata.messages import DepthSnapshot, DepthUpdate, Gap

NOW = 1_723_161_600_000
EIGHT_HOURS = 8 * 3_600_000


def messages(emissions):
    return [each.message for each in emissions if isinstance(each, Write)]


def side(name, price, event_ms=NOW):
    stated = [(price, "1")]
    sides = (stated, []) if name == "b" else ([], stated)
    return BookState("ws_depth", "exchange", DepthSnapshot(event_ms, "T", 0, *sides, "x", name))


def stated_book():
    sync = SideSync("x", "T")
    for one in (side("b", "9"), side("a", "11")):
        sync.take(one, NOW)
    return sync


def test_a_gap_that_is_open_when_room_runs_out_keeps_its_number_and_its_beginning() -> None:
    sync = stated_book()
    [opened] = messages(sync.disrupted("disconnect"))
    unsent = sync.take(side("b", "9", NOW + 5), NOW + 5)
    [again] = messages(sync.overflow(unsent))
    assert (again.first, again.from_, again.cause) == (3, opened.from_, "backpressure")
    sync.speak()
    out = [
        message
        for one in (side("b", "9", NOW + 7), side("a", "11", NOW + 8))
        for message in messages(sync.take(one, NOW + 8))
    ]
    [closed] = [message for message in out if isinstance(message, Gap)]
    assert (closed.first, closed.last, closed.from_) == (3, 3, opened.from_)
    numbers = [message.u for message in out if isinstance(message, DepthSnapshot)]
    assert sorted({1, 2, closed.first, *numbers}) == list(range(1, 3 + len(numbers) + 1))


def delta(number):
    return DepthUpdate(NOW + number, "T", number, number, [("9", str(number))], [], "x")


def restated_book_without_room():
    """A book whose statement after a hole found no room, at id 5."""
    sync = BookSync("x", "T")
    sync.take(delta(2), NOW)
    sync.offer(RestBook("T", 1, [("9", "1")], [("11", "1")]))
    sync.take(delta(4), NOW)
    sync.take(delta(5), NOW)
    unsent = sync.offer(RestBook("T", 4, [("9", "4")], [("11", "1")]))
    [statement] = messages(unsent)
    assert isinstance(statement, DepthSnapshot)
    sync.overflow(unsent)
    return sync


def test_ids_that_are_lost_after_a_statement_without_room_are_named() -> None:
    sync = restated_book_without_room()
    assert [sync.take(delta(number), NOW) for number in (6, 7)] == [[], []]
    gap, book = messages(sync.speak())
    assert (gap.first, gap.last, gap.cause, book.u) == (6, 7, "backpressure", 7)


def test_a_statement_without_room_after_which_nothing_was_lost_names_no_ids() -> None:
    gap, book = messages(restated_book_without_room().speak())
    assert (gap.first, gap.last, book.u) == (None, None, 5)


def test_a_second_sockets_time_that_is_hours_ahead_moves_no_book() -> None:
    sync = stated_book()
    sync.share(two_sockets=True)
    sync.take_new(side("b", "8", NOW + EIGHT_HOURS), NOW + 5)
    sync.take_new(side("a", "12", NOW + 6), NOW + 6)
    out = sync.share(two_sockets=False, new_stays=True, now_ms=NOW + 7)
    assert [message.E for message in messages(out) if message.E > NOW + 1_000] == []
    assert sync.event_ms < NOW + 1_000
    books = [message for message in messages(out) if isinstance(message, DepthSnapshot)]
    assert [level for book in books for level in (*book.b, *book.a)] == [
        ("8", "1"),
        ("12", "1"),
    ]


def test_a_candle_that_begins_hours_ahead_needs_a_second_one_where_it_has_no_event_time() -> (
    None
):
    sync = CandleSync("x", "T", "T/X")

    def candle(start_ms, received_ms):
        texts = ("1", "2", "0.5", "1.5", "7")
        return CandleState("T", received_ms, start_ms, 60_000, "1m", *texts, None)

    assert messages(sync.take(candle(NOW, NOW + 5), NOW + 5))
    assert sync.take(candle(NOW + EIGHT_HOURS, NOW + 6), NOW + 6) == []
    out = sync.take(candle(NOW + 60_000, NOW + 60_005), NOW + 60_005)
    assert [each.event.start_ms for each in out if isinstance(each, Refuse)] == [
        NOW + EIGHT_HOURS
    ]
    assert messages(out)[-1].timestamp == NOW + 60_000


def test_neighbouring_frames_that_a_fault_hit_are_told_from_the_first_to_the_last() -> None:
    run = FrameFaultRun(1, Garbage(frames=2))
    for number in (1, 2):
        run.take(Frame("T", "T@ticker", b"{}", number, number), [1], 0.0, 100 * number)
    [hit] = run.hits
    assert (hit.frames, hit.listed()["time_ms"], hit.listed()["last_time_ms"]) == (2, 100, 200)
