"""Recorded answers of a Stellar RPC node, served as a chain again.

answers ─► events by id, close times ─► ledgers, round and round with ids and times moved on
"""

import contextlib
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from local.exchanges.recordings import REST, merged
from local.exchanges.stellar.chain import ChainEvent, Position, rfc3339
from local.exchanges.stellar.happenings import Happening
from local.exchanges.stellar.scvals import Val
from marketdata.errors import InputError
from marketdata.times import parse_iso_ms

_LEDGER_MS = 5_000
_NO_PAGE = (ValueError, TypeError, LookupError, AttributeError, AssertionError, EOFError)
_LONGEST_CHAIN = 1_000_000
RETENTION = 120_960


class RecordedChain:
    """The recorded ledgers in place of a `Chain`: what lies between two known ones is empty.

    A round is as long as the recording; `start_ms` moves its begin to that time.
    """

    def __init__(self, paths: Sequence[Path], *, once: bool, start_ms: int | None) -> None:
        events, closes = _load(paths)
        if not closes:
            raise InputError(f"{paths[0]} has no answer to getEvents")
        self.first, self.last = min(closes), max(closes)
        if self.last - self.first > _LONGEST_CHAIN:
            raise InputError(f"{paths[0]} has ledgers of more than one chain")
        self._events = events
        self._closes = _between(closes, self.first, self.last)
        self._round_ms = self._closes[-1] - self._closes[0] + _LEDGER_MS
        self._moved_ms = 0 if start_ms is None else start_ms - self._closes[0]
        self._once = once
        self.retention = RETENTION
        self.now_ms = self._closes[0] + self._moved_ms

    def live(self, now_ms: int) -> None:
        """Time goes on; never back."""
        self.now_ms = max(self.now_ms, now_ms)

    @property
    def latest(self) -> int:
        """The newest closed ledger."""
        turn, left_ms = divmod(self.now_ms - self._closes[0] - self._moved_ms, self._round_ms)
        if self._once and turn:
            return self.last
        passed = bisect_right(self._closes, self._closes[0] + left_ms)
        return self.first + turn * len(self._closes) + passed - 1

    @property
    def oldest(self) -> int:
        """The oldest ledger that is kept."""
        return max(self.first, self.latest - self.retention + 1)

    @property
    def is_over(self) -> bool:
        """Whether all has happened that is to happen."""
        return self._once and self.latest == self.last

    @property
    def rounds(self) -> int:
        """How often it has gone round."""
        return (self.latest - self.first) // len(self._closes)

    def close_ms(self, ledger: int) -> int:
        """When a ledger closed."""
        turn, at = divmod(ledger - self.first, len(self._closes))
        return self._closes[at] + turn * self._round_ms + self._moved_ms

    def closed_at(self, ledger: int) -> str:
        """The same as RFC 3339."""
        return rfc3339(self.close_ms(ledger))

    def ledger_hash(self, ledger: int) -> bytes:
        """Recordings do not tell it."""
        return ledger.to_bytes(32, "big")

    def events(self, ledger: int) -> list[ChainEvent]:
        """All recorded events of a ledger, in order, with their ids moved to it."""
        recorded = self.first + (ledger - self.first) % len(self._closes)
        return [
            each._replace(at=each.at._replace(ledger=ledger))
            for each in self._events.get(recorded, ())
        ]


def _load(paths: Sequence[Path]) -> tuple[dict[int, list[ChainEvent]], dict[int, int]]:
    """The events by ledger, and when ledgers closed; what is no such answer is passed over."""
    found: dict[str, ChainEvent] = {}
    closes: dict[int, int] = {}
    for line in merged(paths):
        if line.kind != REST or line.status != 200:
            continue
        result = _result(line.payload)
        if "events" not in result:
            continue
        with contextlib.suppress(*_NO_PAGE):
            for told in result["events"] or ():
                event = _event(told)
                found[str(event.at)] = event
                closes[event.at.ledger] = parse_iso_ms(told["ledgerClosedAt"])
            if result.get("latestLedgerCloseTime"):
                closes[result["latestLedger"]] = int(result["latestLedgerCloseTime"]) * 1000
    events: dict[int, list[ChainEvent]] = {}
    for _, event in sorted(found.items()):
        events.setdefault(event.at.ledger, []).append(event)
    return events, closes


def _result(body: bytes) -> dict[str, Any]:
    try:
        result = msgspec.json.decode(body)["result"]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
        return {}
    return result if isinstance(result, dict) else {}


def _event(told: dict[str, Any]) -> ChainEvent:
    if "valueJson" in told:
        topics = tuple(_of_json(topic) for topic in told.get("topicJson") or ())
        value = _of_json(told["valueJson"])
    else:
        topics = tuple(_of_xdr(topic) for topic in told.get("topic") or ())
        value = _of_xdr(told["value"])
    kind = told.get("type", "contract")
    what = Happening(told.get("contractId") or "", topics, value, kind)
    return ChainEvent(Position.of(told["id"]), told.get("txHash", ""), what)


def _between(closes: dict[int, int], first: int, last: int) -> list[int]:
    """The close time of every ledger; between two known ones they are evenly spread."""
    known = sorted(closes)
    times = [closes[first]]
    for before, after in pairwise(known):
        step = (closes[after] - closes[before]) / (after - before)
        times += (
            closes[before] + round(step * number) for number in range(1, after - before + 1)
        )
    if len(times) != last - first + 1 or sorted(times) != times:
        raise InputError("the recording's ledgers do not close one after the other")
    return times


def _of_json(form: Any) -> Val:
    try:
        return Val(_sdk().from_json_dict(form).to_xdr_bytes(), form)
    except _NO_PAGE:
        # The form of an older node: it can be sent as it is, and matches no filter.
        return Val(b"", form)


def _of_xdr(text: str) -> Val:
    value = _sdk().from_xdr(text)
    return Val(value.to_xdr_bytes(), value.to_json_dict())


@cache
def _sdk() -> Any:
    from stellar_sdk.xdr import SCVal  # noqa: PLC0415 - a slow import that only replays need

    return SCVal
