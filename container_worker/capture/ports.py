"""What capture needs from the rest of the container, as types."""

from collections.abc import Callable
from typing import Protocol

from marketdata.codec import Record


class Producer(Protocol):
    """The part of `kafka.Producer` that capture uses; errors are BrokerError."""

    @property
    def crowded(self) -> bool:
        """Whether the memory bound is near, so that nothing more should be read (rule 5)."""
        ...

    @property
    def in_flight(self) -> int:
        """Records that were taken and are not yet acknowledged."""
        ...

    def send(
        self,
        record: Record,
        on_ack: Callable[[], None] | None = None,
        *,
        reserved: bool = False,
    ) -> bool:
        """Takes a record, or says False when there is no room for it."""
        ...

    def poll(self, seconds: float = 0.0) -> None:
        """Serves acknowledgements."""
        ...

    def flush(self, seconds: float) -> int:
        """Waits for acknowledgements; the number of records still without one."""
        ...
