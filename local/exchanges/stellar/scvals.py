"""The values that contract events are made of, in both forms that a node sends.

Each function gives a `Val`: its XDR bytes, and its JSON by SEP-51.
"""

import base64
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from local.exchanges.stellar.strkeys import ACCOUNT, CONTRACT, raw_key

_U32, _U64, _I128, _BYTES, _STRING, _SYMBOL, _VEC, _MAP, _ADDRESS = 3, 5, 10, 13, 14, 15, 16, 17, 18  # fmt: skip # noqa: E501
_TWO_64 = 1 << 64


class Val(NamedTuple):
    """One ScVal: its XDR, and what its JSON says."""

    xdr: bytes
    json: Any

    @property
    def base64(self) -> str:
        """Its XDR as a node sends it."""
        return base64.b64encode(self.xdr).decode()


VOID = Val(struct.pack(">I", 1), "void")


def u32(number: int) -> Val:
    """An unsigned number of 32 bits: a JSON number."""
    return Val(struct.pack(">II", _U32, number), {"u32": number})


def u64(number: int) -> Val:
    """An unsigned number of 64 bits: a text."""
    return Val(struct.pack(">IQ", _U64, number), {"u64": str(number)})


def i128(number: int) -> Val:
    """An amount: a text."""
    high, low = divmod(number, _TWO_64)
    return Val(struct.pack(">IqQ", _I128, high, low), {"i128": str(number)})


def symbol(text: str) -> Val:
    """A short ASCII name."""
    return Val(_with_length(_SYMBOL, text.encode()), {"symbol": text})


def string(text: str) -> Val:
    """An ASCII text."""
    return Val(_with_length(_STRING, text.encode()), {"string": text})


def raw_bytes(raw: bytes) -> Val:
    """Bytes, in hex."""
    return Val(_with_length(_BYTES, raw), {"bytes": raw.hex()})


def address(key: str) -> Val:
    """An account (`G…`) or a contract (`C…`)."""
    if key.startswith("G"):
        body = struct.pack(">III", _ADDRESS, 0, 0) + raw_key(ACCOUNT, key)
    else:
        body = struct.pack(">II", _ADDRESS, 1) + raw_key(CONTRACT, key)
    return Val(body, {"address": key})


def vec(items: Sequence[Val]) -> Val:
    """A list."""
    head = struct.pack(">III", _VEC, 1, len(items))
    body = b"".join(item.xdr for item in items)
    return Val(head + body, {"vec": [item.json for item in items]})


def record(members: Sequence[tuple[str, Val]]) -> Val:
    """A map whose keys are symbols, which a contract keeps in their order."""
    entries = [(symbol(name), value) for name, value in sorted(members)]
    body = b"".join(key.xdr + value.xdr for key, value in entries)
    form = [{"key": key.json, "val": value.json} for key, value in entries]
    return Val(struct.pack(">III", _MAP, 1, len(entries)) + body, {"map": form})


def _with_length(kind: int, raw: bytes) -> bytes:
    return struct.pack(">II", kind, len(raw)) + raw + b"\0" * (-len(raw) % 4)
