"""Writes contract events to Kafka and follows what the function `push` says of them.

    numbers ─► topic `events` ─► event source, push ─► its log ─► reports

Events of `ASSET` are what everybody wants. Those of `BULK` are for clients that want all, to
fill their buffers: they cost the others nothing.
"""

import json
import time

import msgspec
from kafka import KafkaProducer

from marketdata import codec
from marketdata.messages import ContractEvent
from marketdata.topics import EVENTS

ASSET, BULK = "USDC", "BULK"
BULK_BYTES = 100_000
SMALLER_BYTES = (10_000, 1_000, 0)
BULKS_AT_A_TIME = 4
MOST_ROUNDS = 100
ISSUER = "GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN"
KEY = codec.key("stellar", "events")
WAIT_S = 30
LOOK_S = 0.02


class EventFeed:
    """`written` are the numbers of the events of `ASSET`; a number is its event's ledger.

    `log` is the log of the event source's process, which nobody else writes events for.
    """

    def __init__(self, bootstrap, log):
        self.number = 0
        self.written = []
        self._log = log
        self._producer = KafkaProducer(bootstrap_servers=bootstrap)

    def write(self, asset=ASSET, size=0):
        """Writes one event, with `size` bytes of data; its number and when it was written."""
        self.number += 1
        at_s = time.monotonic()
        self._producer.send(EVENTS.name, _event(self.number, asset, size), key=KEY)
        self._producer.flush(WAIT_S)
        if asset == ASSET:
            self.written.append(self.number)
        return self.number, at_s

    def reports(self):
        """What `push` has said of each batch."""
        lines = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [line for line in lines if line["message"] == "pushed"]

    def wait_until_pushed(self):
        """Waits until what was written has been pushed, whatever became of it."""
        until_s = time.monotonic() + WAIT_S
        while sum(one["records"] for one in self.reports()) < self.number:
            if time.monotonic() > until_s:
                raise RuntimeError(f"push did not take what was written within {WAIT_S} s")
            time.sleep(LOOK_S)

    def fill(self, *, slow, dead):
        """Writes until the slow and the dead clients take no more; the dead not even little."""
        self._fill(BULK_BYTES, slow + dead, BULKS_AT_A_TIME)
        for size in SMALLER_BYTES:
            self._fill(size, dead)

    def close(self):
        """Ends the connection to Kafka."""
        self._producer.close()

    def _fill(self, size, clients, at_a_time=1):
        for _ in range(MOST_ROUNDS):
            for _ in range(at_a_time):
                self.write(BULK, size)
                self.write(BULK)
            self.wait_until_pushed()
            if self.reports()[-1].get("throttled", 0) >= clients:
                return
        raise RuntimeError(
            f"{clients} clients' buffers are not full after {MOST_ROUNDS} rounds"
        )


def _event(number, asset, size):
    topics = [{"symbol": "mint"}, {"string": f"{asset}:{ISSUER}"}]
    return codec.encode(
        ContractEvent(
            ledger=number,
            transaction_hash=f"{number:064x}",
            contract_id="CCW67TSZV3SSS2HXMBQ5JFGCKJNXKZM7UQUWUZPUTHXSTZLEO7SJMI75",
            topics=msgspec.Raw(json.dumps(topics).encode()),
            data=msgspec.Raw(b'{"bytes":"%b"}' % (b"00" * (size // 2))),
            id=f"{number:019d}-0000000000",
            timestamp="2026-01-01T00:00:00Z",
            event_type="contract",
            transaction_index=0,
            operation_index=0,
            in_successful_call=True,
        )
    )
