"""Stockbit's messages in both layouts; any bytes give outcomes or a DecodeError."""

import contextlib
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from container_worker.exchanges import stockbit
from container_worker.exchanges.outcomes import BookState, Heartbeat, Refused, Unknown
from container_worker.exchanges.stockbit import decode
from container_worker.exchanges.stockbit.protobuf_wire import encode_field
from marketdata.errors import DecodeError
from marketdata.messages import DepthSnapshot

BODY = "BUY|8200;100;820000000|8150;50;407500000"
WIB = timezone(timedelta(hours=7))
AT_S = 1_770_175_815
"""2026-02-04T10:30:15+07:00, the guide's own moment."""
RECEIVED_NS = AT_S * 1_000_000_000 + 250_000_000


def message(fields):
    return b"".join(encode_field(number, value) for number, value in fields.items())


def flat(ticker="BBCA", body=BODY, first=AT_S, second=None, **more):
    fields = {1: ticker, 2: body, 5: first, 9: second}
    extra = {int(name[1:]): value for name, value in more.items()}
    return message({n: v for n, v in (fields | extra).items() if v is not None})


def wrapped(ticker="TLKM", body="#O|TLKM|BID|3300;288;1138300", sequence=7, **more):
    inner = {1: ticker, 2: body, 3: sequence, 4: 88, 5: "2026-09-21T14:59:11.076279+07:00"}
    inner |= {int(name[1:]): value for name, value in more.items()}
    return message({10: message({n: v for n, v in inner.items() if v is not None})})


def one(frame, received_ns=RECEIVED_NS):
    [outcome] = decode.decode_flat(frame, received_ns)
    return outcome


def test_the_guides_message_is_the_buy_side_of_its_ticker() -> None:
    assert one(flat()) == BookState(
        "ws_depth",
        "exchange",
        DepthSnapshot(
            AT_S * 1000,
            "BBCA",
            0,
            [("8200", "100", "820000000"), ("8150", "50", "407500000")],
            [],
            "stockbit",
            "b",
        ),
    )


def test_sell_and_offer_are_the_asks() -> None:
    for frame in (
        flat(body="SELL|8250;75;618750000"),
        flat(body="#O|BBCA|OFFER|8250;75;618750000"),
    ):
        book = one(frame).message
        assert (book.side, book.b, book.a) == ("a", [], [("8250", "75", "618750000")])


def test_a_wrapped_book_keeps_orders_and_shares_as_sent_and_is_numbered() -> None:
    [state] = decode.decode_channel(wrapped(), RECEIVED_NS)
    book = state.message
    assert (book.s, book.u, book.side) == ("TLKM", 7, "b")
    assert book.b == [("3300", "288", "1138300")]
    assert datetime.fromtimestamp(book.E / 1000, WIB).isoformat(timespec="milliseconds") == (
        "2026-09-21T14:59:11.076+07:00"
    )


def test_field_seven_says_that_the_numbers_begin_anew() -> None:
    for frame, resets in ((wrapped(), False), (wrapped(f7=0), False), (wrapped(f7=1), True)):
        [state] = decode.decode_channel(frame, RECEIVED_NS)
        assert state.resets is resets


def test_on_the_flat_wire_a_wrapped_book_is_read_and_not_numbered() -> None:
    assert one(wrapped()).message.u == 0


@pytest.mark.parametrize("frame", [flat(), wrapped(sequence=None), wrapped(sequence=0)])
def test_on_the_channel_wire_a_book_without_a_number_is_no_book(frame) -> None:
    with pytest.raises(DecodeError, match="sequence number"):
        decode.decode_channel(frame, RECEIVED_NS)


@pytest.mark.parametrize("body", ["BUY|", "BUY", "#O|BBCA|BID|", "#O|BBCA|BID"])
def test_an_empty_side_is_an_empty_side(body) -> None:
    book = one(flat(body=body)).message
    assert (book.side, book.b, book.a) == ("b", [], [])


def test_a_bar_at_the_end_is_no_level() -> None:
    assert one(flat(body=BODY + "|")) == one(flat())


def test_the_body_may_name_a_ticker_that_the_message_leaves_out() -> None:
    assert one(flat(ticker=None, body="#O|BBRI|BID|3780;1;2")).message.s == "BBRI"
    with pytest.raises(DecodeError, match="BBRI"):
        one(flat(body="#O|BBRI|BID|3780;1;2"))


