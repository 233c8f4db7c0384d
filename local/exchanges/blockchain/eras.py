"""How the exchange's frames have changed over the years (protocols 3.3, 3.5)."""

import re
from dataclasses import dataclass

from marketdata.errors import SettingsError
from marketdata.times import iso_ms, parse_iso_ms

_STAMP = re.compile(rb'"timestamp":"([^"]+)"')
_START = re.compile(rb'"price":\[(\d+)')
_SECONDS_BELOW = 10**11


@dataclass(frozen=True, slots=True)
class Era:
    """What the frames of some years have: digits of a second, and which members."""

    fraction_digits: int = 6
    book_times: bool = True
    candle_unit_ms: int = 1
    echoes: bool = True
    batching: bool = True
    mark_price: bool = False

    def stamp(self, time_ms: int, below_ms: int) -> str:
        """A timestamp; `below_ms` gives the digits that a ms has not."""
        digits = f"{time_ms % 1000:03d}{below_ms % 1_000_000:06d}"[: self.fraction_digits]
        return f"{iso_ms(time_ms)[:19]}.{digits}Z"


ERAS = {
    "2019": Era(book_times=False, candle_unit_ms=1000, echoes=False, batching=False),
    "2020": Era(book_times=False, batching=False),
    "2021": Era(),
    "2026": Era(fraction_digits=9, mark_price=True),
}


def era(name: str) -> Era:
    """The era of that year.

    Raises:
        SettingsError: there is none.
    """
    found = ERAS.get(name)
    if found is None:
        known = ", ".join(ERAS)
        raise SettingsError([f"setting era: {name!r} is none of {known}"])
    return found


def stamp_of(payload: bytes) -> str:
    """The payload's timestamp, empty where it has none."""
    found = _STAMP.search(payload)
    return found[1].decode() if found else ""


def later(payload: bytes, by_ms: int) -> bytes:
    """The payload with the exchange's times so much later, in the digits that they have."""
    if found := _STAMP.search(payload):
        stamp = _moved(found[1].decode(), by_ms).encode()
        return payload[: found.start(1)] + stamp + payload[found.end(1) :]
    if found := _START.search(payload):
        start = int(found[1])
        start += by_ms // 1000 if start < _SECONDS_BELOW else by_ms
        return payload[: found.start(1)] + str(start).encode() + payload[found.end(1) :]
    return payload


def _moved(stamp: str, by_ms: int) -> str:
    """An ISO time moved by whole ms; what stands below a ms stays."""
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    below = fraction[3:]
    text = iso_ms(parse_iso_ms(f"{whole}.{fraction[:3].ljust(3, '0')}Z") + by_ms)
    return f"{text.removesuffix('Z')}{below}Z"
