"""A stranger on the simulated Coinbase feed: reads by json alone, prices as decimals."""

import json
from decimal import Decimal

import websocket


class Client:
    """A stranger: reads by json alone, keeps prices as decimals."""

    def __init__(self, exchange):
        self.socket = exchange.connect("/")
        self.messages = []
        self.frames = []

    def send(self, **message):
        self.socket.send(json.dumps(message))

    def read(self):
        frame = self.socket.recv()
        self.frames.append(frame.encode())
        self.messages.append(json.loads(frame))
        return self.messages[-1]

    def until(self, wanted):
        """Read to the first message that is wanted, and return it."""
        while not wanted(message := self.read()):
            pass
        return message

    def ask(self, *channels, products=("BTC-USD",), type_="subscribe"):
        """Send a request and read to its answer."""
        self.send(type=type_, product_ids=list(products), channels=list(channels))
        return self.until(lambda message: message["type"] in ("subscriptions", "error"))

    def catch_up(self):
        """Read all that was sent before now."""
        self.ask({"name": "ticker_batch", "product_ids": ["DOGE-USD"]}, type_="unsubscribe")

    def of_type(self, *types):
        return [message for message in self.messages if message["type"] in types]

    def books(self):
        """Every product's sides by price, from the newest snapshot on."""
        books = {}
        for message in self.of_type("snapshot", "l2update"):
            if message["type"] == "snapshot":
                books[message["product_id"]] = {
                    name: {Decimal(price): Decimal(size) for price, size in message[side]}
                    for name, side in (("buy", "bids"), ("sell", "asks"))
                }
                continue
            book = books[message["product_id"]]
            for side, price, size in message["changes"]:
                book[side][Decimal(price)] = Decimal(size)
                if not Decimal(size):
                    del book[side][Decimal(price)]
            assert max(book["buy"]) < min(book["sell"])
        return books


def true_book(exchange, ticker):
    told = exchange.true_book(ticker)
    return {
        name: {Decimal(price): Decimal(size) for price, size in told[side]}
        for name, side in (("buy", "bids"), ("sell", "asks"))
    }


def names(channels):
    return {(each["name"], ticker) for each in channels for ticker in each["product_ids"]}


def read_to_the_close(client):
    while True:
        opcode, body = client.socket.recv_data(control_frame=True)
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return client.messages[-1], int.from_bytes(body[:2], "big")
        if opcode == websocket.ABNF.OPCODE_TEXT:
            client.messages.append(json.loads(body))
