"""A stranger's client of Blockchain.com's socket: it keeps what it hears, numbers are exact."""

import json
from decimal import Decimal

PATH = "/mercury-gateway/v1/ws"
ORIGIN = "https://exchange.blockchain.com"


class Client:
    """A connection that keeps what it hears; numbers are exact."""

    def __init__(self, exchange, origin=ORIGIN):
        self.exchange = exchange
        self.socket = exchange.connect(PATH, origin=origin)
        self.raw, self.heard = [], []

    def ask(self, channel, symbol=None, action="subscribe", **more):
        message = {"action": action, "channel": channel, **more}
        self.socket.send(json.dumps(message | ({"symbol": symbol} if symbol else {})))
        return self

    def next(self):
        self.raw.append(self.socket.recv())
        self.heard.append(json.loads(self.raw[-1], parse_float=Decimal))
        return self.heard[-1]

    def until(self, **members):
        """The next message with these members."""
        while not members.items() <= self.next().items():
            pass
        return self.heard[-1]

    def drain(self):
        """All that was due when time was stopped."""
        self.exchange.pause()
        return self.rest()

    def rest(self):
        """All that was sent before the answer to a message without an action."""
        self.ask("mark", action=None)
        self.until(event="rejected", channel="mark")
        return self.heard

    def of(self, channel, symbol=None):
        return [
            each
            for each in self.heard
            if each["channel"] == channel
            and each["event"] in {"snapshot", "updated"}
            and symbol in {None, each.get("symbol")}
        ]


def book_of(messages):
    """Both sides by the document's rules; a removal of what is not there is an error."""
    sides = {"bids": {}, "asks": {}}
    for message in messages:
        for name, side in sides.items():
            if message["event"] == "snapshot":
                side.clear()
            for level in message[name]:
                price, quantity = Decimal(level["px"]), Decimal(level["qty"])
                if quantity:
                    side[price] = quantity
                else:
                    del side[price]
        if sides["bids"] and sides["asks"]:
            assert max(sides["bids"]) < min(sides["asks"])
    return sides


def told(book):
    """A book of `/_control/book` in the same form."""
    return {
        name: {Decimal(price): Decimal(quantity) for price, quantity in book[name]}
        for name in ("bids", "asks")
    }
