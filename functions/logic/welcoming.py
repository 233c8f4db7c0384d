"""`welcome`, once a connection and before anything else on `ws` (rule 23).

    claim ─► post ─► 200: said │ anything else: the claim is given back

A claim is taken for one post only, and `welcome` counts as said after the client has it. Said
before the post, it would be lost with whoever dies in between, and `registered` could overtake
it. This way the worst is a second `welcome`, where someone dies between post and note. Who
finds a claim waits until it ends: a post takes milliseconds, a dead claimant seven seconds.
"""

import random
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from functions.gateway import Outcome
from functions.newcomers import Claim
from marketdata import client_protocol
from marketdata.client_protocol import Welcome

if TYPE_CHECKING:
    from functions.newcomers import NewcomersTable

WELCOME = client_protocol.encode(Welcome())
PAUSE_S = (0.02, 0.1)

Post = Callable[[str, bytes], Outcome]


@dataclass(frozen=True, slots=True)
class Welcoming:
    """Says `welcome`; `clock_ms` is UTC milliseconds."""

    newcomers: "NewcomersTable"
    post: Post
    clock_ms: Callable[[], int]

    def until_said(
        self, stage: str, connection_id: str, limit_s: float, *, maybe_young: bool
    ) -> Outcome:
        """Say it, or see that somebody else has; tries for at most `limit_s`.

        A 410 is tried again only on a connection that may not be there yet. SENT: the client
        has it. Else the outcome of the last post; GONE also where the connection is not known,
        NOT_TRIED where another's claim did not end in time.

        Raises:
            StoreError: DynamoDB failed.
        """
        last, token = Outcome.NOT_TRIED, uuid.uuid4().hex
        for _ in _tries(limit_s):
            now_ms = self.clock_ms()
            claim = self.newcomers.claim_welcome(stage, connection_id, token, now_ms)
            if claim is Claim.SAID:
                return Outcome.SENT
            if claim is Claim.UNKNOWN:
                return Outcome.GONE
            if claim is Claim.TAKEN:
                continue
            last = self.post(connection_id, WELCOME)
            if last is Outcome.SENT:
                self.newcomers.welcome_said(stage, connection_id)
                return last
            self.newcomers.welcome_not_said(stage, connection_id, token)
            if last is Outcome.GONE and not maybe_young:
                break
        return last


def _tries(limit_s: float) -> Iterator[None]:
    """Yields until the time is over, with jittered pauses in between; at least once."""
    until = time.monotonic() + limit_s
    yield
    while time.monotonic() < until:
        time.sleep(random.uniform(*PAUSE_S))  # noqa: S311  (jitter)
        yield
