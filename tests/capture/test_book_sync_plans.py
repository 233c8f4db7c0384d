"""Any plan of faults ends with the true book or a gap, never a wrong book unmarked.

The exchange and the reader here are written from the rules and share no code with the product.
"""

import random
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from container_worker.capture.book_sync import BookSync
from container_worker.capture.emissions import Fetch, Refuse, Write
from container_worker.exchanges.outcomes import RestBook
from marketdata.messages import DepthSnapshot, DepthUpdate, Gap

MIDNIGHT_MS = 1_723_161_600_000
RECEIVED_MS = MIDNIGHT_MS - 5_000
QUIET = 12


class Venue:
    """A book that changes by one level an id, cut into deltas of one to four ids."""

    def __init__(self, seed: int, deltas: int) -> None:
        chance = random.Random(seed)
        self.books = {1000: {("b", "10.0"): "1.0", ("a", "11.0"): "1.0"}}
        self.deltas: list[DepthUpdate] = []
        last = 1000
        for number in range(deltas):
            first, changed = last + 1, {}
            for _ in range(chance.randint(1, 4)):
                last += 1
                side = chance.choice("ba")
                price = f"{chance.randint(5, 9) + (6 if side == 'a' else 0)}.0"
                changed[side, price] = f"{chance.choice([0, 0, 1, 2, 3])}.0"
                book = dict(self.books[last - 1])
                book[side, price] = changed[side, price]
                if changed[side, price] == "0.0":
                    del book[side, price]
                self.books[last] = book
            sides = {
                name: [(price, size) for (side, price), size in changed.items() if side == name]
                for name in "ba"
            }
            event_ms = MIDNIGHT_MS + 100 * (number - deltas // 2)
            self.deltas.append(
                DepthUpdate(event_ms, "BTCUSDT", first, last, sides["b"], sides["a"], "binance")
            )

    def rest(self, last_id: int) -> RestBook:
        book = self.books[last_id]
        bids = [(price, size) for (side, price), size in book.items() if side == "b"]
        asks = [(price, size) for (side, price), size in book.items() if side == "a"]
        return RestBook("BTCUSDT", last_id, bids, asks)


class Reader:
    """A consumer of the topic that follows rule 7 alone."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.last: int | None = None
        self.book: dict[tuple[str, str], str] = {}
        self.marked = False
        self.announced: list[tuple[int, int]] = []
        self.days: dict[str, str] = {}
        self.times: list[int] = []

    def read(self, write: Write) -> None:
        message = write.message
        day = f"{datetime.fromtimestamp(message.E / 1000, UTC):%Y-%m-%d}"
        self.days.setdefault(day, type(message).__name__)
        self.times.append(message.E)
        if isinstance(message, Gap):
            if message.first is not None and message.last is not None:
                self.announced.append((message.first, message.last))
        elif isinstance(message, DepthSnapshot):
            self._snapshot(message)
        else:
            self._delta(message)
        if self.last is not None and not self.marked:
            assert self.book == self.venue.books[self.last]

    def _snapshot(self, message: DepthSnapshot) -> None:
        if self.last is not None and message.u < self.last:
            return
        if self.last is not None and message.u > self.last:
            self._expect_announced(self.last + 1, message.u)
        self.book = {("b", price): size for price, size in message.b}
        self.book |= {("a", price): size for price, size in message.a}
        self.last, self.marked = message.u, False

    def _delta(self, message: DepthUpdate) -> None:
        assert self.last is not None, "the first record must be a snapshot"
        if message.u <= self.last:
            return
        if self.last + 1 < message.U:
            self._expect_announced(self.last + 1, message.U - 1)
            self.marked = True
        for side, levels in (("b", message.b), ("a", message.a)):
            for price, size in levels:
                self.book[side, price] = size
                if size == "0.0":
                    del self.book[side, price]
        self.last = message.u

    def _expect_announced(self, first: int, last: int) -> None:
        covered = {number for low, high in self.announced for number in range(low, high + 1)}
        assert set(range(first, last + 1)) <= covered


class Shell:
    """What the capture process does around the core: writes, fetches, has room or not."""

    def __init__(
        self, venue: Venue, reader: Reader, delays: list[int], ages: list[int]
    ) -> None:
        self.core = BookSync("binance", "BTCUSDT")
        self.venue, self.reader = venue, reader
        self.delays, self.ages = delays, ages
        self.asked: list[list[int]] = []
        self.room = True
        self.now = venue.deltas[0].U - 1

    def run(self, emissions) -> None:
        for number, emission in enumerate(emissions):
            if isinstance(emission, Fetch):
                delay = self.delays.pop() if self.delays else 0
                self.asked.append([delay])
            elif isinstance(emission, Refuse):
                continue
            elif self.room:
                self.reader.read(emission)
            else:
                unsent = [one for one in emissions[number:] if isinstance(one, Write)]
                rest = [one for one in emissions[number:] if isinstance(one, Fetch)]
                for open_gap in self.core.overflow(unsent):
                    self.reader.read(open_gap)
                self.run(rest)
                return

    def take(self, delta: DepthUpdate) -> None:
        self.run(self.core.take(delta, RECEIVED_MS))

    def pass_time(self, delta: DepthUpdate) -> None:
        """The exchange has made this delta; answers that are due come in."""
        self.now = delta.u
        for waiting in list(self.asked):
            waiting[0] -= 1
            if waiting[0] <= 0:
                self.asked.remove(waiting)
                age = self.ages.pop() if self.ages else 0
                self.run(self.core.offer(self.venue.rest(max(1000, self.now - age))))

    def set_room(self, *, room: bool) -> None:
        if room and not self.room:
            self.room = True
            self.run(self.core.speak() if self.core.muted else [])
        self.room = room


faults = st.sampled_from(
    ["deliver"] * 8
    + ["drop", "twice", "late", "cut", "both", "one", "full", "room", "wild_clock"]
)


@settings(max_examples=400, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    plan=st.lists(faults, min_size=5, max_size=60),
    delays=st.lists(st.integers(0, 6), max_size=10),
    ages=st.lists(st.integers(0, 9), max_size=10),
)
def test_every_reader_ends_with_the_true_book(seed, plan, delays, ages) -> None:
    venue = Venue(seed, len(plan) + QUIET)
    reader = Reader(venue)
    shell = Shell(venue, reader, delays, ages)
    late: list[DepthUpdate] = []
    for fault, delta in zip(plan, venue.deltas, strict=False):
        shell.pass_time(delta)
        apply_fault(fault, delta, shell, late)
    for delta in late:
        shell.take(delta)
    shell.run(shell.core.share(two_sockets=False))
    shell.set_room(room=True)
    for delta in venue.deltas[len(plan) :]:
        shell.delays, shell.ages = [], []
        shell.pass_time(delta)
        shell.take(delta)
    assert reader.last == venue.deltas[-1].u
    assert not reader.marked
    assert reader.book == venue.books[reader.last]
    if plan.count("wild_clock") < 2:
        assert set(reader.days.values()) <= {"DepthSnapshot", "Gap"}
        assert reader.times == sorted(reader.times)


def apply_fault(fault, delta, shell, late) -> None:
    if fault == "late":
        late.append(delta)
        return
    if fault in {"drop", "cut"}:
        if fault == "cut":
            shell.run(shell.core.disrupted("disconnect"))
        return
    if fault in {"both", "one"}:
        shell.run(shell.core.share(two_sockets=fault == "both"))
    elif fault in {"full", "room"}:
        shell.set_room(room=fault == "room")
    elif fault == "wild_clock":
        wild = DepthUpdate(
            delta.E + 7_200_000, delta.s, delta.U, delta.u, delta.b, delta.a, delta.x
        )
        shell.take(wild)
        return
    shell.take(delta)
    if fault == "twice":
        shell.take(delta)
    elif late:
        shell.take(late.pop(0))


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), behind=st.integers(0, 6))
def test_a_second_socket_fills_the_holes_of_the_first_without_a_gap(seed, behind) -> None:
    venue = Venue(seed, 60)
    reader = Reader(venue)
    shell = Shell(venue, reader, [], [])
    chance = random.Random(seed)
    for delta in venue.deltas[:10]:
        shell.pass_time(delta)
        shell.take(delta)
    shell.run(shell.core.share(two_sockets=True))
    old = [delta for delta in venue.deltas[10:50] if chance.random() < 0.7]
    new = [delta for delta in venue.deltas[12:50] if delta not in old] + venue.deltas[50:]
    for number, delta in enumerate(new):
        shell.pass_time(delta)
        shell.take(delta)
        if number >= behind and old:
            shell.take(old.pop(0))
    for delta in [*venue.deltas[10:12], *old]:
        shell.take(delta)
    shell.run(shell.core.share(two_sockets=False))
    assert reader.announced == []
    assert reader.last == venue.deltas[-1].u
    assert not reader.marked
