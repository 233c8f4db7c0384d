"""Protobuf's wire format by hand, without `.proto` files (sources/stockbit-orderbook-l2.md).

https://protobuf.dev/programming-guides/encoding/
Pure. Groups (wire types 3 and 4) are not read: nothing that we know of sends them.
"""

from typing import NamedTuple

from marketdata.errors import DecodeError

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5

_LARGEST = 2**64 - 1
_LARGEST_FIELD = 2**29 - 1
_LONGEST_VARINT = 10
_SIZES = {FIXED64: 8, FIXED32: 4}


class Field(NamedTuple):
    """One field: an int for a varint, the raw bytes for every other wire type."""

    number: int
    wire_type: int
    value: int | bytes


def _encode_varint(value: int) -> bytes:
    """An unsigned 64-bit number, seven bits a byte, the lowest first.

    Raises:
        ValueError: the number is negative or has more than 64 bits.
    """
    if not 0 <= value <= _LARGEST:
        raise ValueError(f"{value} is not an unsigned 64-bit number")
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _decode_varint(raw: bytes, start: int = 0) -> tuple[int, int]:
    """The number that begins at `start`, and where what follows it begins.

    Of ten bytes the bits above 64 are dropped, as the protobuf package does.

    Raises:
        DecodeError: it has no end within ten bytes.
    """
    value = 0
    for index, byte in enumerate(raw[start : start + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value & _LARGEST, start + index + 1
    raise DecodeError("a varint does not end")


def encode_field(number: int, value: int | str | bytes) -> bytes:
    """A whole field: an int as a varint, text and bytes length-delimited."""
    if isinstance(value, int):
        return _encode_varint(number << 3 | VARINT) + _encode_varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return _encode_varint(number << 3 | LENGTH) + _encode_varint(len(raw)) + raw


def decode_fields(raw: bytes) -> list[Field]:
    """All fields of a message, in their order.

    Raises:
        DecodeError: not a message, or one with a wire type other than 0, 1, 2 and 5.
    """
    fields = []
    position, end = 0, len(raw)
    while position < end:
        tag, position = _decode_varint(raw, position)
        number, wire_type = tag >> 3, tag & 7
        if not 1 <= number <= _LARGEST_FIELD:
            raise DecodeError(f"{number} is not a field number")
        if wire_type == VARINT:
            value, position = _decode_varint(raw, position)
            fields.append(Field(number, wire_type, value))
            continue
        size, position = _size(raw, position, wire_type)
        if size > end - position:
            raise DecodeError(f"field {number} is cut off")
        fields.append(Field(number, wire_type, raw[position : position + size]))
        position += size
    return fields


def _size(raw: bytes, position: int, wire_type: int) -> tuple[int, int]:
    if wire_type == LENGTH:
        return _decode_varint(raw, position)
    size = _SIZES.get(wire_type)
    if size is None:
        raise DecodeError(f"{wire_type} is not a wire type that is read")
    return size, position
