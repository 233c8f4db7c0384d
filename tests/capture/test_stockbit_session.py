"""Who asks Stockbit: token, user id, trading key; the request frames; no secret is shown."""

import base64
import json

import pytest

from container_worker.exchanges import stockbit
from container_worker.exchanges.adapter import NOBODY, Channel, Session
from container_worker.exchanges.stockbit import subscribe
from container_worker.exchanges.stockbit.protobuf_wire import decode_fields
from marketdata.errors import BadCredential, ExchangeUnavailable

NOW_S = 1_770_175_815
KEY = b'{"message":"Successfully get key","data":{"key":"vq3bj6Zxv6e"}}'
TICKERS = ["BBCA", "TLKM", "BBRI"]
FLAT, CHANNEL = stockbit.ADAPTER.variants["flat"], stockbit.ADAPTER.variants["channel"]


def encoded(part):
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def jwt(payload, signature="c2lnbmF0dXJl"):
    return f"{encoded({'alg': 'RS256', 'typ': 'JWT'})}.{encoded(payload)}.{signature}"


def claims(**changed):
    return {
        "data": {"uid": 4826457, "use": "x"},
        "exp": NOW_S + 3600,
        "iss": "STOCKBIT",
    } | changed


def open_with(token, answer=KEY):
    asked = []

    def get(request):
        asked.append(request)
        if isinstance(answer, bytes):
            return answer
        raise answer

    return stockbit.ADAPTER.open_session(token, get, NOW_S), asked


def test_a_session_has_the_user_of_the_token_and_the_key_of_the_rest_interface() -> None:
    token = jwt(claims())
    session, [request] = open_with(token)
    assert session == Session("4826457", "vq3bj6Zxv6e", token, NOW_S + 3600)
    assert (request.path, dict(request.headers), request.body) == (
        "/auth/websocket/key",
        {"Authorization": f"Bearer {token}"},
        None,
    )


@pytest.mark.parametrize(
    ("changed", "user", "expires_s"),
    [
        ({"data": {"uid": "4826457"}}, "4826457", NOW_S + 3600),
        ({"exp": NOW_S + 0.5}, "4826457", None),
        ({"exp": None}, "4826457", None),
        ({"exp": NOW_S + 1}, "4826457", NOW_S + 1),
        ({"data": {"uid": 0}}, "0", NOW_S + 3600),
    ],
)
def test_the_claims_may_be_texts_or_numbers_and_may_have_no_end(
    changed, user, expires_s
) -> None:
    if changed.get("exp") == NOW_S + 0.5:
        with pytest.raises(BadCredential, match="expired"):
            open_with(jwt(claims(**changed)))
        return
    session, _ = open_with(jwt(claims(**changed)))
    assert (session.user_id, session.expires_s) == (user, expires_s)


@pytest.mark.parametrize("length", range(4))
def test_every_length_of_payload_is_read_without_its_padding(length) -> None:
    session, _ = open_with(jwt(claims(pad="~" * length + "ÿ?>")))
    assert session.user_id == "4826457"


def broken(position):
    parts = jwt(claims()).split(".")
    parts[position] = parts[position][:-2] + "+/"
    return ".".join(parts)


@pytest.mark.parametrize(
    ("token", "what"),
    [
        ("", "there is no Stockbit token"),
        ("your_bearer_token_here", "not a JWT"),
        ("a.b", "not a JWT"),
        (jwt(claims()) + "\r\nX-Evil: 1", "not a JWT"),
        (broken(1), "not a JWT"),
        ("abc.abcde.abc", "data.uid"),
        (jwt(b"\xff\xfe"), "data.uid"),
        (jwt([]), "data.uid"),
        (jwt({}), "data.uid"),
        (jwt({"data": {"uid": None}}), "data.uid"),
        (jwt({"data": {"uid": "me"}}), "not a number"),
        (jwt({"data": {"uid": -1}}), "not a number"),
        (jwt({"data": {"uid": "²"}}), "not a number"),
        (jwt({"data": {"uid": str(2**64)}}), "not a number"),
        (jwt(claims(exp=NOW_S)), "expired at 2026-02-04T03:30:15.000Z"),
        (jwt(claims(exp=-(10**9))), "expired"),
        (jwt(claims(exp=-(10**30))), "expired"),
    ],
)
def test_a_bad_token_is_told_in_a_sentence_that_says_where_a_new_one_goes(token, what) -> None:
    with pytest.raises(BadCredential) as caught:
        open_with(token)
    text = str(caught.value)
    assert what in text
    assert all(name in text for name in ("STOCKBIT_TOKEN,", "_FILE", "_SECRET"))
    assert "eyJ" not in text
    assert "\n" not in text


