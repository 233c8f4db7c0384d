"""What the server asks of whatever it serves: a simulated chain or a recorded one."""

from typing import Protocol

from local.exchanges.stellar.chain import ChainEvent


class Ledgers(Protocol):
    """Closed ledgers as they are now; `now_ms` is the exchange's own time."""

    now_ms: int
    retention: int

    def live(self, now_ms: int) -> None:
        """Time goes on; never back."""
        ...

    @property
    def latest(self) -> int:
        """The newest closed ledger."""
        ...

    @property
    def oldest(self) -> int:
        """The oldest ledger that is kept."""
        ...

    def close_ms(self, ledger: int) -> int:
        """When a ledger closed."""
        ...

    def closed_at(self, ledger: int) -> str:
        """The same as RFC 3339."""
        ...

    def ledger_hash(self, ledger: int) -> bytes:
        """The hash that stands for a ledger."""
        ...

    def events(self, ledger: int) -> list[ChainEvent]:
        """All events of a ledger, in order."""
        ...
