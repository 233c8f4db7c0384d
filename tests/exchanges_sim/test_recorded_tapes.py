"""The real recordings, played at full speed over real sockets."""

import gzip
import json
from decimal import Decimal

import pytest


def recorded(paths, streams):
    """The `data` of every recorded frame of some streams, as bytes, by stream."""
    found = {stream: [] for stream in streams}
    for path in paths:
        for text in gzip.decompress(path.read_bytes()).splitlines():
            body = text.partition(b" ")[2]
            if body.startswith(b'{"stream":"'):
                stream, _, rest = body[11:].partition(b'","data":')
                if stream.decode() in found:
                    found[stream.decode()].append(rest[:-1])
    return found


@pytest.mark.recordings
def test_both_hftbacktest_files_arrive_whole_and_byte_for_byte(
    start_exchange, hft_recordings, follower, wait_until
):
    streams = ("btcusdt@depth@100ms", "btcusdt@trade")
    expected = recorded(sorted(hft_recordings.iterdir()), streams)
    total = sum(map(len, expected.values()))
    assert total == 3451 + 9757 + 3044 + 10147
    exchange = start_exchange("--replay", hft_recordings, "--speed", "max", "--once")
    socket = exchange.connect(f"/stream?streams={'/'.join(streams)}")
    arrived = {stream: [] for stream in streams}
    asked = False
    for _ in range(total):
        _, frame = socket.recv_data()
        stream, _, rest = frame[11:].partition(b'","data":')
        arrived[stream.decode()].append(rest[:-1])
        if stream == b"btcusdt@depth@100ms":
            follower.event(json.loads(rest[:-1]))
            if not asked:
                asked = True
                assert follower.snapshot(exchange.depth("BTCUSDT"))
    assert arrived == expected
    wait_until(lambda: exchange.status()["done"], what="the end")
    assert follower.gaps == []
    assert len(follower.applied) == 3451 + 3044 - 2
    assert follower.book() == exchange.true_book("BTCUSDT", follower.last)
    trades = [json.loads(data)["t"] for data in arrived["btcusdt@trade"]]
    assert trades == list(range(trades[0], trades[0] + len(trades)))


@pytest.mark.recordings
@pytest.mark.parametrize(
    ("name", "tickers"),
    [("BINANCE_2021-04-17", 10), ("BINANCE_2021-10-12", 4), ("BINANCE_US_2021-10-12", 4)],
)
def test_cryptofeed_pairs_are_followed_through_two_rounds(
    start_exchange, recordings, make_follower, name, tickers
):
    path = recordings / "cryptofeed" / f"{name}.ws.1.0"
    exchange = start_exchange("--replay", path, "--speed", "max")
    names = exchange.status()["tickers"]
    assert len(names) == tickers
    socket = exchange.connect(
        "/stream?streams=" + "/".join(f"{t.lower()}@depth@100ms" for t in names)
    )
    followers = {ticker: make_follower() for ticker in names}
    while exchange_rounds(followers) < 2:
        event = json.loads(socket.recv())["data"]
        follower = followers[event["s"]]
        follower.event(event)
        if follower.last is None:
            assert follower.snapshot(exchange.depth(event["s"]))
        follower.times = [*getattr(follower, "times", []), event["E"]]
    for ticker, follower in followers.items():
        assert follower.gaps == []
        assert not follower.crossed()
        assert exchange.true_book(ticker, follower.last) == follower.book()
        assert follower.times == sorted(follower.times)


def exchange_rounds(followers):
    """How many minutes of event time every book has lived through; a round is one."""
    spans = [
        (follower.times[-1] - follower.times[0]) // 60_000 if hasattr(follower, "times") else 0
        for follower in followers.values()
    ]
    return min(spans)


@pytest.mark.recordings
def test_recorded_exchange_info_is_served(start_exchange, recordings):
    path = recordings / "cryptofeed" / "BINANCE_2021-10-12.ws.1.0"
    exchange = start_exchange("--replay", path)
    items = exchange.get("/api/v3/exchangeInfo")["symbols"]
    assert [item["symbol"] for item in items] == ["BLZETH", "LRCBTC", "NKNUSDT", "RUNEEUR"]
    steps = {
        item["symbol"]: Decimal(each["stepSize"])
        for item in items
        for each in item["filters"]
        if each["filterType"] == "LOT_SIZE"
    }
    assert steps["RUNEEUR"] == Decimal("0.1")
    assert len(items[0]["orderTypes"]) == 5
