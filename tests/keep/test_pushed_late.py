"""What push could not send the keeper does: nothing in the tables is written by a test."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

from container_worker.keep import late
from container_worker.keep.newest import Newest
from marketdata import codec, connection_items

pytestmark = pytest.mark.services

SECONDS = 20
CALM = {"KEEP_PONG_S": "3600", "KEEP_IDLE_S": "3600"}


def _load(path):
    spec = importlib.util.spec_from_file_location(f"keep_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_pushing = _load(Path(__file__).parents[1] / "gateway/pushing/conftest.py")
AT = b'"timestamp":"2025-10-10T14:30:00.000Z","source":"binance"'
TICK = (
    b'{"type":"price_update","symbol":"%b","price":%d,"volume":null,"rates":["1s"],' + AT + b"}"
)
CANDLE = (
    b'{"pair":"%b","timestamp":60000,"open":1,"high":2,"low":1,"close":%d,"volume":1,'
    b'"source":"binance","interval":"1m","closed":false}'
)
DEPTH = (
    b'{"type":"depth","symbol":"%b","bids":[["%d","1"]],"asks":[],"id":5,'
    b'"hash":"' + b"0" * 64 + b'",' + AT + b"}"
)


@pytest.fixture(scope="module")
def keeper(start_shared_keeper, broker):
    """A keeper that follows Kafka."""
    return start_shared_keeper(KAFKA_BOOTSTRAP_SERVERS=broker.bootstrap_servers, **CALM)


@pytest.fixture
def pusher(gateway, tables):
    """The logic of the function `push`."""
    made = _pushing.Pusher(f"{gateway.api}/_management/ws", tables)
    yield made
    made.close()


@pytest.fixture
def registered(gateway):
    """`registered(*types)`: a client of `ws` with these filters."""

    def make(*types):
        client = gateway.connect(url=gateway.ws, header=[])
        assert client.receive()["type"] == "welcome"
        told = client.ask({"type": "register", "filters": {"types": list(types)}})
        assert told["type"] == "registered"
        return client

    return make


@pytest.mark.parametrize(
    ("kind", "topic", "value"),
    [
        ("price_update", "ticks", TICK),
        ("candle", "candles", CANDLE),
        ("depth", "depth", DEPTH),
    ],
)
@pytest.mark.usefixtures("keeper")
def test_a_registered_client_that_was_throttled_gets_the_newest_value(  # noqa: PLR0917
    gateway, items, pusher, produce, registered, wait_until, ticker, kind, topic, value
):
    client, key, name = registered(kind), f"binance:{ticker}".encode(), ticker.encode()
    values = [value % (name, number) for number in (1, 2)]
    produce(*(codec.Record(topic, key, one, []) for one in values))
    gateway.fault("throttled", connection=client.id, times=2)
    report = pusher.push(*(pusher.record(key, one) for one in values), topic=topic)
    assert (report["throttled"], report["late"]) == (1, 1)
    told = client.receive(SECONDS)
    assert (told["type"], told["symbol"]) == (kind, ticker)
    assert 2 in (told.get("price"), told.get("close")) or told["bids"] == [["2", "1"]]
    wait_until(
        lambda: connection_items.LATE not in items.of(client.id), SECONDS, "the item's end"
    )
    assert client.is_silent()


@pytest.mark.parametrize(
    ("filters", "owed"), [({"filters": {"S": "{}"}}, []), ({"filters": {"S": ""}}, None)]
)
def test_whose_filters_want_nothing_of_the_feed_any_more_is_owed_nothing(filters, owed):
    known = SimpleNamespace(subscription=lambda *_: None, registration=lambda *_: filters)
    one = late.Late("id", "ws", "ticks", "BTC/USDT", {})
    assert late.texts(one, known, Newest()) == owed
