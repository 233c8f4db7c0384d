"""A seeded tape in Binance's form and what the archive must make of it.

The plan decides what is new, repeated, stale, missing or late, and writes the expected lines
down while it writes the records: it shares no code with the fold.
"""

import json
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext

START_MS = 1_723_161_480_000  # 2024-08-08T23:58:00Z
HEADERS = {
    "orderbook": "timestamp,price,lots,total_value,side",
    "prices": "timestamp,symbol,price,quantity,side,trade_id,source",
    "candles": "timestamp,pair,interval,open,high,low,close,volume",
    "events": "ledger,timestamp,id,contract_id,transaction_hash,type,topics,data",
    "marks": "row,rows,kind,first_id,last_id,cause,from,to",
}


def iso(time_ms):
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def exact(price, quantity):
    with localcontext(prec=100):
        text = f"{Decimal(price) * Decimal(quantity):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


class Tape:
    """Records in the order of sending, and the objects that they must give."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.records = []
        self.lines = {}
        self.messages = {}

    def send(self, topic, key, headers, value):
        self.records.append((topic, key.encode(), headers, value))

    def expect(self, path, line):
        self.lines.setdefault(path, []).append(line)

    def count(self, path):
        return len(self.lines.get(path, ()))

    def objects(self):
        """Path → bytes."""
        found = {}
        for path, lines in self.lines.items():
            kind = "marks" if path.endswith(".marks.csv") else path.split("/")[1]
            found[path] = "".join(f"{line}\n" for line in (HEADERS[kind], *lines)).encode()
        return found


class Unit:
    exchange = "binance"
    extra = ()

    def __init__(self, tape, topic, ticker, stream_type):
        self.tape = tape
        self.topic = topic
        self.ticker = ticker
        self.type = stream_type
        self.suffix = ".ws_depth" if stream_type == "ws_depth" else ""
        self.now = START_MS
        self.epoch = 1
        self.last = 0
        self.last_time = 0
        self.old = []

    def path(self, time_ms, kind=""):
        day = iso(time_ms)[:10]
        return f"data/{self.topic}/{self.exchange}/{day}_{self.ticker}{self.suffix}{kind}.csv"

    def record(self, message, id_=0, epoch=None, queue="q1", extra=()):
        value = message if isinstance(message, bytes) else json.dumps(message).encode()
        headers = [
            ("type", self.type.encode()),
            ("queue_id", queue.encode()),
            ("epoch", str(epoch or self.epoch).encode()),
            ("id", str(id_).encode()),
            ("received_ns", str(self.now * 1_000_000).encode()),
            ("time", b"exchange"),
            *self.extra,
            *extra,
        ]
        self.tape.send(self.topic, f"{self.exchange}:{self.ticker}", headers, value)

    def tick(self, least=1, most=400):
        self.now += self.tape.rng.randrange(least, most)

    def mark(self, time_ms, kind, *, rows=0, ids=("", ""), told=("", "", "")):
        row = self.tape.count(self.path(time_ms))
        fields = (row, rows, kind, *ids, *told)
        self.tape.expect(self.path(time_ms, ".marks"), ",".join(map(str, fields)))

    def silent_gap(self, first, last, cause):
        """The lines of a hole that nobody announced."""
        if iso(self.last_time)[:10] != iso(self.now)[:10]:
            self.mark(
                self.last_time, "open", ids=(first, ""), told=(cause, iso(self.last_time), "")
            )
        told = (cause, iso(self.last_time), iso(self.now))
        self.mark(self.now, "gap", ids=(first, last), told=told)

    def gap_record(self, first, last, cause, since, until):
        self.record(
            {"e": "gap", "E": self.now, "s": self.ticker, "x": self.exchange, "first": first,
             "last": last, "cause": cause, "from": since, "to": until}
        )  # fmt: skip

    def watermark(self):
        self.record({"e": "watermark", "E": self.now, "s": self.ticker, "x": self.exchange})


class Book(Unit):
    """A unit of `orderbook`."""

    def __init__(self, tape, ticker, stream_type="ws_diff_depth"):
        super().__init__(tape, "orderbook", ticker, stream_type)
        self.told = None
        self.last = tape.rng.randrange(1000, 10**12)
        self.snapshot(self.last)

    def levels(self, most):
        rng = self.tape.rng
        return [
            [
                f"{rng.randrange(1, 10**7)}.{rng.randrange(10**8):08d}",
                rng.choice(("0.00000000", "0", f"{rng.randrange(10**10) / 10**8:.8f}")),
            ]
            for _ in range(rng.randrange(most))
        ]

    def write(self, message):
        path = self.path(message["E"])
        self.tape.messages[path] = self.tape.messages.get(path, 0) + 1
        for side, levels in (("BUY", message["b"]), ("SELL", message["a"])):
            for price, lots in levels:
                total = exact(price, lots)
                self.tape.expect(path, f"{iso(message['E'])},{price},{lots},{total},{side}")

    def snapshot(self, id_):
        message = {"e": "depthSnapshot", "E": self.now, "s": self.ticker, "u": id_,
                   "b": self.levels(8), "a": self.levels(8), "x": self.exchange}  # fmt: skip
        self.record(message, id_)
        rows = len(message["b"]) + len(message["a"])
        told = ("", iso(self.now), iso(self.now))
        self.mark(self.now, "snapshot", rows=rows, ids=(id_, id_), told=told)
        self.write(message)
        self.last, self.last_time = id_, self.now

    def delta(self, first, last, time_ms=None, **of_record):
        """Sends a delta; the caller knows whether it gives rows."""
        bids, asks = self.levels(6), self.levels(6)
        message = {"e": "depthUpdate", "E": time_ms or self.now, "s": self.ticker, "U": first,
                   "u": last, "b": bids, "a": asks, "x": self.exchange}  # fmt: skip
        self.record(message, last, **of_record)
        return message

    def step(self):
        rng = self.tape.rng
        before = iso(self.now)[:10]
        self.tick()
        if iso(self.now)[:10] != before:
            self.begin_day()
        chosen = rng.choices(
            (self.goes_on, self.repeats, self.late, self.jumps, self.announced, self.restarts,
             self.restates, self.poison, self.watermark, self.false_alarm),
            (60, 8, 3, 4, 4, 3, 3, 2, 6, 2),
        )[0]  # fmt: skip
        chosen()

    def begin_day(self):
        """A day begins with a snapshot, or, while the book is not known, with the gap again."""
        if self.told and self.tape.rng.random() < 0.5:
            first, last, cause, since = self.told
            self.gap_record(first, last, cause, since, self.now)
            told = (cause, iso(since), iso(self.now))
            self.mark(self.now, "gap", ids=(first, last), told=told)
        else:
            self.snapshot(self.last)

    def goes_on(self, time_ms=None):
        rng = self.tape.rng
        first = self.last + 1 - rng.choice((0, 0, 0, 2))  # partial overlap is applied whole
        final = self.last + rng.randrange(1, 30)
        message = self.delta(first, final, time_ms)
        self.write(message)
        self.old.append((message, final))
        self.last, self.last_time = final, message["E"]

    def repeats(self):
        """The very message again, as a retry or a second socket sends it."""
        if self.old:
            self.record(*self.tape.rng.choice(self.old[-20:]))

    def late(self):
        """An event whose own time is a little back, perhaps on the day before."""
        self.goes_on(self.now - self.tape.rng.randrange(5_000))

    def jumps(self):
        first = self.last + self.tape.rng.randrange(2, 50)
        self.silent_gap(self.last + 1, first - 1, "sequence")
        message = self.delta(first, first + 3)
        self.write(message)
        self.last, self.last_time = first + 3, self.now
        self.tick()
        self.snapshot(self.last)

    def announced(self):
        since, first = self.last_time, self.last + 1
        cause = self.tape.rng.choice(("disconnect", "stall", "backpressure"))
        self.gap_record(first, None, cause, since, None)
        self.mark(since, "open", ids=(first, ""), told=(cause, iso(since), ""))
        for _ in range(self.tape.rng.randrange(3)):
            self.tick()
            self.watermark()
        self.tick(1, 30_000)
        final = self.last + self.tape.rng.randrange(1, 1000)
        before = self.tape.rng.random() < 0.5
        if before:
            self.gap_record(first, final, cause, since, self.now)
        told = (cause, iso(since), iso(self.now))
        self.mark(self.now, "gap", ids=(first, final), told=told)
        self.snapshot(final)
        self.told = (first, final, cause, since)
        if not before:
            self.gap_record(first, final, cause, since, self.now)

    def false_alarm(self):
        """A loss was announced, and the snapshot shows that nothing happened meanwhile."""
        since = self.last_time
        self.gap_record(self.last + 1, None, "stall", since, None)
        self.mark(since, "open", ids=(self.last + 1, ""), told=("stall", iso(since), ""))
        self.tick()
        self.mark(self.now, "gap", told=("stall", iso(since), iso(self.now)))
        self.snapshot(self.last)

    def restarts(self):
        """A new epoch; then what the old one still sends is stale."""
        self.epoch += self.tape.rng.randrange(1, 5)
        self.tick(1, 20_000)
        final = self.last + self.tape.rng.randrange(1, 500)
        self.silent_gap(self.last + 1, final, "restart")
        self.snapshot(final)
        for _ in range(self.tape.rng.randrange(3)):
            self.delta(self.last + 1, self.last + 5, epoch=self.epoch - 1)

    def restates(self):
        self.tick()
        self.snapshot(self.last)

    def poison(self):
        self.record(self.tape.rng.choice((b"", b"{", b'{"e":"depthUpdate","E":"x"}', b"[]")))


class Trades(Unit):
    """A unit of `prices`."""

    def __init__(self, tape, ticker):
        super().__init__(tape, "prices", ticker, "ws_trades")
        self.last = tape.rng.randrange(10**9)

    def trade(self, id_, **of_record):
        rng = self.tape.rng
        price = f"{rng.randrange(1, 10**6)}.{rng.randrange(10**8):08d}"
        quantity = f"0.{rng.randrange(10**8):08d}"
        side = rng.choice(("BUY", "SELL"))
        text = (
            f'{{"type":"price_update","symbol":"{self.ticker}","price":{price},"volume":null,'
            f'"timestamp":"{iso(self.now)}","source":"binance","trade_id":{id_},'
            f'"quantity":{quantity},"side":"{side}"}}'
        )
        self.record(text.encode(), id_, **of_record)
        self.old.append((text.encode(), id_))
        return f"{iso(self.now)},{self.ticker},{price},{quantity},{side},{id_},binance"

    def step(self):
        self.tick()
        kind = self.tape.rng.choices(("next", "again", "jump", "restart"), (80, 10, 5, 3))[0]
        if kind == "again" and self.last_time:
            self.record(*self.tape.rng.choice(self.old[-5:]))
            return
        id_ = self.last + 1
        if kind in ("jump", "restart") and self.last_time:
            self.epoch += kind == "restart"
            id_ += self.tape.rng.randrange(1, 100)
            self.silent_gap(
                self.last + 1, id_ - 1, "restart" if kind == "restart" else "sequence"
            )
        self.tape.expect(self.path(self.now), self.trade(id_))
        self.last, self.last_time = id_, self.now


class Candles(Unit):
    """A unit of `candles`, one a minute."""

    def __init__(self, tape, ticker):
        super().__init__(tape, "candles", ticker, "ws_candles")

    def step(self):
        start = self.now - self.now % 60_000
        if self.tape.rng.random() < 0.2:
            start = self.missed(start)
        elif self.tape.rng.random() < 0.2 and self.now != START_MS:
            start = self.killed()
        numbers = [
            f"{self.tape.rng.randrange(10**6)}.{self.tape.rng.randrange(100):02d}"
            for _ in range(5)
        ]
        self.candle(start, numbers, closed=False)
        for _ in range(self.tape.rng.randrange(1, 3)):
            self.candle(start, numbers, closed=True)
        self.tape.expect(self.path(start), ",".join((iso(start), self.ticker, "1m", *numbers)))
        self.now += 60_000

    def missed(self, start):
        """Two candles that nobody saw, told before the next one comes."""
        if self.now == START_MS:
            return start
        self.now += 120_000
        after = start + 120_000
        self.gap_record(start, after - 60_000, "disconnect", start, after)
        told = ("disconnect", iso(start), iso(after))
        if iso(start)[:10] != iso(after)[:10]:
            self.mark(start, "open", ids=(start, ""), told=("disconnect", iso(start), ""))
        self.mark(after, "gap", ids=(start, after - 60_000), told=told)
        return after

    def killed(self):
        """The next process goes on after some candles without a word, or after none."""
        start = self.now - self.now % 60_000
        after = start + 60_000 * self.tape.rng.randrange(4)
        self.epoch += 1
        self.now += after - start
        self.end_run()
        if after > start:
            if iso(start)[:10] != iso(after)[:10]:
                self.mark(start, "open", ids=(start, ""), told=("restart", iso(start), ""))
            told = ("restart", iso(start), iso(after))
            self.mark(after, "gap", ids=(start, after - 60_000), told=told)
        return after

    def end_run(self):
        """Where what comes late is told; nothing does here."""

    def candle(self, start, numbers, *, closed):
        names = ("open", "high", "low", "close", "volume")
        members = ",".join(
            f'"{name}":{number}' for name, number in zip(names, numbers, strict=True)
        )
        self.record(
            f'{{"pair":"{self.ticker}","timestamp":{start},{members},"source":"binance",'
            f'"interval":"1m","closed":{"true" if closed else "false"}}}'.encode()
        )


def seeded_tape(seed, steps=400, tickers=("BTCUSDT", "ETHUSDT", "LTCUSDT")):
    """A tape of several tickers and types, interleaved, that crosses midnight UTC."""
    tape = Tape(seed)
    units = [Book(tape, ticker) for ticker in tickers] + [Trades(tape, one) for one in tickers]
    units += [Candles(tape, tickers[0])]
    weights = [30] * len(tickers) + [15] * len(tickers) + [1]
    for unit in tape.rng.choices(units, weights, k=steps):
        unit.step()
    return tape
