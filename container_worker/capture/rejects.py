"""Frames that cannot be used go, whole, to the topic `rejects`, at a bounded rate."""

import base64
import contextlib
import time
from collections.abc import Iterator

from container_worker import log
from container_worker.capture.ports import Producer
from container_worker.outermost import Fail
from marketdata import codec
from marketdata.errors import BrokerError, DecodeError, TapedeckError
from marketdata.messages import Reject
from marketdata.topics import REJECTS

_A_SECOND = 20.0
_BURST = 200.0
_BYTES_A_TOKEN = 64 * 1024
"""A frame counts once, and once more for each of these: a burst is 13 MiB at the most."""
_LARGEST = REJECTS.max_message_bytes - 64 * 1024
"""Of a record's value; the rest is for its headers and for Kafka's own."""
_TELL_S = 60.0


def _nobody_cares(_error: TapedeckError) -> None:
    """For a line whose rejects are told by their records alone."""


class Rejects:
    """Sends rejects of one exchange and counts all of them, also those that are left out.

    Left out is what comes over the rate, is too large, or finds no room among the data: no
    frame, whatever it is, ends capture or takes what is kept for gaps. `tick` tells how many.
    `topic` is None for a job whose cluster has no such topic. Called with the line's lock held.
    """

    def __init__(
        self,
        producer: Producer,
        exchange: str,
        topic: str | None,
        report: Fail = _nobody_cares,
    ) -> None:
        self.seen = 0
        self.kept = 0
        self._producer = producer
        self._exchange = exchange
        self._topic = topic
        self._report = report
        self._tokens = _BURST
        self._at_s = time.monotonic()
        self._told = 0
        self._tell_due_s = 0.0

    def put(self, frame: bytes, reason: str, received_ns: int) -> None:
        """One frame, with the reason."""
        self.seen += 1
        if self._topic is None or not self._has_tokens(1 + len(frame) // _BYTES_A_TOKEN):
            return
        value = _encoded(self._exchange, frame, reason, received_ns)
        if value is None:
            return
        headers = codec.record_headers(
            codec.base_headers("reject", "", 0), "", received_ns, b"received"
        )
        record = codec.Record(self._topic, self._exchange.encode(), value, headers)
        try:
            self.kept += self._producer.send(record)
        except BrokerError as error:  # what concerns other records is raised for them again
            log.event("capture.reject_refused", level="warning", reason=str(error))

    def tick(self, now_s: float) -> None:
        """Tells how many were left out since the last time, once a minute at most."""
        left_out = self.seen - self.kept
        if left_out == self._told or now_s < self._tell_due_s:
            return
        count, self._told, self._tell_due_s = left_out - self._told, left_out, now_s + _TELL_S
        frames = "1 frame that could not be used is" if count == 1 else (
            f"{count} frames that could not be used are"
        )  # fmt: skip
        why = "not kept: there is no topic rejects"
        if self._topic is not None:
            why = f"not in {self._topic}: over {_A_SECOND:g} a second, too large, or no room"
        self._report(DecodeError(f"{self._exchange}: {frames} {why}"))

    def _has_tokens(self, wanted: int) -> bool:
        now_s = time.monotonic()
        self._tokens = min(_BURST, self._tokens + (now_s - self._at_s) * _A_SECOND)
        self._at_s = now_s
        if self._tokens < wanted:
            return False
        self._tokens -= wanted
        return True


def _encoded(exchange: str, frame: bytes, reason: str, received_ns: int) -> bytes | None:
    """The record's value, as text where that has room; None for what is too large."""
    if len(frame) > _LARGEST:
        return None
    for reject in _forms(exchange, frame, reason, received_ns):
        value = codec.encode(reject)
        if len(value) <= _LARGEST:
            return value
    return None


def _forms(exchange: str, frame: bytes, reason: str, received_ns: int) -> Iterator[Reject]:
    with contextlib.suppress(UnicodeDecodeError):
        yield Reject(exchange, reason, "utf-8", frame.decode(), received_ns)
    text = base64.b64encode(frame).decode()
    yield Reject(exchange, reason, "base64", text, received_ns)
