"""What an exchange says of how its tickers are traded: each change is told once. Pure."""

from collections.abc import Callable, Collection

from container_worker.exchanges.adapter import Channel
from container_worker.exchanges.outcomes import TradingStatus


class TradingStatuses:
    """Of the tickers of one line; what is said again on every socket is told once.

    A ticker that is traded as usual from the start is no news.
    """

    def __init__(
        self, units: Collection[Channel], tell: Callable[[TradingStatus], None]
    ) -> None:
        tickers = {channel.ticker for channel in units}
        self._known = {one: TradingStatus(one, "", is_open=True) for one in tickers}
        self._tell = tell

    def take(self, said: TradingStatus) -> None:
        """The exchange said it."""
        before = self._known.get(said.ticker)
        if before is None or before == said:
            return
        self._known[said.ticker] = said
        if not (before.is_open and said.is_open):
            self._tell(said)
