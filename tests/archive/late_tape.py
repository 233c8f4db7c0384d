"""Seeded units of which something comes late, and what the archive makes of it.

Like `seeded_tape`, whose parts they use: the plan knows what is missing, wanted and filled, and
writes the expected lines down itself.
"""

import importlib.util
import sys
from pathlib import Path


def load(name):
    """A module beside this file, once for all; tests are no package."""
    full = f"tests_archive_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            full, Path(__file__).with_name(f"{name}.py")
        )
        sys.modules[full] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[full])
    return sys.modules[full]


PLANS = load("seeded_tape")
iso = PLANS.iso
LATE = (("backfill", b"1"),)
MINUTE = 60_000


class Late:
    """Mixed into a unit: holes that are wanted, and runs of late rows."""

    run = None

    def end_run(self):
        if self.run is not None:
            day, row, rows, first, last, cause, since, until = self.run
            self.run = None
            line = (row, rows, "backfill", first, last, cause, iso(since), iso(until))
            self.tape.expect(self.path(day, ".marks"), ",".join(map(str, line)))

    def late_row(self, id_, time, cause, line):
        """Expects a late row, in the run before it or in a new one."""
        run = self.run
        if run and (iso(run[0])[:10], run[5]) == (iso(time)[:10], cause) and id_ > run[4]:
            self.run = (*run[:2], run[2] + 1, run[3], id_, cause, run[6], time)
        else:
            self.end_run()
            row = self.tape.count(self.path(time))
            self.run = (time, row, 1, id_, id_, cause, time, time)
        self.tape.expect(self.path(time), line)


class LateTrades(Late, PLANS.Trades):
    """Trades of which lost ones come later, some never, some twice."""

    def __init__(self, tape, ticker):
        super().__init__(tape, ticker)
        self.now += 100_000
        self.wanted = {}
        self.sent_late = []

    def step(self):
        self.tick()
        rng = self.tape.rng
        names = ("next", "again", "jump", "restart", "late", "late_again", "unwanted",
                 "told_first", "watermark")  # fmt: skip
        kind = rng.choices(names, (60, 8, 5, 3, 12, 3, 3, 3, 5))[0]
        getattr(self, f"do_{kind}" if self.last_time else "do_next")()

    def live(self, id_):
        self.end_run()
        self.tape.expect(self.path(self.now), self.trade(id_))
        self.last, self.last_time = id_, self.now

    def do_next(self):
        self.live(self.last + 1)

    def do_again(self):
        self.record(*self.tape.rng.choice(self.old[-5:]))

    def do_jump(self, cause="sequence"):
        self.end_run()
        id_ = self.last + 1 + self.tape.rng.randrange(1, 40)
        self.silent_gap(self.last + 1, id_ - 1, cause)
        self.want(self.last + 1, id_ - 1, cause)
        self.live(id_)

    def do_restart(self):
        self.epoch += 1
        self.do_jump("restart")

    def want(self, first, last, cause):
        self.wanted |= dict.fromkeys(range(first, last + 1), (cause, self.last_time))

    def do_late(self):
        """Some of what is wanted, by rising id, as pages of a history bring it."""
        ids = sorted(self.wanted)[: self.tape.rng.randrange(1, 12)]
        for id_ in ids:
            cause, time = self.wanted.pop(id_)
            here, self.now = self.now, time
            line = self.trade(id_, extra=LATE)
            self.now = here
            self.late_row(id_, time, cause, line)
            self.sent_late.append(self.old.pop())

    def do_late_again(self):
        if self.sent_late:
            self.record(*self.tape.rng.choice(self.sent_late), extra=LATE)

    def do_unwanted(self):
        """What nobody was told to miss: it is there already."""
        if self.last not in self.wanted:
            self.trade(self.last, extra=LATE)

    def do_told_first(self):
        """The record of the gap, then what fills it, and only then the next trade."""
        first, last = self.last + 1, self.last + self.tape.rng.randrange(1, 20)
        since, self.now = self.last_time, self.now + 10
        self.end_run()
        self.gap_record(first, last, "disconnect", since, self.now)
        if iso(since)[:10] != iso(self.now)[:10]:
            self.mark(since, "open", ids=(first, ""), told=("disconnect", iso(since), ""))
        self.mark(
            self.now, "gap", ids=(first, last), told=("disconnect", iso(since), iso(self.now))
        )
        self.want(first, last, "disconnect")
        time = self.now
        cause, at = self.wanted.pop(first)
        self.now = at
        line = self.trade(first, extra=LATE)
        self.old.pop()
        self.now = time
        self.late_row(first, at, cause, line)
        self.tick()
        self.last = last
        self.live(last + 1)

    def do_watermark(self):
        self.end_run()
        self.watermark()


class LateCandles(Late, PLANS.Candles):
    """Candles with a history, and with gaps that are filled before the next one has closed."""

    def __init__(self, tape, ticker, minutes=90):
        super().__init__(tape, ticker)
        start = self.now - self.now % MINUTE
        for back in range(minutes, 0, -1):
            if tape.rng.random() < 0.8:
                self.late(start - back * MINUTE, "history")
        if tape.rng.random() < 0.5:
            self.late(start, "history")
            self.candle(start, self.numbers(), closed=True)
            self.now += MINUTE

    def numbers(self):
        return [f"{self.tape.rng.randrange(10**6)}.5" for _ in range(5)]

    def late(self, start, cause):
        numbers = self.numbers()
        for _ in range(self.tape.rng.randrange(1, 3)):
            self.candle(start, numbers, closed=True, extra=LATE)
        line = ",".join((iso(start), self.ticker, "1m", *numbers))
        self.late_row(start, start, cause, line)

    def step(self):
        if self.tape.rng.random() < 0.3 and self.last_time:
            self.lost_and_filled()
        elif self.tape.rng.random() < 0.3 and self.last_time:
            self.killed()
        start = self.now - self.now % MINUTE
        numbers = self.numbers()
        self.candle(start, numbers, closed=False)
        self.candle(start, numbers, closed=True)
        self.end_run()
        self.tape.expect(self.path(start), ",".join((iso(start), self.ticker, "1m", *numbers)))
        self.last_time = start
        self.now += MINUTE

    def lost_and_filled(self):
        start = self.now - self.now % MINUTE
        lost = [start + MINUTE * index for index in range(self.tape.rng.randrange(1, 5))]
        self.now += MINUTE * len(lost)
        after = lost[-1] + MINUTE
        self.end_run()
        self.gap_record(lost[0], lost[-1], "stall", start, after)
        if iso(start)[:10] != iso(after)[:10]:
            self.mark(start, "open", ids=(start, ""), told=("stall", iso(start), ""))
        ids = (lost[0], lost[-1])
        self.mark(after, "gap", ids=ids, told=("stall", iso(start), iso(after)))
        for one in lost:
            if one == lost[0] or self.tape.rng.random() < 0.7:
                self.late(one, "stall")

    def candle(self, start, numbers, *, closed, extra=()):
        names = ("open", "high", "low", "close", "volume")
        members = ",".join(f'"{name}":{one}' for name, one in zip(names, numbers, strict=True))
        self.record(
            f'{{"pair":"{self.ticker}","timestamp":{start},{members},"source":"binance",'
            f'"interval":"1m","closed":{"true" if closed else "false"}}}'.encode(),
            start,
            extra=extra,
        )
