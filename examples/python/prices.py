"""Prints live prices, and goes on where it was when the connection breaks.

    .venv/bin/python examples/python/prices.py [URL [SYMBOL…]]

The key comes from TAPEDECK_KEY; left out, it is the one of the stack on this machine.
"""

import os
import sys

import tapedeck

DEVELOPMENT_KEY = "chrono_public_dev_key_001"


def main() -> None:
    """Print until Ctrl-C."""
    url, *symbols = sys.argv[1:] or ["ws://localhost:3000/stream"]
    key = os.environ.get("TAPEDECK_KEY", DEVELOPMENT_KEY)
    with tapedeck.Client(url, key) as client:
        client.subscribe(symbols or ["BTC/USD", "ETH/USD"])
        for update in client:
            match update:
                case tapedeck.Price():
                    print(update.symbol, update.price, update.source, flush=True)
                case tapedeck.Lost():
                    print("some updates are missing here:", update.cause, file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
