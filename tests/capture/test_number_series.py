"""Numbers that begin anew: nobody says for how long Stockbit's go on (protocols 2.4).

The core writes, and the archive's fold, the fold of the tops and a plain reader follow it.
"""

import random

import pytest

from container_worker.capture.emissions import Write
from container_worker.capture.known_records import NOTHING, LastKnown, advanced
from container_worker.capture.numbered_side_sync import NumberedSideSync
from container_worker.exchanges.outcomes import BookState
from marketdata import codec
from marketdata.archive_fold import ArchiveFold
from marketdata.archive_state import PartitionState
from marketdata.candle_periods import Taken
from marketdata.depth_fold import PACE_MS, DepthFold
from marketdata.messages import DepthSnapshot, Gap

T = 1_723_161_600_000
DAY_MS = 86_400_000
KEY = b"stockbit:BBCA"


def side(number, name, event_ms, *, resets=False, clock="exchange"):
    level = [("9" if name == "b" else "10", str(number), str(event_ms))]
    b, a = (level, []) if name == "b" else ([], level)
    stated = DepthSnapshot(event_ms, "BBCA", number, b, a, "stockbit", name)
    return BookState("ws_depth", clock, stated, resets=resets)


class Tape:
    """What one or more captures wrote, and what its readers made of it."""

    def __init__(self):
        self.gaps, self.book, self.rows = [], {}, []
        self.fold = ArchiveFold("orderbook", PartitionState())
        self.depth = DepthFold(lambda key: key.decode())
        self.known, self.last, self.last_ms = NOTHING, None, 0
        self.offset = 0
        self.epoch = 1
        self.is_open = False

    def write(self, message):
        base = codec.base_headers("ws_depth", "q", self.epoch)
        headers = codec.record_headers(base, 0, 0, b"exchange")
        value, fields = codec.encode(message), codec.parse_headers(headers)
        for row in self.fold.fold(KEY, headers, value):
            if not row.path.endswith(".marks.csv"):
                self.rows += [line.split(",")[2] for line in row.data.decode().splitlines()]
        taken = Taken(KEY, fields, value, self.offset, 0, headers)
        self.depth.take(taken)
        self.known = advanced(self.known, "ws_depth", fields, value)
        self.offset += 1
        if isinstance(message, Gap):
            self.gaps.append(message)
            self.is_open = message.to is None
        else:
            self.read(message)

    def read(self, stated):
        """As docs/topics.md has it."""
        is_lower = self.last is not None and stated.u < self.last
        if is_lower and not (self.is_open and self.last_ms < stated.E):
            return
        self.last, self.last_ms = stated.u, stated.E
        self.book[stated.side] = (stated.b or stated.a)[0][1]

    def top(self):
        """Both sides' quantities as the fold of the tops has them, and whether in doubt."""
        *_, top = self.depth.due(PACE_MS * (self.offset + 1))
        return {"b": top.message.bids[0][1], "a": top.message.asks[0][1]}, top.message


class Capture:
    """A core and its shell."""

    def __init__(self, tape, last=None):
        self.core, self.tape, self.room = NumberedSideSync("stockbit", "BBCA", last), tape, True

    def run(self, emissions):
        for number, emission in enumerate(emissions):
            if not isinstance(emission, Write):
                continue
            if isinstance(emission.message, Gap) or self.room:
                self.tape.write(emission.message)
            else:
                unsent = [one for one in emissions[number:] if isinstance(one, Write)]
                self.run(self.core.overflow(unsent))
                return

    def take(self, number, name, event_ms, **more):
        self.run(self.core.take(side(number, name, event_ms, **more), event_ms))

    def speak(self):
        self.room = True
        self.run(self.core.speak() if self.core.muted else [])


@pytest.fixture
def tape():
    return Tape()


@pytest.fixture
def capture(tape):
    """One that has written the numbers 1000 to 1009."""
    capture = Capture(tape)
    for at in range(10):
        capture.take(1000 + at, "ba"[at % 2], T + at * 100)
    return capture


def is_right(tape, b, a):
    top, said = tape.top()
    assert tape.book == top == {"b": str(b), "a": str(a)}
    assert not said.provisional
    assert not tape.is_open
    return True


def test_numbers_that_begin_anew_on_the_same_day_are_followed_and_told(tape, capture) -> None:
    for at in range(900):
        capture.take(1 + at, "ba"[at % 2], T + 60_000 + at * 1000)
    assert is_right(tape, 899, 900)
    assert tape.rows[10:] == [str(number) for number in range(1, 901)]
    opened, closed = tape.gaps
    assert (opened.cause, opened.first, opened.from_) == ("sequence", None, T + 900)
    assert (closed.from_, closed.to) == (T + 900, T + 61_000)
    assert capture.core.settled
    assert tape.known.id == 900


def test_numbers_that_begin_anew_with_a_new_socket_are_followed(tape, capture) -> None:
    capture.run(capture.core.disrupted("disconnect"))
    # The state of now, the newer side first.
    capture.take(4, "b", T + 60_000)
    assert not capture.core.settled
    capture.take(3, "a", T + 59_000)
    assert [(gap.first, gap.to) for gap in tape.gaps] == [(None, None), (None, T + 60_000)]
    capture.take(5, "a", T + 61_000)
    capture.take(6, "b", T + 62_000)
    assert is_right(tape, 6, 5)
    assert capture.core.settled