MS = AT_S * 1000
SAME_MOMENT = [
    AT_S,
    AT_S * 1_000,
    AT_S * 1_000_000,
    AT_S * 1_000_000_000,
    str(AT_S),
    f"{AT_S}.0",
    str(AT_S * 1_000_000),
    "2026-02-04T10:30:15+07:00",
    "2026-02-04T03:30:15Z",
    "2026-02-04T03:30:15.000000+00:00",
    "2026-02-04T10:30:15",
    "2026-02-04 10:30:15",
    " 2026-02-04T10:30:15.000000000+07:00 ",
    "10:30:15",
    "10:30:15.000",
]


@pytest.mark.parametrize("stamp", SAME_MOMENT)
def test_a_time_in_every_form_is_the_same_moment(stamp) -> None:
    for frame in (flat(first=stamp), flat(first=None, second=stamp), wrapped(f5=stamp)):
        state = one(frame)
        assert (state.message.E, state.clock) == (MS, "exchange")


@pytest.mark.parametrize(
    ("stamp", "fraction"),
    [
        (AT_S * 1_000_000 + 76_279, 76),
        ("2026-02-04T10:30:15.076279+07:00", 76),
        ("2026-02-04T10:30:15.999999", 999),
        ("10:30:15.0769", 76),
        (f"{AT_S}.076279", 76),
        (f"{AT_S}.5", 500),
    ],
)
def test_fractions_are_cut_to_milliseconds(stamp, fraction) -> None:
    assert MS + fraction == one(flat(first=stamp)).message.E


@pytest.mark.parametrize(
    ("received", "sent", "expected"),
    [
        ("2026-02-04T00:00:00.2+07:00", "23:59:59", "2026-02-03T23:59:59+07:00"),
        ("2026-02-03T23:59:59.9+07:00", "00:00:00", "2026-02-04T00:00:00+07:00"),
        ("2026-02-04T06:59:59+07:00", "06:59:58", "2026-02-04T06:59:58+07:00"),
        ("2026-02-04T16:14:59+07:00", "08:45:00", "2026-02-04T08:45:00+07:00"),
    ],
)
def test_a_bare_time_of_day_is_of_the_day_that_is_nearest(received, sent, expected) -> None:
    received_ns = int(datetime.fromisoformat(received).timestamp() * 1000) * 1_000_000
    found = one(flat(first=sent), received_ns).message.E
    assert found == datetime.fromisoformat(expected).timestamp() * 1000


