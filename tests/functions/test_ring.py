"""The ring on a real table: whole or said to be not."""

import os
import random
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.ring import Head, RingRecord, RingTable, chained
from functions.ring_blobs import MAX_BLOB_BYTES, Kept, pieces, unpacked
from marketdata.ring_items import Source, topic_pk

pytestmark = pytest.mark.services

NOW_S = 4_000_000_000
EXP_S = NOW_S + 300


def record(offset, value=b"{}"):
    return RingRecord(offset, b"binance:BTCUSDT", value, 7, {"time": "exchange"})


def offsets(kept):
    """Of what is whole; None for what is not."""
    return [one.offset for one in kept.records] if kept.whole else None


def partly(kept):
    """Of what is not whole: all that there is, and that behind the last hole."""
    assert not kept.whole
    return [one.offset for one in kept.records], [one.offset for one in kept.tail]


@pytest.fixture
def ring(database, table_variables):
    return RingTable(database, table_variables["RING_TABLE"])


@pytest.fixture
def source():
    return Source(f"topic-{uuid.uuid4().hex[:6]}", 3)


def put(ring, source, first, end, *, exp_s=EXP_S, topic_id="life"):
    ring.append(source, topic_id, first, end, [record(n) for n in range(first, end)], exp_s)
    ring.advance(source, topic_id, end)


def test_what_was_appended_is_read_back_from_any_offset_to_any(ring, source):
    for first, end in ((5, 9), (9, 10), (10, 20)):
        put(ring, source, first, end)
    assert ring.heads([source, Source("none", 0)]) == {source: Head(20, "life")}
    for first in (5, 7, 8, 9, 10, 19, 20):
        for end in (first, 9, 10, 15, 20):
            if end < first:
                continue
            found = ring.read(source, "life", first, end, NOW_S)
            assert offsets(found) == list(range(first, end))
    assert ring.read(source, "life", 5, 6, NOW_S).records == [record(5)]


def test_a_hole_what_has_expired_and_another_life_are_not_whole(ring, source):
    put(ring, source, 5, 9, exp_s=NOW_S)
    put(ring, source, 9, 12)
    put(ring, source, 14, 16)
    assert partly(ring.read(source, "life", 5, 12, NOW_S)) == ([9, 10, 11], [9, 10, 11])
    assert offsets(ring.read(source, "life", 9, 12, NOW_S)) == [9, 10, 11]
    assert partly(ring.read(source, "life", 10, 16, NOW_S)) == ([10, 11, 14, 15], [14, 15])
    assert partly(ring.read(source, "life", 14, 17, NOW_S)) == ([14, 15], [])
    assert partly(ring.read(source, "other", 9, 12, NOW_S)) == ([], [])
    assert offsets(ring.read(source, "life", 0, 12, NOW_S)) == [9, 10, 11]


def test_until_the_topics_id_is_known_its_name_stands_for_it(ring, source, database):
    assert ring.topic_id(source.topic) == source.topic
    put(ring, source, 5, 9, topic_id=source.topic)
    item = {"pk": {"S": topic_pk(source.topic)}, "sk": {"S": "ID"}, "topic_id": {"S": "abc"}}
    database.put_item(TableName=ring._table, Item=item)
    assert ring.topic_id(source.topic) == "abc"
    assert offsets(ring.read(source, "abc", 6, 9, NOW_S)) == [6, 7, 8]


def test_a_known_id_is_asked_for_once_a_minute(database, table_variables, source):
    now = [0.0]
    ring = RingTable(database, table_variables["RING_TABLE"], clock=lambda: now[0])
    key = {"pk": {"S": topic_pk(source.topic)}, "sk": {"S": "ID"}}
    for moment, written, told in ((0, "a", "a"), (59, "b", "a"), (60, "c", "c")):
        now[0] = moment
        database.put_item(TableName=ring._table, Item={**key, "topic_id": {"S": written}})
        assert ring.topic_id(source.topic) == told


def test_a_head_goes_back_only_with_a_new_life(ring, source):
    ring.advance(source, "life", 9)
    ring.advance(source, "life", 7)
    assert ring.heads([source])[source] == Head(9, "life")
    ring.advance(source, "next", 2)
    assert ring.heads([source])[source] == Head(2, "next")


def test_a_condition_holds_until_the_head_moves(ring, source, database):
    def holds(head):
        try:
            database.transact_write_items(TransactItems=[ring.head_condition(source, head)])
        except database.exceptions.TransactionCanceledException:
            return False
        return True

    assert holds(None)
    ring.advance(source, "life", 9)
    assert (holds(None), holds(Head(9, "life"))) == (False, True)
    ring.advance(source, "life", 10)
    assert not holds(Head(9, "life"))


def test_a_batch_of_megabytes_is_several_items_and_whole(ring, source):
    rng = random.Random(1)
    records = [record(n, rng.randbytes(100_000)) for n in range(6)]
    ring.append(source, "life", 0, 6, records, EXP_S)
    assert ring.read(source, "life", 0, 6, NOW_S).records == records
    assert offsets(ring.read(source, "life", 3, 5, NOW_S)) == [3, 4]


def test_a_record_that_no_item_can_hold_is_a_hole(ring, source):
    large = record(2, random.Random(1).randbytes(MAX_BLOB_BYTES + 1))
    ring.append(source, "life", 0, 5, [record(0), record(1), large, record(4)], EXP_S)
    assert partly(ring.read(source, "life", 1, 5, NOW_S)) == ([1, 4], [4])
    assert offsets(ring.read(source, "life", 4, 5, NOW_S)) == [4]


def test_however_batches_are_cut_when_they_come_again_the_ring_chains(ring, source):
    """Each delivery begins at or below what is done, as Kafka's committed offset does."""
    seed = int(os.environ.get("TAPEDECK_SEED", time.time_ns() % 10**9))
    print(f"seed {seed}: TAPEDECK_SEED={seed} pytest {__file__} -k however_batches")  # noqa: T201
    rng = random.Random(seed)
    committed, end = 0, 0
    for _ in range(25):
        last = committed + rng.randint(1, 9)
        put(ring, source, committed, last)
        end = max(end, last)
        committed = last if rng.random() < 0.6 else committed
        first = rng.randint(0, end)
        found = ring.read(source, "life", first, end, NOW_S)
        assert offsets(found) == list(range(first, end)), f"seed {seed}"


@given(st.lists(st.binary(max_size=40), max_size=20), st.integers(0, 5))
def test_any_bytes_come_out_of_a_piece_as_they_went_in(values, skip):
    records = [record(3 + n * (skip + 1), value) for n, value in enumerate(values)]
    end = records[-1].offset + 2 if records else 9
    made = list(pieces(3, end, records))
    assert [one for piece in made for one in unpacked(piece.blob)] == records
    assert chained(made, 3, end) == Kept(records, 3, whole=True)
