"""The XDR of a ledger's header and of its (empty) metadata, for `getLatestLedger`. Pure."""

import base64
import struct

from local.exchanges.stellar.ledgers import Ledgers

PROTOCOL = 23
_NO_HASH = bytes(32)
_COINS = 1_054_439_020_873_472_865
_STROOPS_A_FEE, _STROOPS_A_RESERVE, _MOST_OPERATIONS = 100, 5_000_000, 1_000


def header_xdr(chain: Ledgers, ledger: int) -> str:
    """A LedgerHeader, in base64."""
    return base64.b64encode(_header(chain, ledger)).decode()


def metadata_xdr(chain: Ledgers, ledger: int) -> str:
    """A LedgerCloseMeta of version 1 that lists no transaction, in base64."""
    history = chain.ledger_hash(ledger) + _header(chain, ledger) + struct.pack(">I", 0)
    transactions = struct.pack(">I", 1) + chain.ledger_hash(ledger - 1) + struct.pack(">I", 0)
    nothing = struct.pack(">IIIQII", 0, 0, 0, 0, 0, 0)
    body = struct.pack(">II", 1, 0) + history + transactions + nothing
    return base64.b64encode(body).decode()


def _header(chain: Ledgers, ledger: int) -> bytes:
    close_s = chain.close_ms(ledger) // 1000
    value = _NO_HASH + struct.pack(">QII", close_s, 0, 0)
    numbers = struct.pack(
        ">IqqIQIII",
        *(ledger, _COINS, 0, 0, 0),
        *(_STROOPS_A_FEE, _STROOPS_A_RESERVE, _MOST_OPERATIONS),
    )
    head = struct.pack(">I", PROTOCOL) + chain.ledger_hash(ledger - 1)
    return head + value + _NO_HASH * 2 + numbers + _NO_HASH * 4 + struct.pack(">I", 0)
