"""The documented procedure over real sockets arrives at the true book, at every id."""

import json

TICKERS = ("BTCUSDT", "ETHUSDT", "XRPUSDT")


def follow(exchange, followers, socket, events):
    """Feed the followers, each with a snapshot once it has an event."""
    for _ in range(events):
        message = json.loads(socket.recv())["data"]
        follower = followers[message["s"]]
        follower.event(message)
        while follower.last is None and not follower.snapshot(exchange.depth(message["s"])):
            follower.event(json.loads(socket.recv())["data"])


def test_followed_books_equal_the_true_books_at_many_ids(start_exchange, make_follower):
    exchange = start_exchange("--seed", "42", "--speed", "5")
    followers = {ticker: make_follower() for ticker in TICKERS}
    names = "/".join(f"{ticker.lower()}@depth@100ms" for ticker in TICKERS)
    socket = exchange.connect(f"/stream?streams={names}")
    for _ in range(15):
        follow(exchange, followers, socket, 20)
        for ticker, follower in followers.items():
            if follower.last is not None:
                assert follower.book() == exchange.true_book(ticker, follower.last)
                assert not follower.crossed()
    assert all(len(follower.applied) > 60 for follower in followers.values())
    assert all(follower.gaps == [] for follower in followers.values())


def test_the_slow_diff_stream_makes_the_same_book(start_exchange, follower):
    exchange = start_exchange("--speed", "20")
    socket = exchange.connect("/ws/btcusdt@depth")
    follower.event(json.loads(socket.recv()))
    assert follower.snapshot(exchange.depth("BTCUSDT"))
    for _ in range(20):
        follower.event(json.loads(socket.recv()))
    assert follower.gaps == []
    assert follower.book() == exchange.true_book("BTCUSDT", follower.last)


def test_a_snapshot_may_lie_inside_an_event(start_exchange, make_follower):
    exchange = start_exchange("--weight-per-minute", "100000")
    socket = exchange.connect("/stream?streams=btcusdt@depth@100ms/btcusdt@bookTicker")

    def receive():
        return json.loads(socket.recv())["data"]

    def between_two_events():
        """Until the market has moved since the last diff, as the best prices' stream tells."""
        diffed = None
        while True:
            message = receive()
            if "e" in message:
                diffed = message["u"]
            elif diffed is not None and message["u"] > diffed:
                return

    inside, tries = 0, 0
    while not inside and tries < 50:
        tries += 1
        between_two_events()
        snapshot, follower = exchange.depth("BTCUSDT"), make_follower()
        while follower.last is None or follower.last <= snapshot["lastUpdateId"]:
            event = receive()
            if "e" not in event:
                continue
            inside += event["U"] <= snapshot["lastUpdateId"] < event["u"]
            if follower.last is None:
                assert follower.snapshot(snapshot)
            follower.event(event)
        assert follower.gaps == []
        assert follower.book() == exchange.true_book("BTCUSDT", follower.last)
    assert inside


def test_the_whole_book_is_deeper_than_a_thousand_levels(exchange):
    book = exchange.depth("ETHUSDT", 5000)
    assert min(len(book["bids"]), len(book["asks"])) > 1_000
    top = exchange.depth("ETHUSDT", 1000)
    assert len(top["bids"]) == len(top["asks"]) == 1_000


def test_a_simulator_with_a_hundred_tickers_serves_them_all(start_exchange):
    exchange = start_exchange("--tickers", "BTCUSDT", "--more-tickers", "99")
    tickers = exchange.status()["tickers"]
    assert len(tickers) == 100
    names = "/".join(f"{ticker.lower()}@depth20@100ms" for ticker in tickers)
    socket = exchange.connect(f"/stream?streams={names}")
    seen = set()
    while len(seen) < 100:
        seen.add(json.loads(socket.recv())["stream"])


def test_the_market_as_fast_as_the_reader_takes_it_loses_nothing(start_exchange, follower):
    exchange = start_exchange("--speed", "max", "--tickers", "BTCUSDT")
    before = exchange.status()["time_ms"]
    socket = exchange.connect("/ws/btcusdt@depth@100ms/btcusdt@trade")
    follower.event(json.loads(next_diff(socket)))
    snapshot = exchange.depth("BTCUSDT")
    while follower.last is None or follower.last < snapshot["lastUpdateId"] + 30_000:
        if follower.last is None and follower.waiting:
            assert follower.snapshot(snapshot)
        follower.event(json.loads(next_diff(socket)))
    assert follower.gaps == []
    assert exchange.status()["time_ms"] > before + 100_000


def next_diff(socket):
    while True:
        text = socket.recv()
        if "depthUpdate" in text:
            return text
