"""What events are matched by: the accounts, assets and amount in them (design.md §7). Pure.

    ContractEvent | Tick | Candle | DepthTop ─► Traits

Values of contract events are in the XDR-JSON form (SEP-51). Every `address` and `string` in
topics and data counts, at whatever depth, as a map's key too. Nothing is looked up: an asset
that an event does not state is not known. Work is bounded by a record's size (`topics`) and by
the decoder's own limit on nesting.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from marketdata.event_filters import NATIVE_CODE, Traits
from marketdata.messages import ContractEvent

_NATIVE = "native"
_ASSET = re.compile(r"([A-Za-z0-9]{1,12}):G[A-Z0-9]+", re.ASCII)
_INTEGER = re.compile(r"-?[0-9]{1,39}", re.ASCII)
_AMOUNT = "amount"
_TYPE_OF_TOPIC = {"transfer": "payment", "trade": "trade", "swap": "trade"}
"""By the first topic; each of these is a `contract_event` as well."""

# A fraction stays text: nothing here passes through a floating-point number.
_values = msgspec.json.Decoder(float_hook=str)


def of_contract_event(event: ContractEvent) -> Traits:
    """The traits of an event; values that cannot be decoded have none."""
    topics, data = _decoded(event.topics), _decoded(event.data)
    accounts: set[str] = set()
    assets: set[str] = set()
    for kind, text in _texts([topics, data]):
        if kind == "address":
            accounts.add(text)
        else:
            assets.update(_asset(text))
    return Traits(_types(topics), frozenset(accounts), frozenset(assets), _amount(data))


def of_market(kind: str, symbol: str) -> Traits:
    """The traits of a `price_update`, `candle` or `depth`: base and quote of its symbol."""
    return Traits(frozenset({kind}), assets=frozenset(symbol.split("/")))


def _decoded(raw: msgspec.Raw) -> Any:
    try:
        return _values.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _types(topics: Any) -> frozenset[str]:
    first = topics[0] if isinstance(topics, list) and topics else None
    name = _name(first)
    return frozenset({"contract_event", _TYPE_OF_TOPIC.get(name, "contract_event")})


def _texts(values: list[Any]) -> Iterator[tuple[str, str]]:
    """Every address and string with its kind; iterative, so that no depth is too much."""
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            for kind, inner in value.items():
                if kind in {"address", "string"} and isinstance(inner, str):
                    yield kind, inner
                else:
                    waiting.append(inner)


def _asset(text: str) -> tuple[str, ...]:
    """The ways in which an asset can be asked for: its code, and code and issuer."""
    if text == _NATIVE:
        return (NATIVE_CODE,)
    found = _ASSET.fullmatch(text)
    return (found[1], text) if found else ()


def _amount(data: Any) -> int | None:
    """The amount, or the largest of several.

    It is the data where these are one 128 bit integer (`transfer`, `mint`), a map's member
    `amount` or those that begin so (`amount_in`), the integers of a list (a pool's `trade`).
    """
    if not isinstance(data, dict):
        return None
    parts: list[Any] = [data]
    if isinstance(data.get("map"), list):
        entries = [entry for entry in data["map"] if isinstance(entry, dict)]
        parts = [one.get("val") for one in entries if _name(one.get("key")).startswith(_AMOUNT)]
    elif isinstance(data.get("vec"), list):
        parts = data["vec"]
    return max((one for one in map(_integer, parts) if one is not None), default=None)


def _integer(value: Any) -> int | None:
    """A 128 bit integer: its text, or as older nodes say it, `{"hi":…,"lo":…}`."""
    if not isinstance(value, dict):
        return None
    body = value.get("i128", value.get("u128"))
    if not isinstance(body, dict):
        return _number(body)
    high, low = _number(body.get("hi")), _number(body.get("lo"))
    return None if high is None or low is None else (high << 64) + low


def _number(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return int(value) if _INTEGER.fullmatch(value) else None
    return value if isinstance(value, int) else None


def _name(value: Any) -> str:
    """The text of a symbol or string; empty for anything else."""
    if not isinstance(value, dict):
        return ""
    text = value.get("symbol", value.get("string"))
    return text if isinstance(text, str) else ""
