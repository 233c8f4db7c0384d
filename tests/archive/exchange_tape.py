"""Seeded tapes of all exchanges, with what comes late, and what the archive makes of them.

Like `seeded_tape`, whose parts it uses: the plan decides what is new, lost or repeated and
writes the expected lines down itself.
"""

import importlib.util
import json
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


PLANS, COMES_LATE = load("seeded_tape"), load("late_tape")
iso = PLANS.iso
OURS = (("ids", b"ours"),)


def killed(unit):
    """The next process says nothing of the hole, and its first record shows none."""
    unit.epoch += unit.tape.rng.randrange(1, 9)
    unit.tick(1, 20_000)
    unit.silent_gap("", "", "restart")


class OpaqueTrades(PLANS.Unit):
    """Blockchain.com's trades: ids are texts, and an outage is an open gap."""

    exchange = "blockchain"

    def __init__(self, tape, ticker):
        super().__init__(tape, "prices", ticker, "ws_trades")
        self.sent = []

    def step(self):
        self.tick()
        rng = self.tape.rng
        kinds = ("next", "again", "outage", "killed", "watermark")
        kind = rng.choices(kinds, (70, 15, 6, 4, 6))[0]
        if kind == "again" and self.sent:
            self.record(*rng.choice(self.sent[-100:]))
        elif kind == "watermark":
            self.watermark()
        else:
            if kind == "outage" and self.last_time:
                self.outage()
            if kind == "killed" and self.last_time:
                killed(self)
            self.trade()

    def outage(self):
        since = self.last_time
        self.gap_record(None, None, "disconnect", since, None)
        self.mark(since, "open", told=("disconnect", iso(since), ""))
        self.tick(1_000, 20_000)
        if self.tape.rng.random() < 0.7:
            self.gap_record(None, None, "disconnect", since, self.now)
        self.mark(self.now, "gap", told=("disconnect", iso(since), iso(self.now)))

    def trade(self):
        rng = self.tape.rng
        id_ = f"{rng.randrange(16**8):08x}-{len(self.sent)}"
        text = (
            f'{{"type":"price_update","symbol":"BTC/USD","price":1.5e-7,"volume":null,'
            f'"timestamp":"{iso(self.now)}","source":"blockchain","trade_id":"{id_}",'
            f'"quantity":2,"side":"SELL"}}'
        ).encode()
        self.record(text, id_)
        self.sent.append((text, id_))
        line = f"{iso(self.now)},BTC/USD,0.00000015,2,SELL,{id_},blockchain"
        self.tape.expect(self.path(self.now), line)
        self.last_time = self.now


class Tickers(PLANS.Unit):
    """Coinbase's ticker: trade ids that skip, members that are missing."""

    exchange = "coinbase"

    def __init__(self, tape, ticker):
        super().__init__(tape, "prices", ticker, "ws_ticker")
        self.suffix = ".ws_ticker"
        self.text = None

    def step(self):
        self.tick()
        rng = self.tape.rng
        if self.text and rng.random() < 0.2:
            self.record(self.text)
            return
        if self.last_time and rng.random() < 0.1:
            killed(self)
        whole = rng.random() < 0.7
        id_, quantity, side = (rng.randrange(10**6), "0.5", "BUY") if whole else ("", "", "")
        self.text = (
            f'{{"type":"price_update","symbol":"BTC/USD","price":60000.10,"volume":81.5,'
            f'"timestamp":"{iso(self.now)}","source":"coinbase",'
            f'"trade_id":{json.dumps(id_)},"quantity":{quantity or "null"},"side":"{side}"}}'
        ).encode()
        self.record(self.text, id_)
        line = f"{iso(self.now)},BTC/USD,60000.10,{quantity},{side},{id_},coinbase"
        self.tape.expect(self.path(self.now), line)
        self.last_time = self.now


class Snapshots(PLANS.Book):
    """Binance's top levels: each message states all, and its ids skip."""

    def __init__(self, tape, ticker):
        super().__init__(tape, ticker, "ws_depth")

    def step(self):
        self.tick()
        kind = self.tape.rng.choices(("next", "killed", "watermark"), (80, 10, 10))[0]
        if kind == "watermark":
            self.watermark()
            return
        if kind == "killed":
            killed(self)
        self.snapshot(self.last + self.tape.rng.randrange(1, 90))