def test_field_5_goes_before_field_9_and_9_before_the_receipt() -> None:
    assert one(flat(first=AT_S, second=AT_S + 5)).message.E == MS
    assert one(flat(first=0, second=AT_S + 5)).message.E == MS + 5000
    assert one(flat(first="", second=AT_S + 5)).message.E == MS + 5000
    assert one(flat(first="soon", second=AT_S + 5)).message.E == MS + 5000
    state = one(flat(first=None))
    assert (state.message.E, state.clock) == (RECEIVED_NS // 1_000_000, "received")


@pytest.mark.parametrize(
    "stamp",
    ["soon", "25:00:00", "2026-02-04", "2026-13-04T10:30:15", 5, 2**64 - 1, "1", "-1770175815"],
)
def test_what_is_no_time_is_a_decode_error_and_not_the_receipt(stamp) -> None:
    with pytest.raises(DecodeError, match="is not a time"):
        one(flat(first=stamp))


def test_unknown_fields_of_every_wire_type_are_passed_over() -> None:
    noise = (
        encode_field(3, 7) + encode_field(77, "text") + encode_field(6, b"\xff\xfe")
        + b"\x61" + bytes(8) + b"\x65" + bytes(4)
    )  # fmt: skip
    assert one(noise + flat() + noise) == one(flat())
    inside = message({10: noise + message({1: "TLKM", 2: "BUY|1;2;3", 5: AT_S}) + noise})
    assert one(inside).message.b == [("1", "2", "3")]


def test_a_known_field_of_another_wire_type_counts_as_absent() -> None:
    fixed = b"\x29" + bytes(8)
    assert one(flat(first=None) + fixed).clock == "received"


@pytest.mark.parametrize(
    ("frame", "outcome"),
    [
        (message({2: message({1: "pong"})}), Heartbeat()),
        (bytes.fromhex("12060a0470696e67"), Heartbeat()),
        (message({7: message({1: 16, 2: "unauthenticated"})}), Refused("16 unauthenticated")),
        (message({1: message({2: "BBCA"})}), Unknown("running_trade was not asked for")),
        (message({8: b""}), Unknown("running_trade_batch was not asked for")),
        (message({9: message({1: "BBCA"})}), Unknown("liveprice was not asked for")),
        (message({6: b""}), Unknown("order_book_body was not asked for")),
        (message({12: b""}), Unknown("intraday was not asked for")),
        (message({40: 1}), Unknown("field 40 was not asked for")),
        (b"", Unknown("an empty message")),
    ],
)
def test_what_is_no_book_is_named(frame, outcome) -> None:
    assert one(frame) == outcome


@pytest.mark.parametrize(
    "frame",
    [
        flat(body="HOLD|8200;1;2"),
        flat(body="8200;100;820000000"),
        flat(body="buy|8200;1;2"),
        flat(body="BUY|8200;100"),
        flat(body="BUY|8200;100;1;2"),
        flat(body="BUY|8200"),
        flat(body="BUY|8200;ten;2"),
        flat(body="BUY|8200;;2"),
        flat(body="BUY|8200;-1;2"),
        flat(body="BUY|-8200;1;2"),
        flat(body="BUY|8200;NaN;2"),
        flat(body="BUY|8200;1;Infinity"),
        flat(body="BUY|8200;1;1e999"),
        flat(body="BUY|8200,1,2"),
        flat(body="#O|BBCA|8200;1;2"),
        flat(body="#O|"),
        flat(ticker="", body=BODY),
        flat(ticker="BB CA"),
        flat(ticker="bbca"),
        flat(ticker="X" * 40),
        flat(ticker=b"\xff\xfe\xfd\xfc"),
        flat(body=b"BUY|\xff"),
        flat()[:-1],
        flat()[:20],
        message({10: b"\x0a"}),
        wrapped() + wrapped(),
        b"\x0b\x0c",
        b"{}",
        b"\xff" * 50,
    ],
)
def test_what_is_not_what_it_says_is_a_decode_error(frame) -> None:
    with pytest.raises(DecodeError) as caught:
        one(frame)
    assert caught.value.reason
    assert len(caught.value.reason) < 200


def test_numbers_keep_their_digits_and_exponents_are_written_out() -> None:
    body = "BUY|8200.50;1E+2;123456789012345678901234567890|0;0;0|8.2e-3;1;2"
    assert one(flat(body=body)).message.b == [
        ("8200.50", "100", "123456789012345678901234567890"),
        ("0", "0", "0"),
        ("0.0082", "1", "2"),
    ]


number = st.integers(0, 10**12).map(str) | st.decimals(0, 10**9, places=2).map(str)
levels = st.lists(st.tuples(number, number, number), max_size=30)


@given(levels, st.sampled_from(["BUY", "SELL", "#O|BBCA|BID", "#O|BBCA|OFFER"]))
def test_levels_come_in_the_messages_order_with_every_digit(rows, words) -> None:
    body = words + "".join("|" + ";".join(row) for row in rows)
    book = one(flat(body=body)).message
    mine, other = (book.b, book.a) if words in {"BUY", "#O|BBCA|BID"} else (book.a, book.b)
    assert (mine, other) == (rows, [])


@given(st.binary(max_size=200), st.integers(0, 2**62))
@example(flat(), 0)
def test_any_bytes_give_outcomes_or_a_decode_error(raw, received_ns) -> None:
    for read in (decode.decode_flat, decode.decode_channel):
        for frame in (raw, flat() + raw, message({10: raw}), message({1: "BBCA", 2: raw})):
            with contextlib.suppress(DecodeError):
                assert read(frame, received_ns % 4_102_444_800_000_000_000)


@given(st.text(alphabet="BUYSEL|;#O0123456789.-eE", max_size=60), st.text(max_size=30))
def test_any_body_and_any_time_give_outcomes_or_a_decode_error(body, stamp) -> None:
    with contextlib.suppress(DecodeError):
        assert one(flat(body=body, first=stamp))


def test_a_share_is_its_own_symbol_and_what_is_no_code_is_nothing() -> None:
    adapter = stockbit.ADAPTER
    assert adapter.instrument("BBCA").symbol == "BBCA"
    assert adapter.instrument("BBCA-W").names == ("BBCA-W",)
    for name in ("", "bbca", "BBCA/IDR", "BB CA", "B", "BBCA:TLKM", "X" * 20):
        assert adapter.instrument(name) is None
