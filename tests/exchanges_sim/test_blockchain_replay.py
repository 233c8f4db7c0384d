"""Blockchain.com's recorded traffic served again: books, times, ids, rounds, late ones."""

import gzip
import importlib.util
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest

from local.exchanges.blockchain.tape import Tape
from marketdata.errors import InputError
from marketdata.raw_tape import RawLine, TapeHeader, encode_header, encode_line
from marketdata.times import parse_iso_ms

spec = importlib.util.spec_from_file_location(
    "blockchain_client", Path(__file__).with_name("blockchain_client.py")
)
client = importlib.util.module_from_spec(spec)
spec.loader.exec_module(client)
Client, book_of, told = client.Client, client.book_of, client.told

FILES = ("BLOCKCHAIN_2021-04-17.ws.23.0", "BLOCKCHAIN_2021-07-22.ws.1.0")
SECOND_NS = 10**9
START_NS = 1_589_135_580 * SECOND_NS


def recorded(path):
    """The messages of a cryptofeed file that are about books, by its own format."""
    for line in path.read_text().splitlines():
        found = re.match(r"[\d.]+: (\{.*)", line)
        if found:
            message = json.loads(found[1], parse_float=Decimal)
            if message["event"] != "subscribed":
                yield message


def without_number(message):
    return {name: value for name, value in message.items() if name != "seqnum"}


@pytest.mark.recordings
@pytest.mark.parametrize("name", FILES)
def test_a_recording_is_told_whole_and_once(
    start_exchange, recordings, wait_until, name
) -> None:
    path = recordings / "cryptofeed" / name
    exchange = start_exchange("--replay", path, "--once", "--speed", "max", name="blockchain")
    sent = [without_number(message) for message in recorded(path)]
    listener = Client(exchange).ask("heartbeat")
    for ticker in dict.fromkeys(message["symbol"] for message in sent):
        listener.ask("trades", ticker).ask("l2", ticker)
    wait_until(lambda: exchange.status()["done"], what="the end of the tape")
    heard = listener.rest()
    assert [each["seqnum"] for each in heard] == list(range(len(heard)))
    assert [without_number(message) for message in listener.of("l2")] == sent
    for ticker in exchange.status()["tickers"]:
        mine = [message for message in sent if message["symbol"] == ticker]
        assert told(exchange.true_book(ticker)) == book_of(mine)
    listed = exchange.get("/mercury-gateway/v1/instruments")
    assert len(listed) in {59, 78}
    assert listed[0]["symbol"] == "LTC-BTC"


@pytest.mark.recordings
def test_who_comes_late_gets_the_book_of_that_moment_and_then_what_was_recorded(
    start_exchange, recordings, wait_until
) -> None:
    path = recordings / "cryptofeed" / FILES[0]
    options = ("--once", "--speed", "20", "--set", "blockchain.subscribe_wait=0")
    exchange = start_exchange("--replay", path, *options, name="blockchain")
    first = Client(exchange).ask("l2", "ETH-USDT")
    for _ in range(20):
        first.until(event="updated")
    late = Client(exchange).ask("l2", "ETH-USDT")
    late.until(event="updated")
    wait_until(lambda: exchange.status()["done"], what="the end of the tape")
    for each in (first, late):
        each.rest()
        [begins] = [message for message in each.of("l2") if message["event"] == "snapshot"]
        assert begins == each.of("l2")[0]
        assert book_of(each.of("l2")) == told(exchange.true_book("ETH-USDT"))
    assert len(late.of("l2")) < len(first.of("l2"))


@pytest.mark.recordings
def test_a_tape_goes_round_with_later_times_and_without_a_second_snapshot(
    start_exchange, recordings
) -> None:
    path = recordings / "cryptofeed" / FILES[1]
    options = ("--speed", "max", "--retime", "--set", "blockchain.subscribe_wait=0")
    exchange = start_exchange("--replay", path, *options, name="blockchain")
    begun_ms = exchange.status()["time_ms"]
    listener = Client(exchange).ask("l2", "ALGO-BTC")
    while exchange.status()["rounds"] < 3:
        for _ in range(50):
            listener.until(event="updated")
    listener.drain()
    messages = listener.of("l2")
    assert [each["event"] for each in messages].count("snapshot") == 1
    assert book_of(messages) == told(exchange.true_book("ALGO-BTC"))
    times = [parse_iso_ms(each["timestamp"]) for each in messages]
    assert times == sorted(times)
    assert abs(times[0] - begun_ms) < 1_000
    assert times[-1] - times[0] > 3 * 29_000


