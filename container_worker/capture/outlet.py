"""From a unit to Kafka, with the policy for a full producer (rule 5).

crowded ─► the socket waits, 30 s at most ─► lossy: what comes is lost, and marked
"""

import threading
import time

from container_worker.capture.emissions import Write
from container_worker.capture.ports import Producer
from container_worker.capture.unit import Unit
from marketdata import codec
from marketdata.messages import Gap, Watermark

_POLL_S = 0.02


class Outlet:
    """One for each line; called with the line's lock held."""

    def __init__(self, producer: Producer, stop: threading.Event, patience_s: float) -> None:
        self._producer = producer
        self._stop = stop
        self._patience_s = patience_s
        self.lossy = False
        self._waited_at_s: float | None = None

    def waited_lately(self) -> bool:
        """Whether a full producer held the socket back within the last `patience_s`."""
        waited_at_s = self._waited_at_s
        return waited_at_s is not None and time.monotonic() - waited_at_s < self._patience_s

    def make_room(self) -> None:
        """Returns when a frame may be taken: the caller's socket is not read meanwhile."""
        if self.lossy or not self._producer.crowded:
            return
        self.lossy = not self._room_comes()

    def recover(self) -> bool:
        """Whether there is room again after records were lost."""
        self._producer.poll()
        if self.lossy and not self._producer.crowded:
            self.lossy = False
            return True
        return False

    def send(self, unit: Unit, write: Write, received_ns: int) -> bool:
        """Publishes one record of the unit; False when it found no room.

        For data and gaps it waits; while records are lost a gap still has room of its own.
        """
        message = write.message
        is_gap = type(message) is Gap
        clock = b"exchange" if unit.sync.clock == "exchange" else b"received"
        record = codec.Record(
            unit.topic,
            unit.key,
            codec.encode(message),
            codec.record_headers(unit.headers, write.id, received_ns, clock),
        )
        if type(message) is Watermark:
            return self._producer.send(record)
        if self.lossy and not is_gap:
            return False
        wrote = None if is_gap else unit.wrote
        if self._producer.send(record, wrote, reserved=is_gap):
            return True
        if self.lossy:
            return False
        self.lossy = not self._room_comes() or not self._producer.send(
            record, wrote, reserved=is_gap
        )
        return not self.lossy

    def _room_comes(self) -> bool:
        until_s = time.monotonic() + self._patience_s
        while self._producer.crowded:
            self._waited_at_s = time.monotonic()
            if self._waited_at_s > until_s or self._stop.is_set():
                return False
            self._producer.poll(_POLL_S)
        return True