class OursBook(PLANS.Book):
    """Coinbase's book: capture numbers it, and begins anew in every epoch."""

    exchange = "coinbase"
    extra = OURS

    def __init__(self, tape, ticker):
        PLANS.Unit.__init__(self, tape, "orderbook", ticker, "ws_diff_depth")
        self.snapshot(1)

    def step(self):
        before = iso(self.now)[:10]
        self.tick()
        if iso(self.now)[:10] != before:
            self.snapshot(self.last)
        chosen = (self.goes_on, self.repeats, self.loses, self.restarts, self.watermark)
        self.tape.rng.choices(chosen, (70, 8, 5, 3, 5))[0]()

    def goes_on(self, time_ms=None):
        message = self.delta(self.last + 1, self.last + 1, time_ms)
        self.write(message)
        self.last, self.last_time = self.last + 1, message["E"]
        self.old.append((message, self.last))

    def loses(self):
        since, number = self.last_time, self.last + 1
        self.gap_record(number, None, "garbage", since, None)
        self.mark(since, "open", ids=(number, ""), told=("garbage", iso(since), ""))
        self.tick(1, 5_000)
        self.gap_record(number, number, "garbage", since, self.now)
        told = ("garbage", iso(since), iso(self.now))
        self.mark(self.now, "gap", ids=(number, number), told=told)
        self.snapshot(number)

    def restarts(self):
        self.epoch += 1
        self.tick(1, 20_000)
        if iso(self.last_time)[:10] != iso(self.now)[:10]:
            self.mark(self.last_time, "open", told=("restart", iso(self.last_time), ""))
        told = ("restart", iso(self.last_time), iso(self.now))
        self.mark(self.now, "gap", told=told)
        self.snapshot(1)
        self.old.clear()


class Sides(PLANS.Unit):
    """Stockbit's book, a side a message; `numbered` by the exchange, or by capture."""

    exchange = "stockbit"

    def __init__(self, tape, ticker, *, numbered):
        super().__init__(tape, "orderbook", ticker, "ws_depth")
        self.numbered = numbered
        self.suffix = ""
        self.extra = () if numbered else OURS
        self.now += 17 * 3_600_000 - self.now % 86_400_000 - 10_000  # before midnight there
        self.state_both()

    def local(self, time_ms):
        text = iso(time_ms + 7 * 3_600_000)[:-1]
        return (text if time_ms % 1000 else text[:-4]) + "+07:00"

    def path(self, time_ms, kind=""):
        day = self.local(time_ms)[:10]
        return f"data/orderbook/stockbit/{day}_{self.ticker}{kind}.csv"

    def state_both(self):
        self.side("b")
        self.side("a")

    def side(self, side, lost=0):
        rng = self.tape.rng
        levels = [
            [str(7000 + 25 * index), str(rng.randrange(1, 900)), str(rng.randrange(10**9))]
            for index in range(rng.randrange(4))
        ]
        id_ = self.last + 1 + lost
        both = {"b": [], "a": [], side: levels}
        message = {"e": "depthSnapshot", "E": self.now, "s": self.ticker, "u": id_, **both,
                   "x": "stockbit", "side": side}  # fmt: skip
        self.record(message, id_)
        kind = "snapshot_bids" if side == "b" else "snapshot_asks"
        time = self.local(self.now)
        self.mark(self.now, kind, rows=len(levels), ids=(id_, id_), told=("", time, time))
        for price, lots, value in levels:
            word = "BUY" if side == "b" else "SELL"
            self.tape.expect(self.path(self.now), f"{time},{price},{lots},{value},{word}")
        self.last, self.last_time = id_, self.now

    def step(self):
        before = self.local(self.now)[:10]
        self.tick()
        if self.local(self.now)[:10] != before:
            self.state_both()
        kind = self.tape.rng.choices(("side", "lost", "killed", "watermark"), (70, 8, 4, 5))[0]
        getattr(self, f"do_{kind}")()

    def do_side(self):
        self.side(self.tape.rng.choice("ba"))

    def do_watermark(self):
        self.watermark()

    def do_lost(self):
        """Told at once; closed when both sides were stated again."""
        since, first = self.last_time, self.last + 1
        lost = self.tape.rng.randrange(1, 9) if self.numbered else 1
        self.gap_record(first, None, "stall", since, None)
        self.mark(since, "open", ids=(first, ""), told=("stall", self.local(since), ""))
        self.tick()
        self.side("a", lost)
        self.tick()
        self.side("a")
        self.side("b")
        self.gap_record(first, first + lost - 1, "stall", since, self.now)
        told = ("stall", self.local(since), self.local(self.now))
        self.mark(self.now, "gap", ids=(first, first + lost - 1), told=told)

    def do_killed(self):
        """Nobody could tell of it: the next process's first record does."""
        self.epoch += 1
        self.tick(1, 9_000)
        ids, lost = ("", ""), 0
        if self.numbered:
            lost = self.tape.rng.randrange(1, 9)
            ids = (self.last + 1, self.last + lost)
        since, until = self.local(self.last_time), self.local(self.now)
        if since[:10] != until[:10]:
            self.mark(self.last_time, "open", ids=(ids[0], ""), told=("restart", since, ""))
        self.mark(self.now, "gap", ids=ids, told=("restart", since, until))
        if not self.numbered:
            self.last = 0
        self.side("b", lost)
        self.side("a")


