"""The exchanges end and start again with `--state`: on the wire their ids go on.

One process serves all four, each is read by its own protocol. Time stands still without a
subscriber, so that what comes first after a start is known.
"""

import contextlib
import json
import subprocess
import sys
import time
import urllib.request

import pytest
import websocket

from container_worker.exchanges.stockbit.protobuf_wire import decode_fields, encode_field
from local.exchanges.port_table import port_names
from local.exchanges.stockbit import USER_ID, demo_token
from local.exchanges.stockbit.credentials import trading_key

EXCHANGES = ("binance", "coinbase", "blockchain", "stockbit")
TICKERS = dict(zip(EXCHANGES, ("BTCUSDT", "BTC-USD", "BTC-USD", "BBCA"), strict=True))
BLOCKCHAIN = {"origin": "https://exchange.blockchain.com"}
BOOK, SEQUENCE_NUMBER = 10, 3


class Served:
    """All four exchanges in one process, as a stranger reads them."""

    def __init__(self, state, *more):
        command = [sys.executable, "-m", "local.exchanges", "--exchanges", ",".join(EXCHANGES)]
        command += ["--state", str(state), "--wait-for-subscriber", "--speed", "4", *more]
        for name in port_names(EXCHANGES):
            command += [f"--{name.replace('_', '-')}-port", "0"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.log = []
        while not self.log or self.log[-1]["event"] != "ready":
            self.log.append(json.loads(self.process.stderr.readline()))
        self.ports = self.log[-1]
        self.sockets = []

    def get(self, exchange, path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports[f'{exchange}_rest_port']}{path}",
            data=body and json.dumps(body).encode(),
            headers={"User-Agent": "stranger"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def connect(self, exchange, path, *requests, **options):
        address = f"ws://127.0.0.1:{self.ports[f'{exchange}_ws_port']}{path}"
        socket = websocket.create_connection(address, timeout=10, **options)
        for request in requests:
            if isinstance(request, bytes):
                socket.send_binary(request)
            else:
                socket.send(json.dumps(request))
        self.sockets.append(socket)
        return socket

    def sequence_numbers(self):
        """Of the messages of one share in Stockbit's wrapper."""
        token = demo_token(int(time.time()))
        fields = (1, str(USER_ID)), (3, trading_key(token)), (5, token)
        request = b"".join(encode_field(number, text.encode()) for number, text in fields)
        request += encode_field(2, encode_field(2, TICKERS["stockbit"].encode()))
        options = {"origin": "https://stockbit.com", "subprotocols": ["web"]}
        socket = self.connect("stockbit", "/ws", request, **options)
        while True:
            for field in decode_fields(socket.recv()):
                if field.number == BOOK:
                    yield next(
                        each.value
                        for each in decode_fields(field.value)
                        if each.number == SEQUENCE_NUMBER
                    )

    def blockchain(self, channel):
        request = {"action": "subscribe", "channel": channel, "symbol": TICKERS["blockchain"]}
        path = "/mercury-gateway/v1/ws"
        socket = self.connect("blockchain", path, request, **BLOCKCHAIN)
        while True:
            message = json.loads(socket.recv())
            if message["event"] in ("snapshot", "updated"):
                yield message

    def coinbase(self, kind):
        request = {"type": "subscribe", "product_ids": ["BTC-USD"], "channels": [kind]}
        socket = self.connect("coinbase", "/", request)
        while True:
            message = json.loads(socket.recv())
            if message["type"] != "subscriptions":
                yield message

    def order_ids(self):
        """Of the orders in Blockchain.com's level 3, newest last."""
        message = next(self.blockchain("l3"))
        return sorted(int(row["id"]) for row in (*message["bids"], *message["asks"]))

    def live(self, seconds=0.0):
        """Every market has lived, each until a trade or a statement more was seen."""
        trades = self.connect("binance", "/ws/btcusdt@trade")
        streams = (
            iter(trades.recv, None),
            (each for each in self.coinbase("matches") if each["type"] == "match"),
            (each for each in self.blockchain("trades") if each["event"] == "updated"),
            self.sequence_numbers(),
        )
        began = time.monotonic()
        for stream in streams:
            next(stream)
        while time.monotonic() < began + seconds:
            trades.recv()

    def stand(self):
        """Every clock stands; the last ids of each exchange."""
        for exchange in EXCHANGES:
            self.get(exchange, "/_control/clock", {"paused": True})
        told = {name: self.get(name, "/_control/status")["last_ids"] for name in EXCHANGES}
        return {name: told[name][ticker] for name, ticker in TICKERS.items()}

    def disconnect(self):
        for socket in self.sockets:
            with contextlib.suppress(OSError, websocket.WebSocketException):
                socket.shutdown()

    def end(self, *, kill=False):
        self.disconnect()
        (self.process.kill if kill else self.process.terminate)()
        rest = self.process.communicate(timeout=10)[1]
        assert self.process.returncode == (-9 if kill else 0), rest
        assert rest == ""


def kept(state):
    return json.loads(state.read_bytes())


@pytest.fixture
def state(tmp_path):
    """The state file of the test."""
    return tmp_path / "ids.json"


@pytest.fixture
def serve(state):
    """`serve(*arguments)`: a start with the state file of the test."""
    started = []

    def start(*arguments):
        started.append(Served(state, *arguments))
        return started[-1]

    yield start
    for each in started:
        each.disconnect()
        each.process.kill()
        each.process.communicate()


def first_ids(served):
    """The first ids of each exchange as its clients are told them."""
    book = served.get("binance", "/api/v3/depth?symbol=BTCUSDT&limit=5")["lastUpdateId"]
    order = served.order_ids()[0]
    trade = json.loads(served.connect("binance", "/ws/btcusdt@trade").recv())
    match = next(each for each in served.coinbase("matches") if each["type"] == "match")
    done = next(each for each in served.blockchain("trades") if each["event"] == "updated")
    return {
        "binance": {"update_id": book, "trade_id": trade["t"]},
        "coinbase": {"trade_id": match["trade_id"], "sequence": match["sequence"]},
        "blockchain": {"trade_id": int(done["trade_id"]), "order_id": order},
        "stockbit": {"sequence_number": next(served.sequence_numbers())},
    }


def test_after_a_clean_end_every_exchange_goes_on_with_the_next_id(serve, state) -> None:
    before = serve()
    assert len(before.get("coinbase", "/products/BTC-USD/trades")) > 100
    before.live()
    orders, last = before.order_ids(), before.stand()
    aggregate = before.get("binance", "/api/v3/aggTrades?symbol=BTCUSDT&limit=1")[-1]["a"]
    before.end()
    assert kept(state)["clean"] is True

    after = serve("--seed", "2")
    assert [line["event"] for line in after.log] == ["ids_continued", "ready"]
    # From the very start on, so that a kill is not taken for a clean end.
    assert kept(state)["clean"] is False
    first = first_ids(after)
    assert first["binance"]["update_id"] == last["binance"]["update_id"] + 1
    assert first["binance"]["trade_id"] == last["binance"]["trade_id"] + 1
    assert first["coinbase"]["trade_id"] == last["coinbase"]["trade_id"] + 1
    # Its sequence also counts what no client sees.
    assert 0 < first["coinbase"]["sequence"] - last["coinbase"]["sequence"] < 10_000
    assert first["blockchain"]["trade_id"] == int(last["blockchain"]["trade_id"]) + 1
    assert first["blockchain"]["order_id"] > orders[-1]
    stated = first["stockbit"]["sequence_number"]
    assert stated == last["stockbit"]["sequence_number"] + 1
    rows = after.get("binance", "/api/v3/aggTrades?symbol=BTCUSDT&limit=1000")
    assert rows[0]["a"] == aggregate + 1
    after.end()


def test_no_made_up_trade_has_an_id_of_the_run_before_yet_candles_have_a_past(serve) -> None:
    serve().end()
    after = serve()
    last = after.get("binance", "/_control/status")["last_ids"]["BTCUSDT"]["trade_id"]
    asked = f"/api/v3/historicalTrades?symbol=BTCUSDT&fromId={last - 50}&limit=50"
    assert after.get("binance", asked) == []
    assert after.get("binance", "/api/v3/trades?symbol=BTCUSDT") == []
    assert after.get("binance", "/api/v3/aggTrades?symbol=BTCUSDT") == []
    assert after.get("coinbase", "/products/BTC-USD/trades") == []
    # Asked before there is a trade, neither has anything to begin with.
    beats, ticks = after.coinbase("heartbeat"), after.coinbase("ticker")
    told = next(beats)["last_trade_id"], next(ticks)["trade_id"]
    trades = after.get("coinbase", "/products/BTC-USD/trades")
    assert trades[-1]["trade_id"] <= told[1] <= trades[0]["trade_id"]
    assert trades[-1]["trade_id"] - 1 <= told[0]
    candles = after.get("binance", "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1000")
    assert len(candles) == 1000
    assert len(after.get("coinbase", "/products/BTC-USD/candles?granularity=60")) > 200


def test_after_a_kill_no_id_comes_twice_and_the_hole_is_small(serve) -> None:
    before = serve()
    before.live(1.2)
    orders, last = before.order_ids(), before.stand()
    before.end(kill=True)

    after = serve()
    assert after.log[0]["clean"] is False
    first = first_ids(after)
    trade_id = int(last["blockchain"]["trade_id"])
    last["blockchain"] = {"trade_id": trade_id, "order_id": orders[-1]}
    for exchange, ids in first.items():
        for name, number in ids.items():
            hole = number - last[exchange][name]
            assert 0 < hole < 200_000, (exchange, name)


def test_a_process_with_a_torn_file_starts_anew_and_then_keeps_its_own(serve, state) -> None:
    state.write_bytes(b'{"what":"ids of simula')
    began_ms = time.time_ns() // 1_000_000
    served = serve()
    assert [line["event"] for line in served.log] == ["ids_passed_over", "ready"]
    newest = served.get("coinbase", "/products/BTC-USD/trades")[0]["trade_id"]
    assert newest >= began_ms * 16
    served.end()
    assert kept(state)["clean"] is True
    assert kept(state)["ids"]["coinbase"]["BTC-USD"]["trade_id"] == newest
