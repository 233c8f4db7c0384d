"""A number of thousands of digits: refused where it comes in, passed over by the archive."""

import pytest

from container_worker.exchanges import REGISTRY
from container_worker.exchanges.stockbit.protobuf_wire import encode_field
from marketdata import codec
from marketdata.archive_fold import ArchiveFold
from marketdata.archive_state import PartitionState
from marketdata.errors import DecodeError
from marketdata.messages import DepthSnapshot, DepthUpdate

LONG = "1" * 5000
NOW_MS = 1_700_000_000_000


def binance(number):
    return (
        '{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1700000000000,'
        f'"s":"BTCUSDT","U":5,"u":6,"b":[["{number}","1.00000000"]],"a":[]}}}}'
    ).encode()


def coinbase(number):
    return (
        '{"type":"l2update","product_id":"BTC-USD","changes":[["buy","1.5","'
        f'{number}"]],"time":"2021-04-17T16:43:37.075687Z"}}'
    ).encode()


def blockchain(number):
    return (
        '{"seqnum":3,"event":"updated","channel":"l2","symbol":"BTC-USD","bids":[],'
        f'"asks":[{{"px":{number},"qty":1.0,"num":1}}]}}'
    ).encode()


def stockbit(number):
    fields = {1: "BBCA", 2: f"BUY|8200;{number};8200", 5: NOW_MS}
    return b"".join(encode_field(field, value) for field, value in fields.items())


@pytest.mark.parametrize("frame", [binance, coinbase, blockchain, stockbit])
def test_no_exchange_s_number_may_have_thousands_of_digits(frame) -> None:
    decode = REGISTRY[frame.__name__].socket.decode
    assert decode(frame("2.50" if frame is not stockbit else "2"), NOW_MS * 10**6)
    with pytest.raises(DecodeError):
        decode(frame(LONG if frame is not binance else f"{LONG}.5"), NOW_MS * 10**6)


@pytest.mark.parametrize("level", [(LONG, "1"), ("1", LONG), ("1.5", f"{LONG}.{LONG}")])
def test_the_archive_passes_such_a_record_over_and_goes_on(level) -> None:
    fold = ArchiveFold("orderbook", PartitionState())
    base = codec.base_headers("ws_diff_depth", "q", 1)

    def rows(message, id_):
        headers = codec.record_headers(base, id_, NOW_MS * 10**6, b"exchange")
        written = fold.fold(b"coinbase:BTC-USD", headers, codec.encode(message))
        return [row.lines for row in written if not row.path.endswith(".marks.csv")]

    book = DepthSnapshot(NOW_MS, "BTC-USD", 0, [("1", "1")], [("2", "1")], "coinbase")
    bad = DepthUpdate(NOW_MS + 1, "BTC-USD", 1, 1, [level], [], "coinbase")
    good = DepthUpdate(NOW_MS + 2, "BTC-USD", 2, 2, [("1", "3")], [], "coinbase")
    assert rows(book, 0) == [2]
    assert rows(bad, 1) == []
    assert fold.poisoned == 1
    assert rows(good, 2) == [1]
