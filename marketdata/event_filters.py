"""Which events a registration wants (design.md §7, sources/save-to-websocket.md). Pure.

    Filters ─ wanted ─► Wanted ┐
    record's value ─► Traits ──┴ matches ─► yes or no

The traits of an event are computed once, however many registrations it is compared with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import msgspec

from marketdata.client_errors import VALIDATION_ERROR, client_error, cut
from marketdata.client_messages import Filters
from marketdata.connection_items import Feed
from marketdata.decimals import plain
from marketdata.errors import DecodeError

CHAIN_TYPES = ("contract_event", "payment", "trade")
"""What an empty list of types stands for."""
FEED_OF_TYPE: dict[str, Feed] = {
    **dict.fromkeys(CHAIN_TYPES, "events"),
    "price_update": "ticks",
    "candle": "candles",
    "depth": "depth",
}
"""The types that can be named, each with the feed that has it."""
FEEDS = tuple(feed for feed in get_args(Feed) if feed in FEED_OF_TYPE.values())
DECIMALS = 7
"""Event amounts count ten-millionths of a unit."""
NATIVE_CODE = "XLM"
MAX_VALUE_LENGTH = 128
MAX_FILTERS_BYTES = 64 * 1024
MAX_AMOUNT_LENGTH = 64

_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Filters)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters that were understood; an empty set does not filter.

    `minimum` is in ten-millionths; None does not filter.
    """

    types: frozenset[str]
    accounts: frozenset[str]
    assets: frozenset[str]
    minimum: int | None

    @property
    def feeds(self) -> frozenset[Feed]:
        """The feeds that have anything of the wanted types."""
        return frozenset(FEED_OF_TYPE[one] for one in self.types)


@dataclass(frozen=True, slots=True)
class Traits:
    """What an event is matched by; `amount` is in ten-millionths, None where it has none."""

    types: frozenset[str]
    accounts: frozenset[str] = frozenset()
    assets: frozenset[str] = frozenset()
    amount: int | None = None


def matches(wanted: Wanted, traits: Traits) -> bool:
    """Whether an event is wanted: by one of each list that is not empty, and by amount."""
    if wanted.types.isdisjoint(traits.types):
        return False
    if wanted.accounts and wanted.accounts.isdisjoint(traits.accounts):
        return False
    if wanted.assets and wanted.assets.isdisjoint(traits.assets):
        return False
    if wanted.minimum is None:
        return True
    return traits.amount is not None and traits.amount >= wanted.minimum


def completed(filters: Filters) -> Filters:
    """The filters as `registered` says them: null lists empty, the amount as it was sent."""
    amount = "" if filters.min_amount is None else filters.min_amount
    return Filters(
        types=filters.types or (),
        account_ids=filters.account_ids or (),
        asset_codes=filters.asset_codes or (),
        min_amount=amount,
    )


def wanted(filters: Filters) -> Wanted:
    """What filters ask for.

    Raises:
        ClientError: VALIDATION_ERROR naming the member: a type that is none, an empty or an
            endless text, an amount that is no decimal number of zero or more, too much in all.
    """
    types = _texts("types", filters.types)
    unknown = [one for one in types if one not in FEED_OF_TYPE]
    if unknown:
        known = ", ".join(FEED_OF_TYPE)
        raise _bad(f"`types`: {unknown[0]!r} is no type of event here: there are {known}")
    accounts = _texts("account_ids", filters.account_ids)
    assets = _texts("asset_codes", filters.asset_codes)
    size = len(_encode(filters))
    if size > MAX_FILTERS_BYTES:
        raise _bad(f"`filters` has {size} bytes: at most {MAX_FILTERS_BYTES} are kept")
    return Wanted(
        types=frozenset(types or CHAIN_TYPES),
        accounts=frozenset(accounts),
        assets=frozenset(NATIVE_CODE if one == "native" else one for one in assets),
        minimum=_minimum(filters.min_amount),
    )


def filters_text(filters: Filters) -> str:
    """Filters as they are stored."""
    return _encode(filters).decode()


def stored_filters(text: str) -> Filters:
    """Filters that were stored. Raises DecodeError."""
    try:
        return _decoder.decode(text)
    except msgspec.DecodeError as error:
        raise DecodeError(f"stored filters: {error}") from error


def _texts(member: str, values: Sequence[str] | None) -> tuple[str, ...]:
    for value in values or ():
        if not value:
            raise _bad(f"`{member}` has an empty text: leave the list empty for no filter")
        if len(value) > MAX_VALUE_LENGTH:
            raise _bad(f"`{member}` has a text of more than {MAX_VALUE_LENGTH} characters")
    return tuple(values or ())


def _minimum(given: str | int | None) -> int | None:
    """The least whole number of ten-millionths; None for none, and for zero."""
    text = "" if given is None else str(given)
    if not text:
        return None
    if len(text) > MAX_AMOUNT_LENGTH:
        raise _bad(f"`min_amount` is longer than {MAX_AMOUNT_LENGTH} characters")
    try:
        whole, _, part = plain(text).partition(".")
    except DecodeError as error:
        raise _bad(f"`min_amount`: {error}") from None
    least = int(whole + part[:DECIMALS].ljust(DECIMALS, "0"))
    if least < 0 or text.startswith("-"):
        raise _bad(f"`min_amount`: {text!r} is below zero")
    # An event's amount is whole: a finer minimum is reached by the next whole one.
    return (least + bool(part[DECIMALS:].strip("0"))) or None


def _bad(detail: str) -> Exception:
    return client_error(VALIDATION_ERROR, cut(detail))