def test_a_refused_token_says_where_a_new_one_goes_too() -> None:
    refusal = BadCredential("exodus.stockbit.com does not accept the credential (HTTP 401)")
    with pytest.raises(BadCredential, match=r"does not accept.*STOCKBIT_TOKEN_FILE"):
        open_with(jwt(claims()), refusal)


@pytest.mark.parametrize(
    "answer", [b"", b"{}", b'{"data":{}}', b'{"data":{"key":5}}', b"<html>", b"\xff", b"[]"]
)
def test_an_answer_without_a_key_is_worth_another_try(answer) -> None:
    with pytest.raises(ExchangeUnavailable, match="trading key"):
        open_with(jwt(claims()), answer)


def test_no_repr_of_session_or_request_or_frame_shows_token_or_key() -> None:
    token = jwt(claims())
    session, asked = open_with(token)
    channels = [Channel("BBCA", "ws_depth")]
    frames = [
        frame
        for adapter in (FLAT, CHANNEL)
        for frame in adapter.socket.subscriptions(channels, session)
    ]
    shown = repr((session, asked, frames))
    assert "eyJ" not in shown
    assert "vq3bj6Zxv6e" not in shown


def sent(adapter, session):
    channels = [Channel(ticker, "ws_depth") for ticker in TICKERS]
    subscriptions = adapter.socket.subscriptions(channels, session)
    assert all(each.awaits == frozenset() for each in subscriptions)
    return [bytes(each.payload) for each in subscriptions]


def test_the_flat_frame_is_the_guides_table() -> None:
    token = jwt(claims())
    [frame] = sent(FLAT, Session("4826457", "vq3bj6Zxv6e", token))
    assert [(field.number, field.value) for field in decode_fields(frame)] == [
        (1, 4826457),
        (2, b"BBCATLKMBBRI"),
        (3, b"BBCA:TLKM:BBRI"),
        (4, b"JBBCAJTLKMJBBRI"),
        (5, b"vq3bj6Zxv6e"),
        (6, token.encode()),
    ]
    assert frame.startswith(bytes.fromhex("08d9caa602") + b"\x12\x0cBBCATLKMBBRI\x1a\x0e")


def test_the_channel_frames_say_who_asks_and_then_what_is_wanted() -> None:
    who, what = sent(CHANNEL, Session("4826457", "key", "token"))
    as_pairs = [(field.number, field.value) for field in decode_fields(who)]
    assert as_pairs == [(1, b"4826457"), (3, b"key"), (5, b"token")]
    fields = decode_fields(what)
    assert [field.number for field in fields] == [1, 2, 3, 5]
    assert [(one.number, one.value) for one in decode_fields(fields[1].value)] == [
        (2, ticker.encode()) for ticker in TICKERS
    ]


def test_all_tickers_of_a_socket_are_in_one_frame() -> None:
    limits = stockbit.ADAPTER.limits
    assert limits.streams_per_request == limits.streams_per_socket
    channels = [Channel(f"T{n}", "ws_depth") for n in range(limits.streams_per_socket)]
    assert len(FLAT.socket.subscriptions(channels, NOBODY)) == 1
    assert len(CHANNEL.socket.subscriptions(channels, NOBODY)) == 2


def test_the_wires_differ_in_numbers_protocol_and_ping() -> None:
    assert FLAT.numbering == {"ws_depth": "ours"} == stockbit.ADAPTER.numbering
    assert CHANNEL.numbering == {"ws_depth": "exchange"}
    assert (FLAT.socket.subprotocols, CHANNEL.socket.subprotocols) == ((), ("web",))
    assert tuple(FLAT.socket.keep_alive) == (30.0, None)
    assert tuple(CHANNEL.socket.keep_alive) == (15.0, bytes.fromhex("22060a0470696e67"))
    for adapter in (FLAT, CHANNEL):
        assert adapter.socket.origin == "https://stockbit.com"
        assert dict(adapter.socket.headers)["User-Agent"].startswith("Mozilla/5.0")
        assert adapter.socket.resubscribe(Channel("BBCA", "ws_depth"), NOBODY) == []


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("wss://wss-jkt.trading.stockbit.com/ws", "wss://wss-jkt.trading.stockbit.com/ws"),
        ("wss://wss-trading.stockbit.com", "wss://wss-trading.stockbit.com/ws"),
        ("ws://127.0.0.1:19449/", "ws://127.0.0.1:19449/ws"),
    ],
)
def test_the_socket_is_at_the_base_url(base, url) -> None:
    assert subscribe.socket_url(base) == url
