"""New filters of a connection take effect, source by source, each at a cut (rule 20).

heads ─► one transaction {heads unchanged; cuts = heads} for all sources
             └─ refused ─► one for each source: those whose head stood are done, the others wait

Each source has a cut of its own: whether they begin together or one after the other, nothing is
lost in any, and nothing comes twice.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from functions.logic.register_request import Asked
from functions.newcomers import Newcomer
from functions.registrations import Registration, renewed
from marketdata.connection_items import Feed
from marketdata.event_filters import FEEDS
from marketdata.ring_items import Source

if TYPE_CHECKING:
    from functions.registrations import RegistrationsTable
    from functions.ring import Head, RingTable

    Heads = Mapping[Source, Head]


@dataclass(slots=True)
class Renewal:
    """What one `register` changes; `existing` is what the connection had before.

    Attributes:
        cuts: The sources in which the new filters count, and from where on.
    """

    newcomer: Newcomer
    asked: Asked
    existing: Mapping[Feed, Registration]
    registrations: "RegistrationsTable"
    ring: "RingTable"
    ring_topics: frozenset[str]
    cuts: dict[Source, int] = field(default_factory=dict)

    @property
    def feeds(self) -> list[Feed]:
        """The feeds that are wanted, and those that were."""
        return [one for one in FEEDS if one in self.asked.wanted.feeds or one in self.existing]

    def has_begun(self, source: Source) -> bool:
        """Whether a source is pushed to the connection already, by whatever filters."""
        own = self.existing.get(source.topic)  # type: ignore[call-overload]
        return own is not None and own.has_begun(source)

    def commit_some(self, sources: Collection[Source], heads: "Heads") -> bool:
        """Let the new filters begin at `heads` wherever these still stand; False for nowhere.

        Raises:
            StoreError: DynamoDB failed.
        """
        if self._commit(sources, heads):
            return True
        if len(sources) == 1:
            return False
        done = [self._commit([source], heads) for source in sources]
        return any(done)

    def commit_rest(self, sources: Collection[Source], heads: "Heads") -> bool:
        """Let the new filters begin at `heads` in all of these sources, or in none; the last.

        Feeds that have no ring change with them, without a cut. Raises StoreError.
        """
        others = [feed for feed in self.feeds if feed not in self.ring_topics]
        return self._commit(sources, heads, others, is_last=True)

    def _commit(
        self,
        sources: Collection[Source],
        heads: "Heads",
        others: Collection[Feed] = (),
        *,
        is_last: bool = False,
    ) -> bool:
        begin = {at: heads[at].next if at in heads else 0 for at in sources}
        cuts = {**self.cuts, **begin}
        concerned = [feed for feed in self.feeds if any(at.topic == feed for at in sources)]
        done = self.registrations.commit(
            self.newcomer,
            {feed: self._of_feed(feed, cuts) for feed in [*concerned, *others]},
            [self.ring.head_condition(at, heads.get(at)) for at in sources],
            resume=self.asked.message.resume,
            is_last=is_last,
        )
        if done:
            self.cuts = cuts
        return done

    def _of_feed(self, feed: Feed, cuts: Mapping[Source, int]) -> Registration:
        own = {at: offset for at, offset in cuts.items() if at.topic == feed}
        return renewed(
            self.existing.get(feed, Registration.none(self.newcomer)),
            self.asked.stored if feed in self.asked.wanted.feeds else "",
            cursors=self.asked.message.resume,
            cuts=own if feed in self.ring_topics else None,
        )
