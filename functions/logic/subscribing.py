"""Subscribe and unsubscribe by JSON (design.md §7; rules 20, 21).

    subscribe    look up ─► reserve ─► `subscribed` ─► serve without a seam
    unsubscribe  end reservation and subscription in one transaction ─► `unsubscribed`

`subscribed` always comes before the first update.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import structs

from functions.gateway import Outcome
from functions.logic.asked_names import Listed, look_up
from functions.logic.reserving import Reserved, Reserving
from functions.logic.resuming import Resuming, given_cursors
from marketdata import client_protocol
from marketdata.client_protocol import (
    VALIDATION_ERROR,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
    client_error,
)
from marketdata.errors import GatewayUnavailable, TapedeckError
from marketdata.ring_items import Cursor
from marketdata.subscriptions import Want, refuse_too_many, wants_of
from marketdata.times import iso_ms

if TYPE_CHECKING:
    from functions.listings import ListingsTable
    from functions.posting import ClientPosts

ECHOED = ("channels", "rate", "interval")


@dataclass(frozen=True, slots=True)
class Subscribing:
    """Makes subscriptions of one stage's clients."""

    stage: str
    listings: "ListingsTable"
    reserving: Reserving
    resuming: Resuming
    posts: "ClientPosts"
    rate_all: bool

    def subscribe(
        self, connection_id: str, message: Subscribe, now_ms: int, given: Collection[str] = ()
    ) -> None:
        """Subscribe to all names of the message or to none; posts `subscribed` itself.

        `given` names the members that the client wrote: those are confirmed.

        Raises:
            ClientError: VALIDATION_ERROR, SUBSCRIPTION_LIMIT, UNKNOWN_SYMBOL, or INTERNAL for a
                connection that is not known (any more).
            StoreError: DynamoDB failed.
            GatewayUnavailable: the client could not be told, or not sent what it missed.
        """
        names, wants = message.names, wants_of(message)
        refuse_too_many(names)
        if message.rate == "all" and "prices" in message.channels and not self.rate_all:
            detail = "`rate`: 'all' is switched off here; the fastest rate is 250ms"
            raise client_error(VALIDATION_ERROR, detail)
        cursors = given_cursors(message.from_)
        listed = look_up(self.listings, names, wants)
        reserved = self.reserving.reserve(
            self.stage, connection_id, names, lambda _name, _has: wants
        )
        told = _confirmation(message, given, now_ms)
        try:
            self._begin(reserved, listed, cursors, told, with_cursors=message.resume)
        except TapedeckError:
            self.reserving.give_back(reserved)
            raise

    def _begin(
        self,
        reserved: Reserved,
        listed: Listed,
        given: list[Cursor] | None,
        told: Subscribed,
        *,
        with_cursors: bool,
    ) -> None:
        """Tell the client, and serve it from where the heads stood before."""
        resumes = given is not None
        asks = with_cursors or resumes
        wish = self.resuming.wish(reserved, listed, cursors=asks, anew=resumes)
        heads = self.resuming.heads(wish)
        if asks:
            begins = self.resuming.behind(wish, heads, given)
            told = structs.replace(told, cursors=begins.cursors, recovered=begins.recovered)
        else:
            begins = self.resuming.now(wish, heads)
        if self._tell(reserved, told):
            self.resuming.finish(wish, begins)

    def _tell(self, reserved: Reserved, confirmation: Subscribed) -> bool:
        """Whether the client, which may be gone, has the confirmation."""
        text = client_protocol.encode(confirmation)
        outcome = self.posts.post(reserved.connection.id, text)
        if outcome is Outcome.SENT:
            return True
        if outcome is Outcome.GONE:
            self.reserving.give_back(reserved)
            return False
        raise GatewayUnavailable(f"a confirmation was answered with {outcome.value}")


def end_subscriptions(
    reserving: Reserving, stage: str, connection_id: str, message: Unsubscribe, now_ms: int
) -> bytes:
    """End the subscriptions to the message's names, or all; returns `unsubscribed`.

    With `channels` only these end, and a name of which nothing is left. A name that is not
    subscribed is confirmed like the others.

    Raises:
        StoreError: DynamoDB failed.
    """
    channels = message.channels

    def ends(want: Want) -> bool:
        return channels is None or want.channel in channels

    ended = reserving.end(stage, connection_id, message.names, ends)
    told = tuple(dict.fromkeys(channels or ()))
    return client_protocol.encode(Unsubscribed(message.names or ended, iso_ms(now_ms), told))


def _confirmation(message: Subscribe, given: Collection[str], now_ms: int) -> Subscribed:
    echo = {
        "channels": tuple(dict.fromkeys(message.channels)),
        "rate": message.rate,
        "interval": message.interval,
    }
    return Subscribed(
        message.names,
        iso_ms(now_ms),
        **{name: echo[name] for name in ECHOED if name in given},  # type: ignore[arg-type]
    )
