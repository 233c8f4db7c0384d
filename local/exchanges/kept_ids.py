"""How far each ticker's ids are, kept in a file from one start of the exchanges to the next.

    file ─► ids that a start goes on from ─► markets ─► their ids, once a second ─► file

After a clean end the file has the last ids. While the exchanges run it has ids so far ahead
that they are not reached before it is written again: a start after a kill leaves a small hole
and never goes back.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from local.exchanges.market import Ids
from local.exchanges.pace import Pace
from local.exchanges.serving import Serving

EVERY_S = 1.0
_TIMES_AHEAD = 5
_LEAST_AHEAD = 1_000
_FULL_SPEED = 1_000

_Number = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
_Kept = dict[str, dict[str, dict[str, _Number]]]


class _File(msgspec.Struct, frozen=True):
    """`ids` by exchange, ticker and name."""

    what: Literal["ids of simulated exchanges"]
    clean: bool
    ids: _Kept


class IdFile:
    """The file of one process; a ticker that is not served keeps what it has there.

    A file that cannot be read or is no such file is passed over; one that cannot be written is
    told once, until it can be again. `log` gets an event and its fields.
    """

    def __init__(self, path: Path, pace: Pace, log: Callable[..., None]) -> None:
        self._path = path
        self._log = log
        speed = _FULL_SPEED if pace.speed is None else max(1.0, pace.speed)
        self._least = int(_LEAST_AHEAD * speed)
        self._last: dict[tuple[str, str, str], int] = {}
        self._most: dict[tuple[str, str, str], int] = {}
        self._fault = ""
        self._kept = self._read()
        if self._kept:
            # A kill before the first regular writing must not meet the file of a clean end.
            self._write(self._ahead(self._kept), clean=False)

    def of(self, exchange: str) -> Mapping[str, Ids]:
        """The last ids of an exchange's tickers, empty where none are known."""
        return self._kept.get(exchange, {})

    async def keep(self, serving: Iterable[Serving]) -> None:
        """Write once a second until cancelled."""
        serving = list(serving)
        while True:
            self._write(self._ahead(_ids(serving)), clean=False)
            await asyncio.sleep(EVERY_S)

    def end(self, serving: Iterable[Serving]) -> None:
        """Write where the ids have ended; nothing may happen afterwards."""
        self._write(_ids(serving), clean=True)

    def _read(self) -> _Kept:
        try:
            file = msgspec.json.decode(self._path.read_bytes(), type=_File)
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            self._log("ids_passed_over", file=str(self._path), reason=str(error))
            return {}
        self._log("ids_continued", file=str(self._path), clean=file.clean)
        return file.ids

    def _ahead(self, ids: _Kept) -> _Kept:
        """Ids that are not reached in the time of several writings at the greatest pace yet."""
        return {
            exchange: {
                ticker: {
                    name: number + self._margin((exchange, ticker, name), number)
                    for name, number in names.items()
                }
                for ticker, names in tickers.items()
            }
            for exchange, tickers in ids.items()
        }

    def _margin(self, key: tuple[str, str, str], number: int) -> int:
        used = number - self._last.get(key, number)
        self._last[key] = number
        self._most[key] = max(used, self._most.get(key, 0))
        return max(self._least, _TIMES_AHEAD * self._most[key])

    def _write(self, ids: _Kept, *, clean: bool) -> None:
        whole = {
            exchange: {**self._kept.get(exchange, {}), **ids.get(exchange, {})}
            for exchange in {**self._kept, **ids}
        }
        part = self._path.with_name(f"{self._path.name}.part")
        file = _File("ids of simulated exchanges", clean, whole)
        fault = ""
        try:
            part.write_bytes(msgspec.json.encode(file))
            part.replace(self._path)
        except OSError as error:
            fault = str(error)
        if fault and not self._fault:
            self._log("ids_not_written", file=str(self._path), reason=fault)
        self._fault = fault


def _ids(serving: Iterable[Serving]) -> _Kept:
    return {
        each.name: {ticker: dict(ids) for ticker, ids in each.ids().items()}
        for each in serving
        if each.ids is not None
    }
