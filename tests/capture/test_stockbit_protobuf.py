"""The hand-written protobuf wire against the `protobuf` package, on any message."""

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError as PackageDecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import example, given
from hypothesis import strategies as st

from container_worker.exchanges.adapter import Session
from container_worker.exchanges.stockbit.decode import (
    OrderBookMessage,
    decode_orderbook_message,
)
from container_worker.exchanges.stockbit.protobuf_wire import (
    FIXED32,
    FIXED64,
    LENGTH,
    VARINT,
    Field,
    _decode_varint,
    _encode_varint,
    decode_fields,
    encode_field,
)
from container_worker.exchanges.stockbit.subscribe import (
    encode_channel_request,
    encode_websocket_request,
)
from container_worker.exchanges.stockbit.wire import PING
from marketdata.errors import DecodeError

TEXT, WHOLE, BYTES = (
    FieldDescriptorProto.TYPE_STRING,
    FieldDescriptorProto.TYPE_UINT64,
    FieldDescriptorProto.TYPE_BYTES,
)
REPEATED, SINGULAR = FieldDescriptorProto.LABEL_REPEATED, FieldDescriptorProto.LABEL_OPTIONAL
SCHEMA = {
    "Flat": [(1, WHOLE), (2, TEXT), (3, TEXT), (4, TEXT), (5, TEXT), (6, TEXT)],
    "Channel": [(2, TEXT, REPEATED)],
    "Ping": [(1, TEXT)],
    "Request": [(1, TEXT), (2, "Channel"), (3, TEXT), (4, "Ping"), (5, TEXT)],
    "Orderbook": [
        (1, TEXT), (2, TEXT), (3, WHOLE), (4, WHOLE), (5, TEXT), (6, TEXT), (7, WHOLE),
        (8, WHOLE), (9, TEXT), (21, FieldDescriptorProto.TYPE_DOUBLE),
        (22, FieldDescriptorProto.TYPE_FIXED32), (23, BYTES), (300, TEXT, REPEATED),
    ],
    "Wrapper": [(10, "Orderbook")],
}  # fmt: skip


def _messages():
    """The classes of `SCHEMA`, made by the package from descriptors; fields are `f1`, `f2` …"""
    file = descriptor_pb2.FileDescriptorProto(
        name="feed.proto", package="feed", syntax="proto3"
    )
    for name, fields in SCHEMA.items():
        message = file.message_type.add(name=name)
        for number, kind, *label in fields:
            one = message.field.add(name=f"f{number}", number=number)
            one.label = label[0] if label else SINGULAR
            if isinstance(kind, str):
                one.type, one.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".feed.{kind}"
            else:
                one.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"feed.{name}"))
        for name in SCHEMA
    }


MESSAGES = _messages()
whole = st.integers(0, 2**64 - 1) | st.integers(0, 300) | st.sampled_from([2**63, 2**32, 2**7])
text = st.text(max_size=30)
ticker = st.from_regex(r"[A-Z0-9]{4}", fullmatch=True)


@given(whole)
@example(0)
@example(2**64 - 1)
def test_a_varint_is_the_packages_and_comes_back(value) -> None:
    encoded = _encode_varint(value)
    assert b"\x08" + encoded == MESSAGES["Flat"](f1=value).SerializeToString() or value == 0
    assert _decode_varint(b"\xff" + encoded + b"\x01", 1) == (value, 1 + len(encoded))


@pytest.mark.parametrize("value", [-1, 2**64, -(2**63)])
def test_a_number_beyond_64_bits_is_refused(value) -> None:
    with pytest.raises(ValueError, match="64-bit"):
        _encode_varint(value)


@pytest.mark.parametrize(
    "raw", [b"", b"\x80", b"\xff" * 9, b"\xff" * 10 + b"\x01", b"\x80" * 20]
)
def test_a_varint_without_an_end_is_a_decode_error(raw) -> None:
    with pytest.raises(DecodeError, match="varint"):
        _decode_varint(raw)


def package_fields(raw):
    """The fields as the package sees them; None for what it refuses."""
    message = Empty()
    try:
        message.ParseFromString(raw)
    except PackageDecodeError:
        return None
    sizes = {FIXED64: 8, FIXED32: 4}
    return [
        Field(
            one.field_number,
            one.wire_type,
            one.data.to_bytes(sizes[one.wire_type], "little")
            if one.wire_type in sizes
            else one.data,
        )
        for one in UnknownFieldSet(message)
    ]


def our_fields(raw):
    try:
        return decode_fields(raw)
    except DecodeError:
        return None


