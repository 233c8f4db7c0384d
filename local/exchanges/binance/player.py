"""Plays Binance's tape, whose clients need a snapshot by REST besides the frames."""

from local.exchanges.binance.recording import Record
from local.exchanges.binance.tape import BookKnown, Tape
from local.exchanges.frames import Frame
from local.exchanges.hub import Hub
from local.exchanges.pace import Pace
from local.exchanges.player import TapePlayer
from local.exchanges.snapshot_gate import SnapshotGate


class GatedPlayer(TapePlayer[Record]):
    """Stops the tape where a client is owed a snapshot; see `SnapshotGate`."""

    def __init__(self, tape: Tape, hub: Hub, gate: SnapshotGate, pace: Pace) -> None:
        super().__init__(tape, hub, pace)
        self._binance = tape
        self._gate = gate
        self._followed: set[str] = set()

    def before(self) -> None:
        """Who newly follows a ticker's diffs is owed a snapshot.

        At a pace of time only until the recorded snapshot: later a client keeps up by itself.
        """
        for stream in self.hub.take_newly_wanted():
            ticker = self._binance.diff_ticker(stream)
            if ticker is None:
                continue
            self._followed.discard(ticker)
            if self.pace.speed is None or self._binance.ladder(ticker) is None:
                self._gate.owed.add(ticker)

    async def happen(self, record: Record) -> None:
        """A frame, or the snapshot that makes a book known."""
        happened = self._binance.play(record)
        if isinstance(happened, Frame):
            await self._send(happened)
        elif isinstance(happened, BookKnown):
            await self._hold(happened.ticker)
            self._binance.settle(happened.ticker)
            await self._gate.tell()

    async def _send(self, frame: Frame) -> None:
        self.publish(frame)
        if not self._gate.owed or frame.ticker not in self._gate.owed:
            return
        if self._binance.diff_ticker(frame.stream):
            self._followed.add(frame.ticker)
            await self._hold(frame.ticker)

    async def _hold(self, ticker: str) -> None:
        """Stop for a snapshot that is owed, once there is a diff and the book is known."""
        ready = ticker in self._followed and self._binance.ladder(ticker) is not None
        if ready and ticker in self._gate.owed and self.hub.listened.is_set():
            self.hub.flush()
            await self._gate.hold(ticker)
            self.go_on_from_now()
