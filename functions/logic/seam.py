"""From what was replayed to what is pushed, with nothing lost and nothing twice (rule 20).

    heads ─► what came since ─► replay, answered with 200 ─► commit, if no head has moved

Push puts a batch into the ring and moves its HEAD *before* it reads who listens. So a batch is
either below the heads of the commit, and was replayed, or its push sees what was committed.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from functions.logic.attempts import ATTEMPTS, attempts
from functions.ring_blobs import Kept
from marketdata.errors import StoreUnavailable
from marketdata.ring_items import Source

if TYPE_CHECKING:
    from functions.ring import Head, RingTable

Replay = Callable[[Source, Kept], None]
Commit = Callable[[Mapping[Source, "Head"]], bool]
CommitOne = Callable[[Source, "Head | None"], bool]
CatchUp = Callable[[Iterable[Source]], Mapping[Source, "Head"]]

TOGETHER = 3
"""After so many attempts sources are committed one by one, where that is possible."""
STEP_BACK_S = 0.25
"""A commit holds the heads for a moment. When many clients come at once, push goes first."""


def close_seam(
    ring: "RingTable",
    sources: Iterable[Source],
    start: Mapping[Source, int],
    replay: Replay,
    commit: Commit,
    *,
    commit_one: CommitOne | None = None,
) -> "Mapping[Source, Head]":
    """Replay what came to the ring since `start`, then commit; returns the heads of the commit.

    `replay(source, kept)` posts records, in their order, and returns when they have been
    answered; it is told where the ring has not all of them. `commit(heads)` makes the
    transaction {heads unchanged; cuts = heads} and returns False when it was refused; a source
    that is not in `heads` has no HEAD, and that must be a condition too. A source that is not
    in `start` begins with whatever the ring has.

    The more sources there are, and the faster they move, the less likely they all stand still
    for a moment. `commit_one(source, head)` makes the transaction for one source alone, adding
    to what it has committed before; it is used when `commit` was refused several times.

    Raises:
        StoreUnavailable: heads moved again in every one of the attempts.
        StoreError: DynamoDB failed; and whatever `replay` and `commit` raise.
    """
    wanted = tuple(sources)
    served = {source: start.get(source, 0) for source in wanted}
    catch_up = partial(_catch_up, ring, served, replay)
    together = TOGETHER if commit_one and len(wanted) > 1 else ATTEMPTS
    heads = _try(catch_up, wanted, commit, together)
    if heads is None and commit_one and len(wanted) > 1:
        heads = _one_by_one(catch_up, wanted, commit_one)
    if heads is None:
        raise StoreUnavailable("updates came too fast to begin a subscription between them")
    return heads


def _catch_up(
    ring: "RingTable", served: dict[Source, int], replay: Replay, sources: Iterable[Source]
) -> "Mapping[Source, Head]":
    heads = ring.heads(sources)
    for source, head in heads.items():
        if head.next != served[source]:
            replay(source, _since(ring, source, served[source], head))
            served[source] = head.next
    return heads


def _try(
    catch_up: CatchUp, sources: Iterable[Source], commit: Commit, most: int
) -> "Mapping[Source, Head] | None":
    for _ in zip(range(most), attempts(STEP_BACK_S), strict=False):
        heads = catch_up(sources)
        if commit(heads):
            return heads
    return None


def _one_by_one(
    catch_up: CatchUp, sources: Iterable[Source], commit_one: CommitOne
) -> "Mapping[Source, Head] | None":
    done: dict[Source, Head] = {}
    for source in sources:
        heads = _try(catch_up, [source], partial(_commit_one, commit_one, source), ATTEMPTS)
        if heads is None:
            return None
        done.update(heads)
    return done


def _commit_one(commit_one: CommitOne, source: Source, heads: "Mapping[Source, Head]") -> bool:
    return commit_one(source, heads.get(source))


def _since(ring: "RingTable", source: Source, first: int, head: "Head") -> Kept:
    if head.next < first:  # the topic was made anew
        return Kept([], head.next, whole=False)
    return ring.read(source, head.topic_id, first, head.next, int(time.time()))
