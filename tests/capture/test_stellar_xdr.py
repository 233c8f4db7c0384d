"""Base64 XDR to the JSON of SEP-51; what is no ScVal is a DecodeError."""

import base64
import contextlib
import json
import random
import struct
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from container_worker.exchanges.stellar.xdr_json import scval_json
from marketdata.errors import DecodeError

USDC = "CCW67TSZV3SSS2HXMBQ5JFGCKJNXKZM7UQUWUZPUTHXSTZLEO7SJMI75"


def symbol(text):
    raw = text.encode()
    padded = raw + b"\0" * (-len(raw) % 4)
    return base64.b64encode(struct.pack(">II", 15, len(raw)) + padded).decode()


def xdr(*parts):
    return base64.b64encode(b"".join(parts)).decode()


@pytest.mark.parametrize(
    ("encoded", "form"),
    [
        (symbol("transfer"), {"symbol": "transfer"}),
        (xdr(struct.pack(">II", 0, 1)), {"bool": True}),
        (xdr(struct.pack(">I", 1)), "void"),
        (xdr(struct.pack(">II", 3, 7)), {"u32": 7}),
        (xdr(struct.pack(">Ii", 4, -7)), {"i32": -7}),
        (xdr(struct.pack(">IQ", 5, 2**63)), {"u64": "9223372036854775808"}),
        (xdr(struct.pack(">Iq", 6, -1)), {"i64": "-1"}),
        (xdr(struct.pack(">IQQ", 9, 1, 0)), {"u128": "18446744073709551616"}),
        (xdr(struct.pack(">IqQ", 10, -1, 2**64 - 5)), {"i128": "-5"}),
        (xdr(struct.pack(">IqQQQ", 12, 0, 0, 0, 9)), {"i256": "9"}),
        (xdr(struct.pack(">II", 13, 2), b"\x01\xff\0\0"), {"bytes": "01ff"}),
        (xdr(struct.pack(">II", 14, 2), b"hi\0\0"), {"string": "hi"}),
        (xdr(struct.pack(">III", 16, 1, 0)), {"vec": []}),
        (
            xdr(struct.pack(">IIIII", 17, 1, 1, 3, 7), struct.pack(">I", 1)),
            {"map": [{"key": {"u32": 7}, "val": "void"}]},
        ),
        (
            xdr(struct.pack(">II", 18, 1), base64.b32decode(USDC)[1:-2]),
            {"address": USDC},
        ),
    ],
)
def test_xdr_becomes_the_json_of_sep_51(encoded, form) -> None:
    assert json.loads(scval_json(encoded)) == form
    assert b" " not in scval_json(encoded)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32))
def test_any_xdr_is_json_or_a_decode_error(seed) -> None:
    chance = random.Random(seed)
    kinds = [base64.b64decode(symbol("transfer")), struct.pack(">IqQ", 10, 0, 5)]
    kinds += [struct.pack(">IIIII", 17, 1, 1, 3, 7) + struct.pack(">I", 1)]
    decoded = 0
    for number in range(600):
        raw = bytearray(chance.choice(kinds))
        if number % 3 == 0:
            raw = bytearray(struct.pack(">I", chance.randrange(24)) + chance.randbytes(40))
        for _ in range(chance.randrange(4)):
            raw[chance.randrange(len(raw))] = chance.choice((0, 1, 255, chance.randrange(256)))
        with contextlib.suppress(DecodeError):
            json.loads(scval_json(base64.b64encode(raw).decode()))
            decoded += 1
    assert decoded > 50


def test_xdr_nested_beyond_measure_is_a_decode_error() -> None:
    deep = struct.pack(">III", 16, 1, 1) * 3_000 + struct.pack(">I", 1)
    with pytest.raises(DecodeError):
        scval_json(base64.b64encode(deep).decode())


def test_the_slow_package_is_imported_only_where_xdr_comes() -> None:
    code = "import sys, container_worker.exchanges; print('stellar_sdk' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"False\n"
