"""Frames that cannot be used go, whole, to the topic `rejects`, at a bounded rate."""

import base64
import time

from container_worker.capture.ports import Producer
from marketdata import codec
from marketdata.messages import Reject

_A_SECOND = 20.0
_BURST = 200.0
_LARGEST = 4 * 1024 * 1024


class Rejects:
    """Sends rejects of one exchange and counts all of them, those over the rate included.

    `topic` is None for a job whose cluster has no such topic: then they are only counted.
    Called with the line's lock held.
    """

    def __init__(self, producer: Producer, exchange: str, topic: str | None) -> None:
        self.seen = 0
        self.kept = 0
        self._producer = producer
        self._exchange = exchange
        self._topic = topic
        self._tokens = _BURST
        self._at_s = time.monotonic()

    def put(self, frame: bytes, reason: str, received_ns: int) -> None:
        """One frame, with the reason."""
        self.seen += 1
        if self._topic is None or len(frame) > _LARGEST or not self._has_token():
            return
        reject = _reject(self._exchange, frame, reason, received_ns)
        headers = codec.record_headers(
            codec.base_headers("reject", "", 0), "", received_ns, b"received"
        )
        record = codec.Record(
            self._topic, self._exchange.encode(), codec.encode(reject), headers
        )
        self.kept += self._producer.send(record, reserved=True)

    def _has_token(self) -> bool:
        now_s = time.monotonic()
        self._tokens = min(_BURST, self._tokens + (now_s - self._at_s) * _A_SECOND)
        self._at_s = now_s
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


def _reject(exchange: str, frame: bytes, reason: str, received_ns: int) -> Reject:
    try:
        return Reject(exchange, reason, "utf-8", frame.decode(), received_ns)
    except UnicodeDecodeError:
        text = base64.b64encode(frame).decode()
        return Reject(exchange, reason, "base64", text, received_ns)
