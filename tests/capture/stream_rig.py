"""An exchange without numbers, two sockets to it, and a reader of what capture makes of it.

Written from the rules; shares no code with the product's cores. Loaded by conftest.py.
"""

import random
from collections import deque

from container_worker.capture.emissions import Refuse, Renew, Restate, Write
from container_worker.exchanges.outcomes import BookDelta, BookState
from marketdata.messages import DepthSnapshot, DepthUpdate, Gap, Watermark

MIDNIGHT_MS = 1_723_161_600_000
STEP_MS = 100


class Market:
    """A book whose every version is known; a message changes one to three levels."""

    def __init__(self, seed, steps, step_ms=STEP_MS):
        self.step_ms = step_ms
        self.chance = random.Random(seed)
        self.books = [{("b", "9.0"): "1.0", ("a", "11.0"): "1.0"}]
        self.changes = [{}]
        self.steps = steps
        while len(self.books) <= steps:
            book, changed = dict(self.books[-1]), {}
            for _ in range(self.chance.randint(1, 3)):
                side = self.chance.choice("ba")
                price = f"{self.chance.randint(5, 9) + (6 if side == 'a' else 0)}.0"
                changed[side, price] = f"{self.chance.choice([0, 0, 1, 2, 3])}.0"
            book.update(changed)
            self.books.append({place: size for place, size in book.items() if size != "0.0"})
            self.changes.append(changed)

    def time(self, version):
        return MIDNIGHT_MS + self.step_ms * (version - self.steps // 2)

    def delta(self, version, ahead_ms=0):
        sides = self._sides(self.changes[version])
        event_ms = self.time(version) + ahead_ms
        return BookDelta("exchange", DepthUpdate(event_ms, "T", 0, 0, *sides, "x"))

    def statement(self, version):
        bids, asks = self._sides(self.books[version])
        bids.sort(reverse=True, key=lambda level: float(level[0]))
        asks.sort(key=lambda level: float(level[0]))
        book = DepthSnapshot(self.time(version), "T", 0, bids, asks, "x")
        return BookState("ws_diff_depth", "exchange", book)

    def side(self, version, side):
        """Flat Stockbit: the whole of one side."""
        levels = self._sides(self.books[version])["ba".index(side)]
        sides = (levels, []) if side == "b" else ([], levels)
        book = DepthSnapshot(self.time(version), "T", 0, *sides, "x", side)
        return BookState("ws_depth", "exchange", book)

    def changed_side(self, version):
        """The side that this version's message states, where messages state sides."""
        return "ba"[version % 2]

    @staticmethod
    def _sides(places):
        return tuple(
            [(price, size) for (side, price), size in places.items() if side == name]
            for name in "ba"
        )


class Socket:
    """Delivers in order: frames are (version, event); `open` until it is cut."""

    def __init__(self):
        self.frames = deque()
        self.open = True
        self.version = -1


class Reader:
    """A consumer of the topic that follows rule 7 alone; ids are numbers of ours."""

    def __init__(self):
        self.last = None
        self.book = {}
        self.stale = set("ba")
        self.open_gap = False
        self.gaps = []
        self.holes = []
        self.first_of_day = {}
        self.written = 0

    @property
    def marked(self):
        """Whether it knows that its book may be wrong."""
        return self.open_gap or bool(self.stale)

    def read(self, message):
        if isinstance(message, Watermark):
            return
        self.first_of_day.setdefault(message.E // 86_400_000, type(message).__name__)
        if isinstance(message, Gap):
            self.open_gap = message.to is None
            self.gaps.append(message)
            return
        self.written += 1
        if isinstance(message, DepthSnapshot):
            self._statement(message)
        else:
            self._delta(message)

    def _statement(self, message):
        if self.last is not None and message.u < self.last:
            return
        if self.last is not None and message.u > self.last + (message.side is not None):
            self.holes.append((self.last + 1, message.u - (message.side is not None)))
            if message.side is not None:
                self.stale = set("ba")
        for side in message.side or "ba":
            self.book = {place: s for place, s in self.book.items() if place[0] != side}
            self._set(side, message.b if side == "b" else message.a)
            self.stale.discard(side)
        self.last = message.u

    def _delta(self, message):
        assert self.last is not None, "the first record must be a snapshot"
        if message.u <= self.last:
            return
        if self.last + 1 < message.U:
            self.holes.append((self.last + 1, message.U - 1))
            self.stale = set("ba")
        self._set("b", message.b)
        self._set("a", message.a)
        self.last = message.u

    def _set(self, side, levels):
        for price, size in levels:
            if not size.strip("0."):
                self.book.pop((side, price), None)
            else:
                self.book[side, price] = size

    def covers(self, event_ms):
        return any(one.to is not None and one.from_ <= event_ms <= one.to for one in self.gaps)

    def announced(self):
        """Each hole in the ids has a gap record of its own numbers, open or closed."""
        for low, high in self.holes:
            assert any(
                gap.first is not None
                and gap.first <= low
                and (gap.last is None or high <= gap.last)
                for gap in self.gaps
            ), (low, high, self.gaps)


class Shell:
    """What the capture process does around a core that takes from one socket at a time."""

    def __init__(self, core, market, *, by_side=False):
        self.core, self.market, self.by_side = core, market, by_side
        self.reader = Reader()
        self.version = 0
        self.current = self.connect()
        self.new = None
        self.room = True
        self.renewed = 0
        self.restates = 0
        self.lost = []
        self.wild = 0

    def connect(self):
        socket = Socket()
        self.state(socket)
        return socket

    def state(self, socket):
        """The exchange states the book on a socket, in its stream's order."""
        if self.by_side:
            socket.frames.append((self.version, self.market.side(self.version, "b")))
            socket.frames.append((self.version, self.market.side(self.version, "a")))
        else:
            socket.frames.append((self.version, self.market.statement(self.version)))

    def now_ms(self):
        return self.market.time(self.version) + 7

    def run(self, emissions):
        for number, emission in enumerate(emissions):
            if isinstance(emission, Restate):
                self.restates += 1
                counts = self.new if self.core.on_new else self.current
                if counts is not None and counts.open:
                    self.state(counts)
            elif isinstance(emission, Renew):
                self.renewed += 1
            elif isinstance(emission, Refuse):
                at_ms = emission.event.message.E - 7_200_000
                self.lost.append((at_ms - self.market.time(0)) // STEP_MS)
            elif self.room or isinstance(emission.message, Gap):
                self.reader.read(emission.message)
            else:
                rest = emissions[number:]
                self.run(self.core.overflow([one for one in rest if isinstance(one, Write)]))
                self.run([one for one in rest if not isinstance(one, Write)])
                return

    def advance(self):
        """The market's next message, on every open socket."""
        self.version += 1
        for socket in (self.current, self.new):
            if socket is not None and socket.open:
                socket.frames.append((self.version, self.event()))

    def event(self, ahead_ms=0):
        if self.by_side:
            return self.market.side(self.version, self.market.changed_side(self.version))
        self.wild += ahead_ms > 0
        return self.market.delta(self.version, ahead_ms)

    def deliver(self, socket, most=99):
        """Up to so many frames leave the socket."""
        while socket is not None and socket.frames and most:
            most -= 1
            version, event = socket.frames.popleft()
            socket.version = version
            self.feed(socket, event)

    def feed(self, socket, event):
        core = self.core
        if socket is self.new and not core.on_new:
            self.run(core.take_new(event, self.now_ms()))
        elif (socket is self.new) == core.on_new:
            self.run(core.take(event, self.now_ms()))

    def garbage(self, socket):
        """The last frame on the socket does not decode."""
        if not socket.frames:
            return
        self.deliver(socket, len(socket.frames) - 1)
        spoiled, _ = socket.frames.pop()
        if self.core.on_new == (socket is self.new):
            self.lost += [spoiled] if self.new is None else []
            self.run(self.core.disrupted("garbage"))
        else:
            self.core.lost_new()
            self.state(socket)

    def cut(self):
        """The only socket is gone, with what it had not delivered; another one comes."""
        if self.new is not None:
            self.part(new_stays=True, dead=True)
            return
        if self.current is not None:
            self.lost += [version for version, _ in self.current.frames]
        self.current.open = False
        self.run(self.core.disrupted("disconnect"))
        self.current = None

    def share(self):
        if self.new is None and self.current is not None:
            self.run(self.core.share(two_sockets=True))
            self.new = self.connect()

    def part(self, *, new_stays, dead=False):
        """One of two sockets goes; `dead`: the old one ended by itself."""
        if self.new is None:
            return
        gone = self.current if new_stays else self.new
        gone.open = False
        if dead:
            self.run(self.core.disrupted("disconnect"))
        if new_stays:
            self.current = self.new
        self.new = None
        out = self.core.share(two_sockets=False, new_stays=new_stays, now_ms=self.now_ms())
        self.run(out)

    def set_room(self, *, room):
        if room and not self.room:
            self.room = True
            self.run(self.core.speak() if self.core.muted else [])
        self.room = room

    def settle(self):
        """Everything is connected, delivered and has room; then a quiet moment."""
        self.set_room(room=True)
        self.part(new_stays=True)
        self.current = self.current or self.connect()
        for now_s in (0.0, 100.0, 200.0, 300.0):
            self.deliver(self.current)
            self.run(self.core.audit(now_s, 1e6))
        self.deliver(self.current)

    def plausible(self):
        """The books that may be right: one for each version that a socket has delivered."""
        versions = [s.version for s in (self.current, self.new) if s is not None]
        low, high = min(versions, default=0), max(versions, default=self.version)
        return [self.market.books[number] for number in range(max(low, 0), high + 1)]
