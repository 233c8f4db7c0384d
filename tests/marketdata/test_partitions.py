"""Keys lie where the producers' murmur2 puts them (rule 1)."""

import random

import pytest
from kafka.partitioner import murmur2

from marketdata.partitions import partition_of, source_of
from marketdata.ring_items import Source


@pytest.mark.parametrize("partitions", [3, 6])
def test_each_of_1000_keys_lies_where_kafka_python_puts_it(partitions):
    seed = 20261121
    print(f"seed {seed}: pytest {__file__}")  # noqa: T201
    rng = random.Random(seed)
    keys = [rng.randbytes(rng.randint(0, 24)) for _ in range(1000)]
    theirs = [(murmur2(key) & 0x7FFFFFFF) % partitions for key in keys]
    assert [partition_of(key, partitions) for key in keys] == theirs
    assert set(theirs) == set(range(partitions))


def test_a_source_is_one_of_its_topics_partitions():
    key = b"binance:BTCUSDT"
    assert source_of("events", key) == Source("events", partition_of(key, 3))
