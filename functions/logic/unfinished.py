"""What clients have had of a delivery that failed, so that it is not posted to them again.

    failed after its posts ─ note ─► comes again ─ left ─► the rest only ─ done ─► forgotten

So a delivery that the time was not enough for gets on each time. In memory only: where it comes
again to another function, or a cold one, clients are sent a second copy (rule 20).
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace

from functions.gateway import Delivery
from functions.logic.audience import Audience, Message
from marketdata.ring_items import Source

MAX_REMEMBERED = 200_000
"""Beyond it nothing more is remembered, and may be posted twice."""

Stream = tuple[str, str, str, bool]


class Unfinished:
    """Remembers by source; its methods may be called from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._had: dict[Source, dict[Stream, int]] = {}

    def note(self, audience: Audience, deliveries: Mapping[str, Delivery]) -> None:
        """The delivery failed: the first messages of these clients have been posted."""
        with self._lock:
            for one, delivery in deliveries.items():
                done = delivery.sent + delivery.too_large
                for message in audience[one].messages[:done]:
                    self._note(one, message)

    def left(self, audience: Audience) -> Audience:
        """Who is to have what of a delivery, without what was posted when it failed."""
        with self._lock:
            if not self._had:
                return audience
            kept = {
                one: replace(
                    at, messages=[each for each in at.messages if self._is_due(one, each)]
                )
                for one, at in audience.items()
            }
        return {one: listener for one, listener in kept.items() if listener.messages}

    def done(self, sources: Iterable[Source]) -> None:
        """A delivery of these sources succeeded: it does not come again."""
        with self._lock:
            for source in sources:
                self._had.pop(source, None)

    def _note(self, connection_id: str, message: Message) -> None:
        had = self._had.setdefault(message.cursor.source, {})
        if sum(map(len, self._had.values())) < MAX_REMEMBERED:
            had[_stream(connection_id, message)] = message.cursor.offset + 1

    def _is_due(self, connection_id: str, message: Message) -> bool:
        had = self._had.get(message.cursor.source, {})
        return had.get(_stream(connection_id, message), 0) <= message.cursor.offset


def _stream(connection_id: str, message: Message) -> Stream:
    """What a client has in the order of its offsets."""
    return connection_id, message.cursor.topic_id, message.name, message.is_registered
