"""Faults that the gateway can be told to make: bounded, counted, listed.

POST /_control/faults {"kind": …, "connection": id | null, "times": n, "seconds": s}
"""

from typing import Literal

import msgspec

MAX_FAULTS = 100

Kind = Literal[
    "gone", "throttled", "too_large", "forbidden", "error", "hang", "no_disconnect", "cut"
]
POSTS: tuple[Kind, ...] = ("gone", "throttled", "too_large", "forbidden", "error", "hang")
"""The faults that a post to a connection can meet."""


class Fault(msgspec.Struct):
    """One fault: `left` counts down from `times`; no `connection` means any.

    `seconds` is how long a `hang` lasts. `cut` breaks connections off at once.
    """

    kind: Kind
    connection: str | None = None
    times: int = 1
    seconds: float = 60.0
    left: int = 0


class Faults:
    """The faults still to come, oldest first."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> bool:
        """Take one more; False when there are too many or it is to happen less than once."""
        if len(self._faults) >= MAX_FAULTS or fault.times < 1 or not 0 <= fault.seconds <= 600:
            return False
        fault.left = fault.times
        self._faults.append(fault)
        return True

    def take(self, connection_id: str, kinds: tuple[Kind, ...]) -> Fault | None:
        """The first fault of these kinds for a connection; it is counted."""
        for fault in self._faults:
            if fault.kind in kinds and fault.connection in (None, connection_id):
                fault.left -= 1
                if not fault.left:
                    self._faults.remove(fault)
                return fault
        return None

    def listed(self) -> list[Fault]:
        """What is still to come."""
        return list(self._faults)

    def clear(self) -> None:
        """Forget all."""
        self._faults.clear()
