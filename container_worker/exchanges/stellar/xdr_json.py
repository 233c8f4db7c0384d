"""Base64 XDR of an ScVal to its XDR-JSON form (SEP-51), by the stellar-sdk package.

https://github.com/stellar/stellar-protocol/blob/master/ecosystem/sep-0051.md
Only what a node sends as base64 comes here; a node that is asked for JSON writes it itself.
"""

from functools import cache
from typing import Any, Protocol

import msgspec

from marketdata.errors import DecodeError

_LONGEST = 1024 * 1024
_FAULTS = (
    *(ValueError, TypeError, EOFError, LookupError, AttributeError),
    *(AssertionError, RecursionError),
)
"""What the package raises for bytes that are no ScVal; a seeded test looks for others."""


class _ScVal(Protocol):
    def to_json_dict(self) -> Any: ...

    def to_xdr(self) -> str: ...


class _ScValType(Protocol):
    def from_xdr(self, xdr: str) -> _ScVal: ...


def scval_json(xdr: str) -> bytes:
    """`AAAADwAAAAh0cmFuc2Zlcg==` → `{"symbol":"transfer"}`; 128 and 256 bit numbers are texts.

    Raises:
        DecodeError: not the canonical base64 of one ScVal.
    """
    if len(xdr) > _LONGEST:
        raise DecodeError(f"an XDR of {len(xdr)} characters is too long")
    try:
        value = _scval_type().from_xdr(xdr)
        again, text = value.to_xdr(), msgspec.json.encode(value.to_json_dict())
    except _FAULTS as error:
        raise DecodeError(
            f"not the XDR of an ScVal: {str(error) or type(error).__name__}"[:200]
        ) from error
    if again != xdr:
        raise DecodeError("not the canonical XDR of an ScVal")
    return text


@cache
def _scval_type() -> _ScValType:
    from stellar_sdk.xdr import SCVal  # noqa: PLC0415 - a slow import that json needs not

    return SCVal
