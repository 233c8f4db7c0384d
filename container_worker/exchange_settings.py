"""How the exchanges are reached and what is asked of them, from the worker's variables.

variables ─► read_exchanges ─► endpoints, Stockbit's token and wire, Stellar's query
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from container_worker.exchanges.adapter import Endpoints
from container_worker.exchanges.polling import Query
from container_worker.exchanges.stellar.subscribe import filter_faults
from container_worker.variables import Reader

STOCKBIT_WIRES = ("flat", "channel")
XDR_FORMATS = ("json", "base64")
_MOST_EVENTS = 10_000
_LAST_LEDGER = 2**32 - 1


@dataclass(frozen=True, slots=True)
class StockbitSettings:
    """Where the token comes from: the first of text, file and secret that is given."""

    wire: str = "flat"
    token: str = field(default="", repr=False)
    token_file: str = ""
    token_secret: str = ""


@dataclass(frozen=True, slots=True)
class StellarSettings:
    """What is asked of the node, and how often at the head of the chain."""

    query: Query = field(default_factory=Query, repr=False)
    poll_s: float = 5.0


@dataclass(frozen=True, slots=True)
class ExchangeSettings:
    """Base URLs by exchange, without a slash at the end; Binance.US is `binance` by its own."""

    endpoints: Mapping[str, Endpoints]
    stockbit: StockbitSettings
    stellar: StellarSettings


def read_exchanges(reader: Reader) -> ExchangeSettings:
    """All exchanges' variables, whichever are used: a fault is named in any case."""
    endpoints = {
        name: Endpoints(
            ws=reader.url(f"{name.upper()}_WS_URL", ("wss", "ws")),
            rest=reader.url(f"{name.upper()}_REST_URL", ("https", "http")),
        )
        for name in ("binance", "coinbase", "blockchain", "stockbit")
    }
    rpc = reader.url("STELLAR_RPC_URL", ("https", "http"))
    return ExchangeSettings(
        endpoints=endpoints | {"stellar": Endpoints(ws="", rest=rpc)},
        stockbit=_stockbit(reader),
        stellar=_stellar(reader),
    )


def _stockbit(reader: Reader) -> StockbitSettings:
    given = [
        name
        for name in ("STOCKBIT_TOKEN", "STOCKBIT_TOKEN_FILE", "STOCKBIT_TOKEN_SECRET")
        if reader.text(name)
    ]
    if len(given) > 1:
        reader.faults.append(f"{' and '.join(given)}: give one of them")
    return StockbitSettings(
        wire=reader.one_of("STOCKBIT_WIRE", STOCKBIT_WIRES, reader.text("STOCKBIT_WIRE")),
        token=reader.text("STOCKBIT_TOKEN"),
        token_file=reader.text("STOCKBIT_TOKEN_FILE"),
        token_secret=reader.text("STOCKBIT_TOKEN_SECRET"),
    )


def _stellar(reader: Reader) -> StellarSettings:
    query = Query(
        filters=_filters(reader),
        start_ledger=int(reader.number("STELLAR_START_LEDGER", 0, _LAST_LEDGER)),
        limit=int(reader.number("STELLAR_PAGE_LIMIT", 1, _MOST_EVENTS)),
        xdr_format=reader.one_of(
            "STELLAR_XDR_FORMAT", XDR_FORMATS, reader.text("STELLAR_XDR_FORMAT")
        ),
        auth_header=reader.secret("STELLAR_AUTH_HEADER"),
    )
    return StellarSettings(query, reader.number("STELLAR_POLL_SECONDS", 0.05, 3600))


def _filters(reader: Reader) -> bytes:
    filters = reader.text("STELLAR_FILTERS").encode()
    reader.faults += (f"STELLAR_FILTERS: {fault}" for fault in filter_faults(filters))
    return filters
