"""The reader that docs/csv-format.md prints, run on the objects of a tape."""

import re
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from marketdata.archive_fold import ArchiveFold
from marketdata.archive_layout import header_of
from marketdata.archive_state import PartitionState

PAGE = Path(__file__).parents[2] / "docs" / "csv-format.md"
KEYS = {
    b"stockbit:BBCA": "stockbit/2024-08-08_BBCA.csv",
    b"stockbit:TLKM": "stockbit/2024-08-08_TLKM.csv",
    b"coinbase:BTC-USD": "coinbase/2024-08-08_BTC-USD.csv",
    b"binance:BTCUSDT": "binance/2024-08-08_BTCUSDT.ws_depth.csv",
}


@pytest.fixture(scope="module")
def book_at():
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names = {}
    exec(code, names)
    return names["book_at"]


def apply(book, message):
    """The truth, by the messages."""
    for side, name in (("b", "BUY"), ("a", "SELL")):
        if message["e"] == "depthSnapshot" and message.get("side", side) == side:
            book[name] = {}
        for price, lots, *_ in message[side]:
            if Decimal(lots):
                book[name][price] = lots
            else:
                book[name].pop(price, None)


@pytest.mark.parametrize("seed", range(8))
def test_it_finds_the_book_of_any_exchange_as_it_was(exchange_tape, book_at, tmp_path, seed):
    fold = ArchiveFold("orderbook", PartitionState())
    books = {key: {"BUY": {}, "SELL": {}} for key in KEYS}
    for topic, key, headers, value in exchange_tape(seed, 600).records:
        if topic != "orderbook":
            continue
        rows = fold.fold(key, headers, value)
        if any("2024-08-09" in one.path for one in rows):
            break
        for one in rows:
            path = tmp_path / one.path
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.write_bytes(header_of(one.path))
            with path.open("ab") as file:
                file.write(one.data)
        message = msgspec.json.decode(value)
        if rows and message["e"] in {"depthUpdate", "depthSnapshot"}:
            apply(books[key], message)
    for key, name in KEYS.items():
        path = str(tmp_path / "data" / "orderbook" / name)
        assert book_at(path, "9") == (books[key]["BUY"], books[key]["SELL"]), key
