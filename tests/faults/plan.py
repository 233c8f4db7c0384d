"""A plan of faults from one seed: what is done to which exchange, and when the next one comes.

Loaded by conftest.py. A step is one fault, or a few that only make sense together (a cut, and
the upgrade after it refused). `waits`: the next step begins when this one has hit and the
exchange has recovered; otherwise it begins as soon as this one has hit, on top of it.
"""

import random
from dataclasses import dataclass

STREAMS = {
    "binance": ("depth@100ms", "depth20@100ms", "trade", "kline_1m"),
    "coinbase": ("level2", "matches", "ticker", "heartbeat"),
    "blockchain": ("l2", "trades", "ticker", "prices"),
    "stockbit": ("orderbook",),
    "stellar": ("getEvents",),
}
FORMS = ("text", "truncated", "binary")
BODIES = ("whole", "whole", "stall", "reset")
"""What comes of the body of a refusal."""
FULL = "full"
"""The producer has no room: no fault of a simulator, so that it has no JSON."""
EVERYBODY = "kafka"
"""Whom a full producer concerns."""
AN_HOUR_S = 3_600
_MOST_AHEAD_S = 9_000_000
_REST_PATHS = {"binance", "coinbase", "stockbit", "stellar"}


@dataclass(frozen=True)
class Step:
    """Faults that are posted at once, in this order."""

    number: int
    exchange: str
    faults: tuple[dict, ...]
    waits: bool


def make_plan(seed, count, tickers):
    """{exchange: steps} with `count` faults in all; the same for the same seed.

    It begins with one lost message of every stream, and one cut of every exchange.
    """
    chance = random.Random(f"fault plan {seed}")
    makers = {name: _Maker(name, tickers[name], chance) for name in tickers}
    plan = {name: [] for name in (*tickers, EVERYBODY)}
    left = count
    number = 0
    for name, fault in _tour(tickers):
        number += 1
        left -= 1
        plan[name].append(Step(number, name, (fault,), waits=True))
    while left > 0:
        number += 1
        if number % 25 == 0:
            seconds = round(chance.uniform(0.1, 1.6), 2)
            faults, name = ({"kind": FULL, "seconds": seconds},), EVERYBODY
        else:
            name = chance.choice(list(tickers))
            faults = makers[name].step()[:left]
        left -= len(faults)
        plan[name].append(Step(number, name, faults, chance.random() < 0.4))
    return plan


def _tour(tickers):
    """(exchange, fault): each stream of an exchange's first ticker, then the exchange."""
    for name in tickers:
        for stream in STREAMS[name]:
            ticker = "events" if name == "stellar" else tickers[name][0]
            yield name, {"kind": "drop", "ticker": ticker, "stream": stream, "frames": 1}
        where = {"ticker": "events", "stream": "getEvents"} if name == "stellar" else {}
        yield name, {"kind": "cut", "how": "reset", **where}


