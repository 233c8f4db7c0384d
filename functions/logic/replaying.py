"""What a new registration has missed: from the ring to the client, at most so many events.

ring's records ─ offers ─► wanted ─► posted, their 200s awaited │ beyond the most: counted
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from functions.gateway import Outcome
from functions.logic.matching import Offer, offers, wanted_of
from functions.ring_blobs import Kept
from marketdata.client_protocol import QUEUE_FULL, client_error
from marketdata.errors import ClientError, GatewayUnavailable
from marketdata.event_filters import Wanted
from marketdata.ring_items import Source

if TYPE_CHECKING:
    from functions.posting import ClientPosts


@dataclass(slots=True)
class Replay:
    """Posts one connection what it waited for, and remembers how far it came.

    Attributes:
        most: The most events that are posted; what comes after them is counted in `dropped`,
            and so is what is larger than a message can be.
        until_s: No post begins later (`time.monotonic()`).
        start: Where each source's replay goes on.
        holes: Whether the ring no longer had all of it.
    """

    connection_id: str
    wanted: Wanted
    with_cursors: bool
    posts: "ClientPosts"
    topic_id: Callable[[str], str]
    most: int
    until_s: float
    start: dict[Source, int]
    queued: int = 0
    dropped: int = 0
    holes: bool = False

    def take(self, source: Source, kept: Kept) -> None:
        """Post what is wanted of what there is of a source's next records.

        Raises:
            GatewayUnavailable: not all of it reached the client.
        """
        self.holes |= not kept.whole
        topic_id = self.topic_id(source.topic)
        given = wanted_of(self.wanted, offers(source, topic_id, kept.records))
        room = max(0, self.most - self.queued)
        self._post(given[:room])
        self.dropped += len(given[room:])
        if kept.records:
            self.start[source] = kept.records[-1].offset + 1

    def complaint(self) -> ClientError | None:
        """QUEUE_FULL where something was left out; `dropped` only where it is all."""
        if self.holes:
            detail = "some events since the start are not kept any more, nobody knows how many"
            return client_error(QUEUE_FULL, detail)
        if self.dropped:
            detail = (
                f"{self.dropped} events were left out: {self.most} are kept for a client until "
                "it registers, and none that is larger than a message can be"
            )
            return client_error(QUEUE_FULL, detail, dropped=self.dropped)
        return None

    def complained(self) -> None:
        """The client has the complaint: it is not told again."""
        self.holes, self.dropped = False, 0

    def _post(self, given: Sequence[Offer]) -> None:
        if not given:
            return
        texts = [offer.text(with_cursor=self.with_cursors) for offer in given]
        messages = {self.connection_id: texts}
        delivery = self.posts.post_many(messages, until_s=self.until_s)[self.connection_id]
        done = delivery.sent + delivery.too_large
        self.queued += delivery.sent
        self.dropped += delivery.too_large
        if done < len(given):
            self.start[given[done].cursor.source] = given[done].cursor.offset
            why = "the time was over" if delivery.last is Outcome.SENT else delivery.last.value
            raise GatewayUnavailable(f"{done} of {len(given)} waiting events were sent: {why}")
