"""What a fault makes of the frames it matches, without a socket or a clock."""

from local.exchanges.fault_runs import FrameFaultRun
from local.exchanges.faults import Delay, Drop, Duplicate, Reorder, Stall
from local.exchanges.frames import Frame

STREAM = "btcusdt@depth@100ms"


def frame(number, stream=STREAM):
    return Frame("BTCUSDT", stream, b"{}", number, number)


def taken(run, numbers, now_s=0.0):
    return [
        [sent.last_id for sent in run.take(frame(number), [1], now_s, 0).send]
        for number in numbers
        if run.active
    ]


def test_a_seeded_fault_hits_the_same_frames_again():
    spec = Drop(frames=200, probability=0.2, seed=9)
    first, second = FrameFaultRun(1, spec), FrameFaultRun(2, spec)
    assert taken(first, range(200)) == taken(second, range(200))
    assert first.hits == second.hits
    assert sum(hit.frames for hit in first.hits) == taken_count(first)


def taken_count(run):
    return sum(hit.last_id - hit.first_id + 1 for hit in run.hits)


def test_several_reorders_each_swap_one_pair():
    run = FrameFaultRun(1, Reorder(frames=2))
    sent = [number for group in taken(run, range(1, 7)) for number in group]
    assert sent[:2] == [2, 1]
    assert sorted(sent) == list(range(1, len(sent) + 1))


def test_a_reorder_waits_for_its_own_stream():
    run = FrameFaultRun(1, Reorder())
    assert run.take(frame(1), [1], 0.0, 0).send == []
    assert not run.matches(frame(2, "ethusdt@trade"), [1])
    assert run.matches(frame(2), [1])


def test_a_window_opens_with_its_first_frame_and_ends_by_time():
    run = FrameFaultRun(1, Stall(seconds=2, after=1))
    assert taken(run, [1, 2], 10.0) == [[1], []]
    assert taken(run, [3], 11.9) == [[]]
    assert taken(run, [4], 12.0) == [[4]]
    assert not run.active
    assert [(hit.first_id, hit.last_id, hit.frames) for hit in run.hits] == [(2, 3, 2)]


def test_held_frames_are_given_back_in_order():
    run = FrameFaultRun(1, Delay(seconds=2))
    taken(run, [1, 2, 3])
    assert [held.last_id for held in run.end()] == [1, 2, 3]
    assert run.end() == []


def test_a_fault_ends_after_the_frames_that_it_looks_at():
    run = FrameFaultRun(1, Duplicate(frames=2))
    assert taken(run, [1, 2, 3]) == [[1, 1], [2, 2]]
    assert not run.active
