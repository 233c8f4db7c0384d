"""A WebSocket and REST server on loopback that sends depth frames as fast as they are read.

It runs in a process of its own, speaks as much of Binance's protocol as a capture of one ticker
needs, and encodes nothing while it sends but ids and times: 256 frames of 20 levels a side are
made before. A first handful of frames goes out at once, the rest when the snapshot was fetched.

    python benchmarks/depth_frames.py --frames N ─► JSON lines: its addresses, when it begins
"""

import argparse
import base64
import hashlib
import http.server
import itertools
import json
import random
import socket
import sys
import threading
import time

LEVELS = 20
LADDER = 500
TEMPLATES = 256
WARM_UP = 50
BATCH = 64
FIRST_ID = 10_000_000_000
SYMBOL = "BTCUSDT"
STREAM = "btcusdt@depth@100ms"
SEED = 20240808


def side_levels(rng, sign):
    """Twenty different prices of one side near the middle, with quantities."""
    steps = sorted(rng.sample(range(1, LADDER), LEVELS))
    return [
        [f"{60_000 + sign * step * 0.01:.2f}", f"{rng.uniform(0.001, 9):.8f}"] for step in steps
    ]


def frame_templates():
    """WebSocket frames with places for E, U and u, whose widths never change."""
    rng = random.Random(SEED)
    templates = []
    for _ in range(TEMPLATES):
        bids, asks = (json.dumps(side_levels(rng, sign)) for sign in (-1, 1))
        text = (
            f'{{"stream":"{STREAM}","data":{{"e":"depthUpdate","E":%d,"s":"{SYMBOL}",'
            f'"U":%d,"u":%d,"b":{bids},"a":{asks}}}}}'
        ).replace(" ", "")
        length = len(text.encode() % (10**12, FIRST_ID, FIRST_ID))
        templates.append(b"\x81\x7e" + length.to_bytes(2, "big") + text.encode())
    return templates


class Server:
    """Serves one run of `frames` frames to the first client that subscribes."""

    def __init__(self, frames):
        self.frames = frames
        self.snapshot_fetched = threading.Event()
        self.begin = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        handler = type("Rest", (Rest,), {"frames": self})
        self.rest = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)

    def run(self):
        """Serves until the process is ended."""
        threading.Thread(target=self.rest.serve_forever, daemon=True).start()
        addresses = {
            "ws": f"ws://127.0.0.1:{self.listener.getsockname()[1]}",
            "rest": f"http://127.0.0.1:{self.rest.server_address[1]}",
        }
        say(addresses)
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        """Upgrades, waits for a subscription where none is in the path, then sends."""
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = b""
        while b"\r\n\r\n" not in request:
            request += client.recv(65536)
        client.sendall(upgrade_answer(request))
        if b"streams=" not in request.split(b"\r\n")[0]:
            asked = json.loads(read_client_frame(client))
            client.sendall(small_frame({"result": None, "id": asked["id"]}))
        threading.Thread(target=drain, args=(client,), daemon=True).start()
        with self.begin:
            self.send(client)

    def send(self, client):
        """The warm-up, then everything else as fast as the client reads."""
        templates = frame_templates()
        ids = itertools.count(FIRST_ID)
        cycle = itertools.cycle(templates)

        def batch(size):
            now_ms = int(time.time() * 1000)
            frames = ((next(cycle), next(ids)) for _ in range(size))
            return b"".join(template % (now_ms, number, number) for template, number in frames)

        client.sendall(batch(WARM_UP))
        self.snapshot_fetched.wait()
        time.sleep(1)
        say({"begun_s": time.monotonic()})
        for _ in range((self.frames - WARM_UP) // BATCH):
            client.sendall(batch(BATCH))
        client.sendall(batch((self.frames - WARM_UP) % BATCH))


class Rest(http.server.BaseHTTPRequestHandler):
    """`exchangeInfo` and `depth`."""

    protocol_version = "HTTP/1.1"
    frames = None

    def do_GET(self):
        """The list of one instrument, or a book that ends within the warm-up."""
        if "exchangeInfo" in self.path:
            self.answer({"symbols": [instrument()]})
        elif "depth" in self.path:
            bids, asks = (
                [
                    [f"{60_000 + sign * step * 0.01:.2f}", "1.00000000"]
                    for step in range(1, LADDER)
                ]
                for sign in (-1, 1)
            )
            last = FIRST_ID + WARM_UP // 2
            self.answer({"lastUpdateId": last, "bids": bids, "asks": asks})
            self.frames.snapshot_fetched.set()
        else:
            self.answer({})

    def answer(self, value):
        """One JSON answer on a connection that is kept."""
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing."""


def instrument():
    """`exchangeInfo`'s entry of the one ticker."""
    return {
        "symbol": SYMBOL,
        "status": "TRADING",
        "baseAsset": "BTC",
        "quoteAsset": "USDT",
        "isSpotTradingAllowed": True,
        "filters": [{"filterType": "PRICE_FILTER", "tickSize": "0.01"}],
    }


def upgrade_answer(request):
    """The 101 to an upgrade request."""
    lines = dict(
        line.split(b": ", 1) for line in request.split(b"\r\n")[1:] if line.count(b": ")
    )
    key = {name.lower(): value for name, value in lines.items()}[b"sec-websocket-key"]
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )


def read_client_frame(client):
    """The text of one short masked frame."""
    received = b""
    while len(received) < 6 or len(received) < header_end(received) + 4 + size_of(received):
        received += client.recv(65536)
    start = header_end(received)
    mask, body = received[start : start + 4], received[start + 4 :]
    return bytes(byte ^ mask[place % 4] for place, byte in enumerate(body))


def header_end(received):
    """Where the mask begins."""
    return 4 if received[1] & 127 == 126 else 2


def size_of(received):
    """The length of the frame's text."""
    size = received[1] & 127
    return int.from_bytes(received[2:4], "big") if size == 126 else size


def small_frame(value):
    """A short text frame."""
    body = json.dumps(value).encode()
    return bytes((0x81, len(body))) + body


def drain(client):
    """Takes pings and whatever else the client says."""
    while client.recv(65536):
        pass


def say(value):
    """One JSON line on stdout."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, required=True)
    Server(parser.parse_args().frames).run()