class _Maker:
    """Makes the steps of one exchange."""

    def __init__(self, name, tickers, chance):
        self._name, self._tickers, self._chance = name, tickers, chance
        self._clocks = 0
        kinds = {
            self._drop: 20,
            self._duplicate: 10,
            self._reorder: 10,
            self._garbage: 12,
            self._cut: 10,
            self._refused_upgrade: 4,
            self._stall: 8,
            self._delay: 6,
            self._clock: 6,
            self._rest: 12,
            self._shutdown: 2,
        }
        if name == "stellar":
            del kinds[self._refused_upgrade], kinds[self._shutdown]
        if name == "binance":
            kinds[self._stale] = 6
        self._kinds, self._weights = list(kinds), list(kinds.values())

    def step(self):
        """The next one."""
        [make] = self._chance.choices(self._kinds, self._weights)
        return make()

    def _where(self, *, whole=0.15):
        """One stream of one ticker, or all that is sent."""
        if self._name == "stellar":
            return {"ticker": "events", "stream": "getEvents"}
        if self._chance.random() < whole:
            return {}
        return {
            "ticker": self._chance.choice(self._tickers),
            "stream": self._chance.choice(STREAMS[self._name]),
        }

    def _some(self, most=4):
        return {"frames": self._chance.randint(1, most), "after": self._chance.randrange(4)}

    def _drop(self):
        return ({"kind": "drop", **self._where(), **self._some()},)

    def _duplicate(self):
        more = {"probability": 0.5, "seed": self._chance.randrange(1000)}
        return ({"kind": "duplicate", **self._where(), **self._some(8), **more},)

    def _reorder(self):
        return ({"kind": "reorder", **self._where(whole=0.0), **self._some(2)},)

    def _garbage(self):
        form, replace = self._chance.choice(FORMS), self._chance.random() < 0.5
        some = {"frames": self._chance.randint(1, 2), "after": self._chance.randrange(3)}
        return ({"kind": "garbage", **self._where(), **some, "form": form, "replace": replace},)

    def _cut(self):
        cut = {"kind": "cut", "how": self._chance.choice(("reset", "close"))}
        if cut["how"] == "close":
            cut["code"] = self._chance.choice((1000, 1001, 1008, 1011, 3000))
        if self._name == "stellar":
            return ({**cut, **self._where(), "how": "reset", "after": 0},)
        if self._chance.random() < 0.5:
            cut |= {**self._where(whole=0.0), "after": self._chance.randrange(6)}
        return (cut,)

    def _refused_upgrade(self):
        """Refused, and cut so that somebody asks."""
        status = self._chance.choice((418, 429, 451, 500, 502, 503))
        refuse = {"kind": "refuse", "where": "ws", "status": status, "requests": 1}
        if status in {418, 429, 503}:
            refuse["retry_after_s"] = 1
        return (refuse, {"kind": "cut", "how": "reset"})

    def _stall(self):
        """Mostly short; a long one is found, and outlasts what a chain's node keeps."""
        is_chain = self._name == "stellar"
        if self._chance.random() < (0.3 if is_chain else 0.1):
            seconds = (
                self._chance.uniform(6.5, 8.5) if is_chain else self._chance.uniform(3.5, 4.5)
            )
        else:
            seconds = self._chance.uniform(0.2, 1.2)
        return ({"kind": "stall", **self._where(), "seconds": round(seconds, 2)},)

    def _delay(self):
        """Of all that is sent where frames are numbered: the simulators' own rule."""
        where = {} if self._name == "blockchain" else self._where()
        seconds = round(self._chance.uniform(0.1, 1.0), 2)
        return ({"kind": "delay", **where, "seconds": seconds},)

    def _clock(self):
        """Each one two hours further ahead than the one before: no two of them agree."""
        self._clocks += 1
        ahead_s = self._clocks * 2 * AN_HOUR_S % _MOST_AHEAD_S + 2 * AN_HOUR_S
        return ({"kind": "clock", **self._where(whole=0.0), "ahead_s": ahead_s},)

    def _rest(self):
        """Something that makes capture ask the REST interface, and what it gets."""
        if self._name not in _REST_PATHS:
            return self._cut()
        requests = self._chance.randint(1, 2)
        if self._chance.random() < 0.3:
            seconds = round(self._chance.uniform(0.1, 1.5), 2)
            trouble = {"kind": "slow", "seconds": seconds, "requests": requests}
        else:
            status = self._chance.choice((418, 429, 429, 451, 500, 502, 503))
            trouble = {"kind": "refuse", "status": status, "requests": requests}
            trouble["body"] = self._chance.choice(BODIES)
            if status in {418, 429}:
                trouble["retry_after_s"] = 1
        return (trouble, *self._why_asked())

    def _stale(self):
        updates = self._chance.randint(1, 60)
        ticker = self._chance.choice(self._tickers)
        stale = {"kind": "stale_snapshot", "ticker": ticker, "updates": updates}
        drop = {"kind": "drop", "ticker": ticker, "stream": "depth@100ms", "frames": 1}
        return (stale, drop)

    def _why_asked(self):
        ticker = self._chance.choice(self._tickers)
        if self._name == "binance":
            stream = self._chance.choice(("depth@100ms", "trade"))
            return ({"kind": "drop", "ticker": ticker, "stream": stream, "frames": 1},)
        if self._name == "coinbase":
            return ({"kind": "drop", "ticker": ticker, "stream": "matches", "frames": 1},)
        if self._name == "stockbit":
            return ({"kind": "cut", "how": "reset"},)
        return ()

    def _shutdown(self):
        seconds = round(self._chance.uniform(0.1, 0.8), 2)
        return ({"kind": "server_shutdown", "close_after_s": seconds},)
