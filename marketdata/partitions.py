"""Which partition a key lies in (rule 1): the murmur2 that all producers partition by."""

from marketdata.ring_items import Source
from marketdata.topics import TOPICS

_SEED = 0x9747B28C
_MULTIPLIER = 0x5BD1E995
_SHIFT = 24
_MASK = 0xFFFFFFFF
_POSITIVE = 0x7FFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """The number of the partition, as `murmur2_random` of librdkafka places a key."""
    return (_murmur2(key) & _POSITIVE) % partitions


def source_of(topic: str, key: bytes) -> Source:
    """Where the records of a key are, in a topic of `marketdata.topics`."""
    return Source(topic, partition_of(key, TOPICS[topic].partitions))


def _murmur2(data: bytes) -> int:
    """The 32-bit MurmurHash2 with Kafka's seed."""
    mixed = (_SEED ^ len(data)) & _MASK
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        part = int.from_bytes(data[at : at + 4], "little") * _MULTIPLIER & _MASK
        part = (part ^ (part >> _SHIFT)) * _MULTIPLIER & _MASK
        mixed = (mixed * _MULTIPLIER & _MASK) ^ part
    rest = data[whole:]
    if rest:
        mixed = (mixed ^ int.from_bytes(rest, "little")) * _MULTIPLIER & _MASK
    mixed = (mixed ^ (mixed >> 13)) * _MULTIPLIER & _MASK
    return mixed ^ (mixed >> 15)