def test_numbers_that_begin_anew_after_a_restart_are_followed(tape, capture) -> None:
    assert capture.core.settled
    tape.epoch = 2
    again = Capture(tape, tape.known)
    for at in (1, 1, 2, 3, 4):
        again.take(at, "ab"[at % 2], T + 60_000 + at * 1000)
    assert is_right(tape, 3, 4)
    assert "1" in tape.rows
    assert {gap.cause for gap in tape.gaps} == {"sequence"}


def test_numbers_that_are_lower_on_another_day_are_followed_at_once_after_a_restart() -> None:
    sync = NumberedSideSync("stockbit", "BBCA", LastKnown(5000, T))
    told = [one.message for one in sync.take(side(1, "b", T + DAY_MS), T + DAY_MS)]
    assert {one.first for one in told[:-1]} == {None}
    assert told[-1].u == 1


@pytest.mark.parametrize("clock", ["exchange", "received"])
@pytest.mark.parametrize("names", ["ba", "ab"])
@pytest.mark.parametrize("known", [True, False])
def test_what_a_new_socket_states_again_is_no_new_series(
    tape, capture, names, known, clock
) -> None:
    """Also when it bears the time of sending, and nobody knows the sides any more."""
    if known:
        capture.run(capture.core.disrupted("disconnect"))
    else:
        capture = Capture(tape, tape.known)
    for name in names:
        number = 1008 if name == "b" else 1009
        capture.take(number, name, T + 60_000, clock=clock)
    assert tape.gaps == []
    assert capture.core.settled
    capture.take(1010, "b", T + 70_000, clock=clock)
    assert tape.gaps == []
    assert capture.core.settled


def test_one_lower_number_alone_is_a_repeat_once_the_series_goes_on(tape, capture) -> None:
    capture.take(1003, "a", T + 60_000)
    assert not capture.core.settled
    capture.take(1010, "b", T + 61_000)
    assert tape.gaps == []
    assert capture.core.settled
    assert capture.core.repeats == 1


def test_what_the_older_of_two_sockets_says_later_begins_nothing(tape, capture) -> None:
    capture.run(capture.core.share(two_sockets=True))
    for at in range(20):
        capture.take(1010 + at, "ba"[at % 2], T + 1000 + at * 100, clock="received")
        if at > 5:
            capture.take(1005 + at, "ab"[at % 2], T + 1050 + at * 100, clock="received")
    assert tape.gaps == []
    capture.run(capture.core.share(two_sockets=False))
    capture.take(1030, "b", T + 9000, clock="received")
    assert tape.gaps == []
    assert capture.core.settled


def test_a_number_for_each_connection_is_followed_when_the_old_socket_is_gone(
    tape, capture
) -> None:
    capture.run(capture.core.share(two_sockets=True))
    for at in range(6):
        capture.take(1010 + at, "ba"[at % 2], T + 1000 + at * 100)
        capture.take(1 + at, "ba"[at % 2], T + 1001 + at * 100)
        assert not capture.core.settled
    capture.run(capture.core.share(two_sockets=False))
    assert tape.gaps == []
    for at in range(6, 10):
        capture.take(1 + at, "ba"[at % 2], T + 1001 + at * 100)
    assert is_right(tape, 9, 10)
    assert tape.gaps[0].from_ == T + 1500


def test_a_statement_that_says_that_it_counts_anew_needs_no_second_one(tape, capture) -> None:
    capture.take(1, "b", T + 60_000, resets=True)
    assert tape.gaps[-1].first is None
    capture.take(1010, "a", T + 901)
    capture.take(2, "a", T + 60_001)
    assert is_right(tape, 1, 2)
    # Said with every statement it means nothing.
    for number in range(3, 9):
        capture.take(number, "ba"[number % 2], T + 60_000 + number, resets=True)
    assert len(tape.gaps) == 2
    # The new count may also be above the old one.
    capture.take(70_000, "b", T + 80_000, resets=True)
    assert (tape.gaps[-1].first, tape.gaps[-1].to) == (None, None)
    capture.take(70_001, "a", T + 80_001)
    assert is_right(tape, 70_000, 70_001)


@pytest.mark.parametrize("seed", range(100))
def test_any_plan_of_losses_and_new_series_ends_with_the_true_book(tape, seed) -> None:
    chance, number, event_ms = random.Random(seed), 500, T
    capture = Capture(tape)
    for _ in range(chance.randrange(5, 60)):
        fault = chance.choice(["", "", "", "", "anew", "drop", "cut", "full", "room"])
        number, event_ms = number + 1, event_ms + 1000
        if fault == "anew":
            number = chance.randrange(1, 30)
        if fault in {"drop", "cut"}:
            capture.run(capture.core.disrupted("disconnect") if fault == "cut" else [])
            continue
        capture.room = capture.room and fault != "full"
        if fault == "room":
            capture.speak()
        capture.take(number, chance.choice("ba"), event_ms)
    capture.speak()
    for _ in range(6):
        number, event_ms = number + 1, event_ms + 1000
        capture.take(number, "ba"[number % 2], event_ms)
    sides = sorted((number, number - 1), key=lambda one: one % 2)
    assert is_right(tape, *sides)
    assert tape.rows[-1] == str(number)
    assert capture.core.settled
    assert tape.fold.poisoned == 0