class Events(PLANS.Unit):
    """Stellar's contract events, in one object a day."""

    exchange = "stellar"

    def __init__(self, tape):
        super().__init__(tape, "events", "events", "contract_events")
        self.ledger = 3_727_845
        self.place = 0

    def path(self, time_ms, kind=""):
        return f"data/events/stellar/{iso(time_ms)[:10]}{kind}.csv"

    def step(self):
        rng = self.tape.rng
        kind = rng.choices(("next", "again", "ledger", "retention", "watermark"),
                           (60, 10, 20, 3, 5))[0]  # fmt: skip
        if kind == "again" and self.old:
            self.record(*rng.choice(self.old))
        elif kind == "watermark":
            self.watermark()
        else:
            if kind != "next":
                self.ledger += 1
                self.place = 0
                self.tick(4_000, 6_000)
            if kind == "retention" and self.last_time:
                self.retention()
            self.event()

    def retention(self):
        since, first = self.last_time, self.ledger
        self.gap_record(first, None, "retention", since, None)
        self.mark(since, "open", ids=(first, ""), told=("retention", iso(since), ""))
        self.ledger += self.tape.rng.randrange(2, 900)
        self.tick(20_000, 200_000)
        self.gap_record(first, self.ledger - 1, "retention", since, self.now)
        told = ("retention", iso(since), iso(self.now))
        self.mark(self.now, "gap", ids=(first, self.ledger - 1), told=told)

    def event(self):
        self.place += 1
        id_ = f"{self.ledger << 32:019d}-{self.place:010d}"
        topics = [{"symbol": "transfer"}, {"string": 'a, "b"\n'}]
        data = {"i128": str(self.place)}
        time = iso(self.now).replace(".000Z", "Z")
        message = {"type": "contract_event", "ledger": self.ledger, "transaction_hash": "ab",
                   "contract_id": "CA", "topics": topics, "data": data, "id": id_,
                   "timestamp": time, "event_type": "contract", "transaction_index": 0,
                   "operation_index": 0, "in_successful_call": True}  # fmt: skip
        self.record(message, id_)
        self.old.append((message, id_))
        texts = [json.dumps(one, separators=(",", ":")) for one in (topics, data)]
        quoted = ['"' + text.replace('"', '""') + '"' for text in texts]
        line = (str(self.ledger), time, id_, "CA", "ab", "contract", *quoted)
        self.tape.expect(self.path(self.now), ",".join(line))
        self.last_time = self.now


def exchange_tape(seed, steps=600):
    """All of these units, interleaved; most cross a midnight."""
    tape = PLANS.Tape(seed)
    units = [
        COMES_LATE.LateTrades(tape, "BTCUSDT"),
        COMES_LATE.LateCandles(tape, "BTCUSDT"),
        OpaqueTrades(tape, "BTC-USD"),
        Tickers(tape, "BTC-USD"),
        Snapshots(tape, "BTCUSDT"),
        OursBook(tape, "BTC-USD"),
        Sides(tape, "BBCA", numbered=False),
        Sides(tape, "TLKM", numbered=True),
        Events(tape),
    ]
    weights = (30, 1, 10, 5, 5, 20, 10, 10, 10)
    for unit in tape.rng.choices(units, weights, k=steps):
        unit.step()
    return tape
