"""Offsets by source as DynamoDB has them: a map, or for what is read in numbers one text.

    M{"<topic>:<partition>": N}         S "<topic>:<partition>=<offset> …"

The SDK takes four times as long for a map of six as for a text.
"""

from collections.abc import Mapping
from typing import Any

from marketdata.ring_items import Source


def offsets_map(offsets: Mapping[Source, int]) -> dict[str, Any]:
    """The attribute for offsets; `offsets_of` reads it."""
    return {"M": {f"{at.topic}:{at.partition}": {"N": str(one)} for at, one in offsets.items()}}


def offsets_text(offsets: Mapping[Source, int]) -> dict[str, Any]:
    """The attribute for offsets as one text; `offsets_in` reads it."""
    return {"S": " ".join(f"{at.topic}:{at.partition}={one}" for at, one in offsets.items())}


def offsets_in(attribute: Mapping[str, Any]) -> dict[Source, int]:
    """The offsets that `offsets_text` wrote."""
    found = {}
    for one in attribute["S"].split():
        name, _, offset = one.partition("=")
        topic, _, partition = name.rpartition(":")
        found[Source(topic, int(partition))] = int(offset)
    return found


def offsets_of(attribute: Mapping[str, Any]) -> dict[Source, int]:
    """The offsets that `offsets_map` wrote."""
    found = {}
    for text, number in attribute["M"].items():
        topic, _, partition = text.rpartition(":")
        found[Source(topic, int(partition))] = int(number["N"])
    return found
