"""`subscribe,BTC-USD` (sources/crypto-streams.md): the latest candle, then each new one.

    look up ─► reserve ─► the latest candle of each pair ─► what came since ─► serve

Several pairs stand behind one another: `subscribe,BTC-USD,ETH-USD`. Of a pair that several
exchanges have, one exchange's candles come: the first of a configured order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from functions.gateway import Outcome
from functions.logic.asked_names import Listed, has, look_up
from functions.logic.reserving import Reserved, Reserving
from functions.logic.resuming import Resuming
from marketdata import client_protocol
from marketdata.client_messages import MAX_NAME_LENGTH, MAX_UNSUBSCRIBE_NAMES
from marketdata.client_protocol import VALIDATION_ERROR, client_error
from marketdata.errors import GatewayUnavailable, TapedeckError
from marketdata.subscriptions import BARE_INTERVAL, Want, Wants, refuse_too_many

if TYPE_CHECKING:
    from functions.candles import CandlesTable
    from functions.listings import ListingsTable
    from functions.posting import ClientPosts

COMMANDS = ("subscribe", "unsubscribe")


@dataclass(frozen=True, slots=True)
class Command:
    """A bare command and its pairs, each once."""

    verb: str
    pairs: tuple[str, ...]


def command_of(text: str) -> Command | None:
    """The bare command that a text is; None when it is none.

    Raises:
        ClientError: VALIDATION_ERROR for a command whose pairs are none.
    """
    verb, comma, rest = text.strip().partition(",")
    if verb not in COMMANDS:
        return None
    if any("\ud800" <= character <= "\udfff" for character in rest):
        raise client_error(VALIDATION_ERROR, "the message is not valid UTF-8 text")
    pairs = tuple(dict.fromkeys(part.strip() for part in rest.split(",")))
    if not comma or not all(pairs):
        raise client_error(VALIDATION_ERROR, f"write the pair behind a comma: {verb},BTC-USD")
    if any(len(pair) > MAX_NAME_LENGTH for pair in pairs):
        raise client_error(
            VALIDATION_ERROR, f"a pair has more than {MAX_NAME_LENGTH} characters"
        )
    if verb == "unsubscribe" and len(pairs) > MAX_UNSUBSCRIBE_NAMES:
        raise client_error(
            VALIDATION_ERROR, f"there are more than {MAX_UNSUBSCRIBE_NAMES} pairs"
        )
    return Command(verb, pairs)


@dataclass(frozen=True, slots=True)
class BareCandles:
    """Makes and ends these subscriptions of one stage's clients.

    `order` is that of the exchanges of a pair; those that are not in it come last.
    """

    stage: str
    listings: "ListingsTable"
    candles: "CandlesTable"
    reserving: Reserving
    resuming: Resuming
    posts: "ClientPosts"
    order: Sequence[str]

    def subscribe(self, connection_id: str, pairs: Sequence[str]) -> None:
        """Subscribe to all pairs or to none; posts the candles itself.

        Raises:
            ClientError: SUBSCRIPTION_LIMIT, UNKNOWN_SYMBOL, or INTERNAL for a connection that
                is not known (any more).
            StoreError: DynamoDB failed.
            GatewayUnavailable: the client could not be sent the candles.
        """
        refuse_too_many(pairs)
        listed = look_up(self.listings, pairs, (Want("candles"),))
        bare = {pair: self._want(pair, listed) for pair in pairs}
        reserved = self.reserving.reserve(
            self.stage, connection_id, pairs, lambda pair, wants: _with(wants, bare[pair])
        )
        try:
            self._begin(reserved, listed, bare)
        except TapedeckError:
            self.reserving.give_back(reserved)
            raise

    def end(self, connection_id: str, pairs: Sequence[str]) -> Sequence[str]:
        """End them; returns the pairs, which need not have been subscribed to."""
        self.reserving.end(self.stage, connection_id, pairs, lambda want: want.bare)
        return pairs

    def _begin(self, reserved: Reserved, listed: Listed, bare: Mapping[str, Want]) -> None:
        wish = self.resuming.wish(reserved, listed, cursors=False)
        heads = self.resuming.heads(wish)  # before the candles: what comes meanwhile follows
        if self._answer(reserved.connection.id, list(bare)):
            self.resuming.finish(wish, self.resuming.now(wish, heads))
        else:
            self.reserving.give_back(reserved)

    def _answer(self, connection_id: str, pairs: Sequence[str]) -> bool:
        """Whether the client, which may be gone, has the latest candles."""
        latest = {pair: self.candles.latest(pair, self.order) for pair in pairs}
        texts = [
            client_protocol.bare_candle(candle, pair)
            for pair, candle in latest.items()
            if candle is not None
        ]
        if not texts:
            return True
        done = self.posts.post_many({connection_id: texts})[connection_id]
        if done.sent == len(texts) or done.last is Outcome.GONE:
            return done.last is not Outcome.GONE
        raise GatewayUnavailable(f"a candle was answered with {done.last.value}")

    def _want(self, pair: str, listed: Listed) -> Want:
        """The candles of the exchange that has the pair: its newest one, or its trades."""
        at = self.candles.source_of(pair, self.order)
        if at is not None:
            return Want("candles", interval=BARE_INTERVAL, bare=True, source=at.source)
        able = sorted(one.exchange for one in listed[pair] if has(one, "candles"))
        ordered = [*(one for one in self.order if one in able), *able]
        return Want("candles", interval=BARE_INTERVAL, bare=True, source=ordered[0])


def _with(wants: Wants, bare: Want) -> Wants:
    return (*(one for one in wants if one.feed != bare.feed), bare)
