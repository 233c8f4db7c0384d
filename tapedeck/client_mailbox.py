"""What lies between a client's connection and the program that iterates over it.

    reading thread ─ put ─► Mailbox ─ take ─► for message in client

Bounded: when it is full the oldest update is dropped, and a `Lost` that counts what was dropped
comes before whatever is left.
"""

import threading
from collections import deque

from tapedeck.client_messages import Lost, Notice, Update

Item = Update | Notice | Exception


class Mailbox:
    """A queue of one reader with room for `size` updates, at least 1.

    Notices and errors are few: they always fit and are never dropped.
    """

    def __init__(self, size: int) -> None:
        self._items: deque[Item] = deque()
        self._size = size
        self._updates = self._dropped = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: Item) -> None:
        """Add something; after `close` it is left out."""
        with self._changed:
            if self._closed:
                return
            if isinstance(item, Update):
                self._make_room()
            self._items.append(item)
            self._changed.notify()

    def take(self, timeout_s: float | None = None) -> Item | None:
        """The oldest item; None when the mailbox is closed and empty, or after the time-out."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout_s)
            if self._dropped:
                lost, self._dropped = Lost("slow", self._dropped), 0
                return lost
            if not self._items:
                return None
            item = self._items.popleft()
            self._updates -= isinstance(item, Update)
            return item

    def close(self) -> None:
        """Wake whoever waits; what is there can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _make_room(self) -> None:
        """For one update more."""
        if self._updates < self._size:
            self._updates += 1
            return
        oldest = next(at for at, one in enumerate(self._items) if isinstance(one, Update))
        del self._items[oldest]
        self._dropped += 1
