"""How each exchange is reached in this process: its adapter, its addresses, its credentials.

ExchangeSettings ─► Reach of every exchange of the registry
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from container_worker.exchange_settings import ExchangeSettings
from container_worker.exchanges import REGISTRY
from container_worker.exchanges.adapter import NOBODY, Adapter, Endpoints, Get, Session
from container_worker.exchanges.polling import Query
from container_worker.token_source import TokenManager
from marketdata.errors import BadCredential
from marketdata.times import iso_ms


def _no_token() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Reach:
    """One exchange. `token` is asked for each session, `query` for each page of a poller.

    `wire` names the variant of the adapter, where it has some.
    """

    adapter: Adapter
    endpoints: Endpoints
    token: Callable[[], str] = field(default=_no_token, repr=False)
    query: Query = field(default_factory=Query, repr=False)
    poll_s: float = 5.0
    wire: str = ""

    def session(self, get: Get, ending: Session = NOBODY) -> Session:
        """Who listens, for one connection; `ending` is the session that it is to outlive.

        Raises:
            ExchangeError: the token is missing, has run out, is refused or still that of
                `ending`, or nobody answers.
        """
        adapter = self.adapter
        if adapter.open_session is None:
            return NOBODY
        token = self.token()
        if ending.expires_s is not None and token == ending.token:
            ends = iso_ms(ending.expires_s * 1000)
            raise BadCredential(
                f"the token for {adapter.name} runs out at {ends}: {adapter.renewal}"
            )
        return adapter.open_session(token, get, int(time.time()))


def reach_all(settings: ExchangeSettings) -> dict[str, Reach]:
    """Every exchange, by name; nothing is connected and no token is read."""
    stockbit = TokenManager(settings.stockbit)
    return {
        name: Reach(
            adapter=adapter.variants.get(settings.stockbit.wire, adapter),
            wire=settings.stockbit.wire if adapter.variants else "",
            endpoints=settings.endpoints[name],
            token=_fresh(stockbit) if name == "stockbit" else _no_token,
            query=settings.stellar.query,
            poll_s=settings.stellar.poll_s,
        )
        for name, adapter in REGISTRY.items()
    }


def _fresh(source: TokenManager) -> Callable[[], str]:
    """A new session is what needs a token, so that each asks the source anew."""

    def token() -> str:
        source.renew()
        return source.token()

    return token
