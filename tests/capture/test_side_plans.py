"""Any plan of faults on sides with the exchange's numbers ends with the true book, or marked.

The exchange and the reader are written from the rules and share no code with the product.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from container_worker.capture.emissions import Write
from container_worker.capture.numbered_side_sync import NumberedSideSync
from container_worker.exchanges.outcomes import BookState
from marketdata import codec
from marketdata.archive_fold import ArchiveFold
from marketdata.archive_state import PartitionState
from marketdata.messages import DepthSnapshot, Gap

NOW = 1_723_161_600_000


def messages(emissions):
    return [each.message for each in emissions if isinstance(each, Write)]


def side(number, name, price="9", event_ms=NOW):
    stated = [(price, str(number))]
    sides = (stated, []) if name == "b" else ([], stated)
    book = DepthSnapshot(event_ms, "T", number, *sides, "x", name)
    return BookState("ws_depth", "exchange", book)


side_faults = st.sampled_from(
    ["deliver"] * 8 + ["drop", "twice", "cut", "both", "one", "full", "room", "resent"]
)


@settings(max_examples=600, deadline=None)
@given(
    plan=st.lists(side_faults, min_size=5, max_size=60), names=st.randoms(use_true_random=False)
)
def test_every_reader_of_numbered_sides_ends_with_the_true_book(plan, names) -> None:
    shell = Sides(NumberedSideSync("x", "T"))
    truth = {}
    for number, fault in enumerate([*plan, *["room", "one"], *["deliver"] * 12], 1):
        is_random = 2 < number <= len(plan)
        one = side(number, names.choice("ba") if is_random else "ba"[number % 2])
        truth[one.message.side] = number
        shell.play(fault, one, truth)
        arrived = fault not in {"drop", "cut"}
        if arrived and not shell.marked and shell.core.settled:
            assert shell.book == truth
    assert not shell.marked
    assert shell.book == truth
    assert all(gap.from_ <= gap.to for gap in shell.gaps if gap.to is not None)


class Sides:
    """Capture's shell and a reader in one: of each side, the number that it is as of."""

    def __init__(self, core) -> None:
        self.core, self.room = core, True
        self.book, self.gaps, self.last = {}, [], 0
        self.stale = set()
        self.is_open = False

    @property
    def marked(self):
        return self.is_open or bool(self.stale)

    def run(self, emissions) -> None:
        for number, emission in enumerate(emissions):
            if not isinstance(emission, Write):
                continue
            message = emission.message
            if isinstance(message, Gap):
                self.gaps.append(message)
                self.is_open = message.to is None
            elif self.room:
                self.read(message)
            else:
                self.run(
                    self.core.overflow([e for e in emissions[number:] if type(e) is Write])
                )
                return

    def set_room(self, *, room) -> None:
        if room and not self.room:
            self.room = True
            self.run(self.core.speak() if self.core.muted else [])
        self.room = room

    def read(self, message) -> None:
        if message.u < self.last:
            return
        if message.u > self.last + 1:
            self.stale = set("ba")
        self.last = message.u
        self.book[message.side] = int((message.b or message.a)[0][1])
        self.stale.discard(message.side)

    def play(self, fault, one, truth) -> None:
        if fault in {"drop", "cut"}:
            self.run(self.core.disrupted("disconnect") if fault == "cut" else [])
            return
        if fault in {"both", "one"}:
            self.run(self.core.share(two_sockets=fault == "both"))
        elif fault in {"full", "room"}:
            self.set_room(room=fault == "room")
        self.run(self.core.take(one, NOW))
        if fault == "twice":
            self.run(self.core.take(one, NOW))
        if fault == "resent":
            for name, number in truth.items():
                self.run(self.core.take(side(number, name), NOW))


def test_a_jump_is_an_open_gap_closed_with_its_numbers_when_both_sides_were_stated() -> None:
    sync = NumberedSideSync("x", "T")
    for number, name in ((1, "b"), (2, "a")):
        assert len(sync.take(side(number, name), NOW)) == 1
    assert sync.take(side(2, "a"), NOW) == []
    opened, book = messages(sync.take(side(5, "b", event_ms=NOW + 3), NOW))
    assert (opened.first, opened.last, opened.cause, opened.to) == (3, None, "sequence", None)
    assert (book.u, sync.settled) == (5, False)
    closed, book = messages(sync.take(side(6, "a", event_ms=NOW + 4), NOW))
    assert (closed.first, closed.last, closed.from_, closed.to) == (3, 4, NOW, NOW + 4)
    assert book.u == 6


def test_a_side_that_is_stated_late_is_as_of_the_last_number() -> None:
    sync = NumberedSideSync("x", "T")
    for number, name in ((1, "b"), (2, "a"), (6, "b")):
        sync.take(side(number, name), NOW)
    assert sync.take(side(2, "a"), NOW) == []
    closed, book = messages(sync.take(side(4, "a"), NOW))
    assert (closed.first, closed.last, book.u, book.a) == (3, 5, 6, [("9", "4")])


def test_numbers_that_begin_anew_on_another_day_are_followed_and_told() -> None:
    core, fold = (
        NumberedSideSync("stockbit", "BBCA"),
        ArchiveFold("orderbook", PartitionState()),
    )
    headers = codec.record_headers(codec.base_headers("ws_depth", "q", 1), 0, 0, b"exchange")
    day_ms, rows, marks = 86_400_000, [], []
    plan = [(day, number) for day in (0, 1) for number in range(1, 6)]
    for day, number in plan:
        event_ms = NOW + day * day_ms + number * 1000
        name = "ba"[number % 2]
        for message in messages(core.take(side(number, name, event_ms=event_ms), event_ms)):
            value = codec.encode(message)
            for row in fold.fold(b"stockbit:BBCA", headers, value):
                (marks if row.path.endswith(".marks.csv") else rows).append(row.data.decode())
    quantities = [line.split(",")[2] for data in rows for line in data.splitlines()]
    assert quantities == ["1", "2", "3", "4", "5"] * 2
    gaps = [data for data in marks if ",gap," in data]
    assert len(gaps) == 1
    assert ",sequence," in gaps[0]
    assert core.settled
