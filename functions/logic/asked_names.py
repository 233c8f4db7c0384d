"""The names that a client asks for, looked up: all are known and have what is wanted."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from marketdata.client_errors import UNKNOWN_SYMBOL, client_error
from marketdata.instruments import Instrument
from marketdata.subscriptions import Wants

if TYPE_CHECKING:
    from functions.listings import ListingsTable

Listed = Mapping[str, Sequence[Instrument]]


def look_up(listings: "ListingsTable", names: Sequence[str], wants: Wants) -> Listed:
    """The instruments of at most ten names.

    Raises:
        ClientError: UNKNOWN_SYMBOL naming all names that nobody bears, else all that do not
            have a channel that is wanted, and which they have.
        StoreError: the instruments cannot be read.
    """
    listed = listings.find(names)
    unknown = [name for name in names if name not in listed]
    if unknown:
        detail = f"not a symbol or ticker here: {', '.join(unknown)}{_hint(listings, unknown)}"
        raise client_error(UNKNOWN_SYMBOL, detail, unknown)
    wanted = list(dict.fromkeys(want.channel for want in wants))
    without = {
        name: [one for one in wanted if not any(has(it, one) for it in listed[name])]
        for name in names
    }
    lacking = [name for name in names if without[name]]
    if lacking:
        told = "; ".join(f"{name} has {_channels(listed[name])}" for name in lacking)
        missing = dict.fromkeys(one for name in lacking for one in without[name])
        raise client_error(UNKNOWN_SYMBOL, f"no {' and no '.join(missing)}: {told}", lacking)
    return listed


def has(instrument: Instrument, channel: str) -> bool:
    """Whether clients can have a channel of an instrument; candles are also made of trades."""
    known = instrument.channels
    return not known or channel in known or (channel == "candles" and "prices" in known)


def _channels(instruments: Collection[Instrument]) -> str:
    names = ("prices", "candles", "depth")
    found = [name for name in names if any(has(one, name) for one in instruments)]
    return " and ".join(found) or "no channel, only events"


def _hint(listings: "ListingsTable", unknown: Sequence[str]) -> str:
    raised = {name.upper(): name for name in unknown if name != name.upper()}
    found = listings.find(list(raised)) if raised else {}
    meant = ", ".join(f"{upper} for {raised[upper]}" for upper in raised if upper in found)
    hint = f"; names are case sensitive, try {meant}"
    return hint if meant else ""