def tape(folder, *messages):
    """A recording in Tapedeck's own format, a second between its messages."""
    lines = [encode_header(TapeHeader(1, "blockchain", "wss://x", "https://y"))]
    for number, message in enumerate(messages):
        text = message if isinstance(message, bytes) else json.dumps(message).encode()
        lines.append(encode_line(RawLine(START_NS + number * SECOND_NS, "frame", 1, text)))
    path = folder / "blockchain_20200510T183300Z.tape.gz"
    path.write_bytes(gzip.compress(b"".join(lines)))
    return path


def updated(number, channel, **members):
    return {"seqnum": number, "event": "updated", "channel": channel, **members}


BTC = {"symbol": "BTC-USD"}
TRADE = {**BTC, "timestamp": "2020-05-10T18:33:00.696315Z", "side": "buy", "qty": 0.5}
SHORT = (
    {"seqnum": 0, "event": "subscribed", "channel": "heartbeat"},
    {"seqnum": 1, "event": "subscribed", "channel": "prices", **BTC, "granularity": 60},
    {"seqnum": 2, "event": "snapshot", "channel": "ticker", **BTC, "last_trade_price": 8495.5},
    updated(3, "trades", **TRADE, price=8501.1, trade_id="12886314421"),
    updated(4, "ticker", **BTC, last_trade_price=8501.1),
    updated(5, "prices", **BTC, price=[1589135580000, 8506.3, 8506.3, 8495.5, 8501.1, 0.5]),
    updated(6, "heartbeat", timestamp="2020-05-10T18:33:05.673134Z"),
    updated(7, "trades", **TRADE, price=8500.1, trade_id="12886314423"),
)


def test_trades_candles_and_the_ticker_of_our_own_recording_go_round_with_new_ids(
    start_exchange, tmp_path
) -> None:
    path = tape(tmp_path, *SHORT)
    exchange = start_exchange("--replay", path, "--speed", "max", name="blockchain")
    listener = Client(exchange).ask("heartbeat").ask("ticker", "BTC-USD")
    listener.ask("prices", "BTC-USD", granularity=60).ask("trades", "BTC-USD")
    while len(listener.of("prices")) < 3:
        listener.next()
    ids = [int(message["trade_id"]) for message in listener.of("trades")][:4]
    assert ids == [12886314421, 12886314423, 12886314424, 12886314426]
    starts = [message["price"][0] for message in listener.of("prices")]
    assert starts[0] == 1589135580000
    assert all(start % 60_000 == 0 for start in starts)
    assert starts == sorted(set(starts))
    times = [parse_iso_ms(message["timestamp"]) for message in listener.of("trades")]
    assert times[2] - times[0] == starts[1] - starts[0]
    assert times[0] == parse_iso_ms("2020-05-10T18:33:00.696Z")
    assert listener.of("ticker")[1]["last_trade_price"] == Decimal("8501.1")
    late = Client(exchange).ask("ticker", "BTC-USD").until(event="snapshot")
    assert late["last_trade_price"] in {Decimal("8501.1"), Decimal("8495.5")}


def test_what_a_book_has_before_its_snapshot_is_passed_over(tmp_path) -> None:
    level = {"bids": [{"px": 1.5, "qty": 2.0, "num": 1}], "asks": []}
    snapshot = {"event": "snapshot", "channel": "l2", **BTC, "bids": [], "asks": []}
    played = Tape([tape(tmp_path, updated(0, "l2", **BTC, **level), snapshot)])
    frames = [list(played.play(record)) for record in played.records()]
    assert [len(each) for each in frames] == [0, 1]
    assert played.ladder("BTC-USD").count(0) == 0


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([b"not json"], "line 2 of the recording is no message of Blockchain.com"),
        ([{"event": "subscribed", "channel": "l2"}], "there is no market data"),
        ([], "there is no market data"),
    ],
)
def test_what_cannot_be_played_is_said_in_one_sentence(tmp_path, messages, words) -> None:
    with pytest.raises(InputError, match=words):
        Tape([tape(tmp_path, *messages)])


@pytest.mark.parametrize("level", [{"px": "x", "qty": 1}, {"px": None, "qty": 1}, {"qty": 1}])
def test_a_level_that_is_none_is_named_by_its_line(tmp_path, level) -> None:
    snapshot = {"event": "snapshot", "channel": "l2", **BTC, "bids": [level], "asks": []}
    played = Tape([tape(tmp_path, snapshot)])
    [record] = played.records()
    with pytest.raises(InputError, match="line 2"):
        played.play(record)
