"""The simulated ledgers: each is a pure function of the seed and its number.

So a chain needs no memory, and a server that is started again has the same past. The number
of a ledger follows from the time at which it closes.
"""

import hashlib
import re
from collections import OrderedDict
from datetime import timedelta
from random import Random
from typing import NamedTuple

from local.exchanges.stellar.happenings import Cast, Happening, fee, operation
from marketdata.times import EPOCH

FIRST_LEDGER = 10_000_000
_FIRST_MS = 1_577_836_800_000
_KEPT = 2_048
_END_OF_LEDGER = (1 << 20) - 1
_LAST = 2**32 - 1
_ID = re.compile(r"([0-9]{1,19})-([0-9]{1,10})", re.ASCII)


class Position(NamedTuple):
    """A place in the chain; positions compare in the order of events (protocols 4.4)."""

    ledger: int
    transaction: int = 0
    operation: int = 0
    event: int = 0

    def __str__(self) -> str:
        toid = self.ledger << 32 | self.transaction << 12 | self.operation
        return f"{toid:019d}-{self.event:010d}"

    @classmethod
    def of(cls, id_: str) -> "Position":
        """The place that an id or a cursor stands for.

        Raises:
            ValueError: it is none.
        """
        found = _ID.fullmatch(id_)
        if found is None:
            raise ValueError(f"{id_!r} is not an event's id")
        toid = int(found[1])
        place = (toid >> 12 & ((1 << 20) - 1), toid & ((1 << 12) - 1))
        return cls(toid >> 32, *place, int(found[2]))

    @classmethod
    def end(cls, ledger: int) -> "Position":
        """After everything that a ledger can hold."""
        return cls(ledger, _END_OF_LEDGER, (1 << 12) - 1, _LAST)


class ChainEvent(NamedTuple):
    """One event, where it stands, and the transaction that left it."""

    at: Position
    transaction_hash: str
    what: Happening


def rfc3339(time_ms: int) -> str:
    """As a node writes it: whole seconds, unless it is between two of them."""
    moment = EPOCH + timedelta(milliseconds=time_ms)
    fraction = f".{time_ms % 1000:03d}" if time_ms % 1000 else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


class Chain:
    """Ledgers close every `ledger_ms`; `now_ms` moves on by `live` alone.

    `retention` is how many ledgers are kept, `transactions` the most that one has.
    """

    def __init__(
        self, seed: int, now_ms: int, *, ledger_ms: int, retention: int, transactions: int = 4
    ) -> None:
        self._seed = seed
        self._ledger_ms = ledger_ms
        self._transactions = transactions
        self.retention = retention
        self._cast = Cast(seed)
        self._ledgers: OrderedDict[int, list[ChainEvent]] = OrderedDict()
        self.now_ms = now_ms

    def live(self, now_ms: int) -> None:
        """Time goes on; never back."""
        self.now_ms = max(self.now_ms, now_ms)

    @property
    def latest(self) -> int:
        """The newest closed ledger."""
        return FIRST_LEDGER + (self.now_ms - _FIRST_MS) // self._ledger_ms

    @property
    def oldest(self) -> int:
        """The oldest ledger that is kept."""
        return self.latest - self.retention + 1

    def close_ms(self, ledger: int) -> int:
        """When a ledger closed."""
        return _FIRST_MS + (ledger - FIRST_LEDGER) * self._ledger_ms

    def closed_at(self, ledger: int) -> str:
        """The same as RFC 3339."""
        return rfc3339(self.close_ms(ledger))

    def ledger_hash(self, ledger: int) -> bytes:
        """The hash that stands for a ledger."""
        return hashlib.sha256(f"ledger {self._seed} {ledger}".encode()).digest()

    def events(self, ledger: int) -> list[ChainEvent]:
        """All events of a ledger, in order; the last 2,048 ledgers asked for are remembered."""
        known = self._ledgers.get(ledger)
        if known is None:
            known = self._ledgers[ledger] = self._make(ledger)
            if len(self._ledgers) > _KEPT:
                self._ledgers.popitem(last=False)
        return known

    def _make(self, ledger: int) -> list[ChainEvent]:
        chance = Random(f"stellar {self._seed} {ledger}")  # noqa: S311 - repeatable on purpose
        hashes = [
            chance.randbytes(32).hex() for _ in range(chance.randint(0, self._transactions))
        ]
        payers = [chance.choice(self._cast.accounts) for _ in hashes]
        made = []
        for number, (hash_, payer) in enumerate(zip(hashes, payers, strict=True)):
            paid = fee(payer, chance.randrange(100, 500_000))
            made.append(ChainEvent(Position(ledger, 0, 0, number), hash_, paid))
        for transaction, hash_ in enumerate(hashes, 1):
            for op in range(1 + (chance.random() < 0.1)):
                for event, what in enumerate(operation(self._cast, chance)):
                    at = Position(ledger, transaction, op, event)
                    made.append(ChainEvent(at, hash_, what))
        if hashes and chance.random() < 0.5:
            back = fee(payers[0], -chance.randrange(1, 100_000))
            made.append(ChainEvent(Position(ledger, _END_OF_LEDGER), hashes[0], back))
        return made
