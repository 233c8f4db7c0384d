"""What a connection is subscribed to, and which subscriptions a price concerns.

A subscription is a *name*: a symbol (`BTC/USDT`) or a ticker (`BTCUSDT`). A name stands for
every instrument that bears it, on whatever exchange, and is answered in that form. Each name
is one of the ten of its connection; symbol and ticker of one instrument are two names, and
whoever asks for both is sent both.
"""

from collections.abc import Collection, Mapping

from marketdata.client_errors import SUBSCRIPTION_LIMIT, client_error

MAX_SYMBOLS = 10

Reservations = Mapping[str, int]
"""A connection's names, each with the token of the last subscribe that asked for it."""


def reserve(current: Reservations, names: Collection[str], token: int) -> dict[str, int]:
    """The reservations after a subscribe: all of `names`, or nothing changes.

    A name that is there already does not count twice and takes the new token.

    Raises:
        ClientError: SUBSCRIPTION_LIMIT, with the limit and what is taken in the detail.
    """
    wanted = {**current, **dict.fromkeys(names, token)}
    if len(wanted) > MAX_SYMBOLS:
        raise client_error(
            SUBSCRIPTION_LIMIT,
            f"a connection has at most {MAX_SYMBOLS} symbols: {len(current)} are subscribed, "
            f"{len(wanted) - len(current)} new ones were asked for",
        )
    return wanted


def refuse_too_many(names: Collection[str]) -> None:
    """Refuse a list that no connection can have, before anything is looked up.

    Raises:
        ClientError: SUBSCRIPTION_LIMIT.
    """
    if len(names) > MAX_SYMBOLS:
        raise client_error(
            SUBSCRIPTION_LIMIT,
            f"a connection has at most {MAX_SYMBOLS} symbols, and {len(names)} were asked for",
        )


def release(current: Reservations, names: Collection[str] | None) -> dict[str, int]:
    """The reservations without `names`, or without any when `names` is None."""
    if names is None:
        return {}
    return {name: token for name, token in current.items() if name not in names}


def names_of(symbol: str, ticker: str) -> tuple[str, ...]:
    """The names under which a price is subscribed to: symbol and ticker, once if equal."""
    return (symbol,) if symbol == ticker else (symbol, ticker)
