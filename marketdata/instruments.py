"""Tickers (the exchange's own names) and symbols (ours, `BASE/QUOTE`; design.md §3)."""

import msgspec


class Instrument(msgspec.Struct, frozen=True):
    """One thing that an exchange lists and that is captured.

    `channels` are those that clients can have of it: `prices`, `candles`, `depth`.
    """

    exchange: str
    ticker: str
    symbol: str
    base: str
    quote: str
    channels: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names under which clients may ask for it: symbol and ticker, once if equal."""
        return (self.symbol,) if self.symbol == self.ticker else (self.symbol, self.ticker)


def symbol_of(base: str, quote: str) -> str:
    """The canonical symbol of a pair; a share has no quote and is its ticker."""
    return f"{base}/{quote}" if quote else base