def is_beyond(fields):
    """Groups, and field numbers that the encoding forbids and the package lets through."""
    return any(
        one.wire_type not in {VARINT, FIXED64, LENGTH, FIXED32} or not 1 <= one.number < 2**29
        for one in fields
    )


@given(st.binary(max_size=40))
@example(b"\x08" + b"\x80" * 9 + b"\x01")
@example(b"\x08" + b"\x80" * 9 + b"\x02")
@example(b"\x80\x80\x80\x80\x10\x01")
@example(b"\x00\x01")
@example(b"\x0a\x05abc")
def test_any_bytes_are_the_same_fields_or_refused_by_both(raw) -> None:
    theirs, ours = package_fields(raw), our_fields(raw)
    if theirs is None or is_beyond(theirs):
        assert ours is None
    else:
        assert ours == theirs


field = st.tuples(
    st.integers(1, 2**29 - 1) | st.integers(1, 30),
    st.one_of(
        st.tuples(st.just(VARINT), whole),
        st.tuples(st.just(FIXED64), st.binary(min_size=8, max_size=8)),
        st.tuples(st.just(LENGTH), st.binary(max_size=300)),
        st.tuples(st.just(FIXED32), st.binary(min_size=4, max_size=4)),
    ),
)


@given(st.lists(field, max_size=8), st.integers(0, 400))
def test_fields_of_every_wire_type_are_read_as_the_package_reads_them(fields, cut) -> None:
    raw = b"".join(
        encode_field(number, value)
        if kind in {VARINT, LENGTH}
        else _encode_varint(number << 3 | kind) + value
        for number, (kind, value) in fields
    )
    expected = [Field(number, kind, value) for number, (kind, value) in fields]
    assert decode_fields(raw) == expected == package_fields(raw)
    shorter = raw[:cut]
    theirs = package_fields(shorter)
    if theirs is None or not is_beyond(theirs):
        assert our_fields(shorter) == theirs


@given(whole, st.lists(ticker, min_size=1, max_size=12), text, text)
def test_the_flat_request_is_what_the_package_reads_back(user_id, tickers, key, token) -> None:
    frame = encode_websocket_request(user_id, tickers, key, token)
    seen = MESSAGES["Flat"].FromString(frame)
    assert (seen.f1, seen.f2, seen.f3) == (user_id, "".join(tickers), ":".join(tickers))
    assert seen.f4 == "".join("J" + one for one in tickers)
    assert (seen.f5, seen.f6) == (key, token)
    assert [one.number for one in decode_fields(frame)] == [1, 2, 3, 4, 5, 6]


@given(text.filter(bool), st.lists(ticker, max_size=12), text.filter(bool), text.filter(bool))
def test_the_channel_request_is_the_packages_own_bytes(user_id, tickers, key, token) -> None:
    request = MESSAGES["Request"](f1=user_id, f3=key, f5=token)
    if tickers:
        request.f2.f2.extend(tickers)
    frame = encode_channel_request(Session(user_id, key, token), tickers)
    assert frame == request.SerializeToString()


def test_the_ping_is_the_packages_own_bytes() -> None:
    request = MESSAGES["Request"]()
    request.f4.f1 = "ping"
    assert request.SerializeToString() == PING


@given(
    code=ticker,
    levels=st.lists(
        st.tuples(st.integers(1, 10**6), st.integers(0, 10**9), st.integers(0, 10**15))
    ),
    side=st.sampled_from(["BID", "OFFER"]),
    sequence=whole,
    book_id=whole,
    sent=text,
    noise=text,
)
def test_a_wrapped_book_of_the_package_is_read_with_all_its_fields(
    *, code, levels, side, sequence, book_id, sent, noise
) -> None:
    body = "|".join([f"#O|{code}|{side}", *(";".join(map(str, level)) for level in levels)])
    wrapper = MESSAGES["Wrapper"]()
    book = wrapper.f10
    book.f1, book.f2, book.f3, book.f4, book.f5, book.f6 = (
        code, body, sequence, book_id, sent, noise,
    )  # fmt: skip
    book.f7, book.f8, book.f9 = 1, 3, "14:59:11"
    book.f21, book.f22, book.f23 = 1.5, 7, noise.encode()
    book.f300.extend([noise, "x"])
    assert decode_orderbook_message(wrapper.SerializeToString()) == OrderBookMessage(
        ticker=code,
        side="BUY" if side == "BID" else "SELL",
        levels=[tuple(map(str, level)) for level in levels],
        timestamp1=sent,
        timestamp2="14:59:11",
        sequence_number=sequence,
        order_book_id=book_id,
        board=3,
        switch_reset=True,
    )
