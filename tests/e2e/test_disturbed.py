"""Capture killed, Kafka stopped: what is missing is a gap, what is there is right (rule 7).

The reader here is kafka-python and a book of its own; the truth is the simulator's.
"""

import json
import signal
import time
import urllib.request
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]

TICKER = "BTCUSDT"
OUTAGE_S = 20


class Reader:
    """Follows one ticker's records; `right` says whether the book is known to be whole."""

    def __init__(self) -> None:
        self.last: int | None = None
        self.right = False
        self.bids: dict[str, str] = {}
        self.asks: dict[str, str] = {}
        self.holes: list[tuple[int, int]] = []
        self.snapshots: list[int] = []

    def take(self, record: dict) -> bool:
        """Whether the record changed the book."""
        if record["e"] == "depthSnapshot":
            return self._restate(record)
        if record["e"] != "depthUpdate" or self.last is None or record["u"] <= self.last:
            return False
        if record["U"] > self.last + 1:
            self.holes.append((self.last + 1, record["U"] - 1))
            self.right = False
        _set(self.bids, record["b"])
        _set(self.asks, record["a"])
        self.last = record["u"]
        return True

    def _restate(self, record: dict) -> bool:
        if self.last is not None and record["u"] < self.last:
            return False
        if self.last is not None and record["u"] > self.last:
            self.holes.append((self.last + 1, record["u"]))
        self.bids, self.asks = dict(record["b"]), dict(record["a"])
        self.last, self.right = record["u"], True
        self.snapshots.append(record["u"])
        return True


def _set(side: dict[str, str], levels: list) -> None:
    for price, quantity in levels:
        if Decimal(quantity):
            side[price] = quantity
        else:
            side.pop(price, None)


def records(bootstrap: str) -> list[dict]:
    """All that the topic has of the ticker's deltas, in order."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    try:
        parts = [
            TopicPartition("orderbook", number)
            for number in consumer.partitions_for_topic("orderbook")
        ]
        consumer.assign(parts)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(parts)
        found = []
        while any(consumer.position(part) < end for part, end in ends.items()):
            for batch in consumer.poll(timeout_ms=500).values():
                found += [
                    json.loads(one.value)
                    for one in batch
                    if one.key == f"binance:{TICKER}".encode()
                    and dict(one.headers)["type"] == b"ws_diff_depth"
                ]
        return found
    finally:
        consumer.close()


def truth(rest: str, id_: int) -> tuple[dict[str, str], dict[str, str]]:
    with urllib.request.urlopen(f"{rest}/_control/book?ticker={TICKER}&id={id_}") as answer:
        book = json.load(answer)
    return dict(book["bids"]), dict(book["asks"])


@pytest.fixture(scope="module")
def disturbed(stack, wait_until):
    """A stack whose capture was killed and whose Kafka then stood still for 20 s."""
    stack.up("--seed", "7")
    bootstrap = stack.status()["urls"]["kafka"]

    def snapshots() -> int:
        return sum(one["e"] == "depthSnapshot" for one in records(bootstrap))

    wait_until(lambda: snapshots() >= 1, seconds=30, what="the first snapshot")
    stack.signal("capture", signal.SIGKILL)
    wait_until(lambda: snapshots() >= 2, seconds=40, what="a snapshot by the next capture")
    stack.signal("kafka", signal.SIGSTOP)
    until = time.monotonic() + OUTAGE_S
    try:
        wait_until(
            lambda: time.monotonic() > until, seconds=OUTAGE_S + 5, what="the outage's end"
        )
    finally:
        stack.signal("kafka", signal.SIGCONT)
    now_ms = time.time_ns() // 1_000_000

    def flows() -> bool:
        try:
            return any(one["E"] > now_ms + 1_000 for one in records(bootstrap))
        except KafkaError:
            return False  # the broker is not back yet

    wait_until(flows, seconds=60, what="records from after the outage")
    # At once: the simulator does not keep its old books for ever.
    stack.compared = _compare(stack.status()["urls"])
    return stack


def _compare(urls: dict) -> tuple[Reader, list[tuple]]:
    """A reader of the topic, and its books beside the exchange's own at the same id."""
    reader, books = Reader(), []
    for number, record in enumerate(records(urls["kafka"])):
        changed = reader.take(record)
        newest = (
            changed and reader.right and (record["e"] == "depthSnapshot" or number % 25 == 0)
        )
        if newest:
            books.append((truth(urls["binance_rest"], reader.last), _sides(reader, urls)))
    return reader, books


def test_every_book_is_the_true_one_or_marked(disturbed) -> None:
    reader, books = disturbed.compared
    assert all(true == own for true, own in books)
    assert len(books) > 5
    assert reader.right
    assert len(reader.snapshots) >= 2


def _sides(reader: Reader, urls: dict) -> tuple[dict[str, str], dict[str, str]]:
    """The reader's book, as far as a snapshot by REST reaches."""
    bids, asks = truth(urls["binance_rest"], reader.last)
    low = min(map(Decimal, bids))
    high = max(map(Decimal, asks))
    return (
        {price: size for price, size in reader.bids.items() if Decimal(price) >= low},
        {price: size for price, size in reader.asks.items() if Decimal(price) <= high},
    )


def test_what_the_killed_capture_missed_is_a_gap_in_the_marks(disturbed, wait_until) -> None:
    reader = Reader()
    for record in records(disturbed.status()["urls"]["kafka"]):
        reader.take(record)
    assert reader.holes

    def marked() -> set[tuple[int, int]]:
        base = disturbed.data / "s3" / "tapedeck" / "data" / "orderbook" / "binance"
        rows = [
            line.split(",")
            for path in sorted(base.glob(f"*_{TICKER}.marks.csv"))
            for line in path.read_text(encoding="utf-8").splitlines()[1:]
        ]
        return {(int(row[3]), int(row[4])) for row in rows if row[2] == "gap" and row[4]}

    wait_until(lambda: set(reader.holes) <= marked(), seconds=30, what="the gaps in the marks")


def test_files_grow_again_after_kafka_was_killed(disturbed, wait_until) -> None:
    base = disturbed.data / "s3" / "tapedeck" / "data" / "orderbook" / "binance"

    def newest() -> str:
        return max(
            path.read_bytes().splitlines()[-1].decode().partition(",")[0]
            for path in base.glob(f"*_{TICKER}.csv")
        )

    restarts = disturbed.status()["restarts"].get("kafka", 0)
    disturbed.signal("kafka", signal.SIGKILL)
    wait_until(
        lambda: disturbed.now().restarts.get("kafka", 0) > restarts,
        seconds=30,
        what="Kafka is started again",
    )
    again = datetime.now(UTC).isoformat(timespec="milliseconds")
    wait_until(lambda: newest() > again, seconds=60, what="rows from after the restart")
    test_the_archive_is_what_the_topic_says(disturbed)


def test_the_archive_is_what_the_topic_says(disturbed) -> None:
    done = disturbed.run("archive", "verify", check=False)
    assert "differs" not in done.stdout, done.stdout
