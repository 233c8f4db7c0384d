"""Offsets by source as a map of DynamoDB: `M{"<topic>:<partition>": N}`."""

from collections.abc import Mapping
from typing import Any

from marketdata.ring_items import Source


def offsets_map(offsets: Mapping[Source, int]) -> dict[str, Any]:
    """The attribute for offsets; `offsets_of` reads it."""
    return {"M": {f"{at.topic}:{at.partition}": {"N": str(one)} for at, one in offsets.items()}}


def offsets_of(attribute: Mapping[str, Any]) -> dict[Source, int]:
    """The offsets that `offsets_map` wrote."""
    found = {}
    for text, number in attribute["M"].items():
        topic, _, partition = text.rpartition(":")
        found[Source(topic, int(partition))] = int(number["N"])
    return found
