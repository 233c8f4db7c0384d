"""A line with a made-up exchange, whose frames are given as outcomes. Loaded by its tests."""

import json
import threading

from capture_rig import FakeProducer

from container_worker.capture.line import Line
from container_worker.capture.outlet import Outlet
from container_worker.capture.rejects import Rejects
from container_worker.capture.tidings import Tidings
from container_worker.capture.unit import Unit, make_sync
from container_worker.capture.watch import Watch
from container_worker.exchanges.adapter import Channel
from container_worker.exchanges.outcomes import (
    BookDelta,
    BookState,
    CandleState,
    TickerState,
    Trade,
)
from marketdata.codec import parse_headers
from marketdata.errors import DecodeError
from marketdata.instruments import Instrument
from marketdata.messages import DepthSnapshot, DepthUpdate

NOW_MS = 1_723_161_601_000
NOW_NS = NOW_MS * 1_000_000
TYPES = {
    "ws_diff_depth": "ours",
    "ws_trades": "exchange",
    "ws_ticker": "opaque",
    "ws_candles": "snapshots",
}


class Socket:
    """A source that notes what the line wants of it."""

    def __init__(self) -> None:
        self.data_ns = 0
        self.number = None
        self.unread = 0
        self.is_gone = False
        self.flows = False
        self.openings = set()
        self.wants = []

    def accepted(self, names) -> None:
        self.wants.append(("accepted", names))

    def refused(self, text) -> None:
        self.wants.append(("refused", text))

    def forget(self, channels) -> None:
        self.wants.append(("forget", *channels))

    def ask(self, channel) -> None:
        self.wants.append(("ask", channel))

    def leaving(self) -> None:
        self.wants.append(("leaving",))

    def broken(self, reason, cause) -> None:
        self.wants.append(("broken", cause, reason))

    def restate(self, channel) -> None:
        self.wants.append(("restate", channel.ticker, channel.type))


class World:
    """A line whose frames are given as outcomes; None does not decode."""

    def __init__(self, types=TYPES, tickers=("T",), audit_s=1e6) -> None:
        self.producer = FakeProducer()
        self.recovered = []
        self.told = []
        self.at_ns = NOW_NS
        self.now_s = 0.0
        self.troubles = []
        rejects = Rejects(
            self.producer, "x", "rejects", lambda error: self.troubles.append(str(error))
        )
        self.units = [self._unit(ticker, *one) for ticker in tickers for one in types.items()]
        self.line = Line(
            "x",
            lambda frame, _received_ns: self._decode(frame),
            units=self.units,
            outlet=Outlet(self.producer, threading.Event(), 0.1),
            rejects=rejects,
            recover=lambda channel, first, last, _deliver: self.recovered.append(
                (channel.type, first, last)
            ),
            audit_s=audit_s,
            tidings=Tidings(
                refused=lambda *refused: self.told.append(refused), traded=self.told.append
            ),
        )
        self.rejects = rejects
        self.socket = Socket()
        self._frames = {}

    def _unit(self, ticker, type_, numbering):
        instrument = Instrument("x", ticker, ticker, ticker, "")
        sync = make_sync(type_, numbering, instrument, None, recovers=True)
        headers = [("type", type_.encode()), ("queue_id", b"q"), ("epoch", b"1")]
        key = f"x:{ticker}".encode()
        channel = Channel(ticker, type_)
        return Unit(channel, sync, "topic", key, headers, lambda: None, watch=Watch(10.0))

    def _decode(self, frame):
        outcomes = self._frames[frame]
        if outcomes is None:
            raise DecodeError("garbage")
        return outcomes

    def feed(self, *outcomes, source=None, garbage=False) -> None:
        frame = b"%d" % len(self._frames)
        self._frames[frame] = None if garbage else outcomes
        self.at_ns += 1_000_000
        self.line.feed(frame, self.at_ns, source or self.socket)

    def tick(self, seconds=0.25, *, connected=True) -> None:
        self.now_s += seconds
        self.line.tick(self.now_s, 60.0, connected=connected)

    def records(self, type_="ws_diff_depth", ticker="T"):
        key = f"x:{ticker}".encode()
        return [
            (json.loads(one.value), parse_headers(one.headers))
            for one in self.producer.records
            if one.key == key and ("type", type_.encode()) in one.headers
        ]

    def kinds(self, type_="ws_diff_depth", ticker="T"):
        return [
            value.get("cause") if value.get("e") == "gap" else value.get("e", value.get("type"))
            for value, _ in self.records(type_, ticker)
        ]


def state(price="9", ticker="T"):
    book = DepthSnapshot(NOW_MS, ticker, 0, [(price, "1")], [("11", "1")], "x")
    return BookState("ws_diff_depth", "received", book)


def delta(price="9", size="2", ticker="T"):
    return BookDelta("exchange", DepthUpdate(NOW_MS, ticker, 0, 0, [(price, size)], [], "x"))


def trade(id_, ticker="T"):
    return Trade(ticker, id_, NOW_MS, "10", "1", "BUY")


def ticker_state(price):
    return TickerState("T", NOW_MS, "exchange", price, "100")


def candle(start=0, *, closed=False):
    start_ms = NOW_MS + start * 60_000
    event_ms = start_ms + 1 + closed
    values = ("1", "1", "1", "1", "1", closed)
    return CandleState("T", event_ms, start_ms, 60_000, "1m", *values)
