"""What flows keeps a subscriber's connection: a real keeper that follows real Kafka."""

import time

from marketdata import codec, messages, topics


def tick(ticker):
    value = messages.Tick(
        symbol=ticker,
        price=messages.NULL,
        volume=messages.NULL,
        timestamp="2026-01-01T00:00:00.000Z",
        source="binance",
        rates=("1s",),
    )
    key = codec.key("binance", ticker)
    return codec.Record(topics.TICKS.name, key, codec.encode(value), [])


def test_who_has_prices_is_not_idle_until_they_end_and_who_has_none_is(
    start_keeper, gateway, items, ticker, produce
):
    served, other = gateway.connect(), gateway.connect()
    items.connection("stream", served.id, 100, (ticker,))
    items.connection("stream", other.id, 100, (f"{ticker}-NONE",))
    servers = produce.kafka.bootstrap_servers
    start_keeper(KAFKA_BOOTSTRAP_SERVERS=servers, KEEP_IDLE_S="3", KEEP_PONG_S="0.5")
    produce.until(tick(ticker), lambda: not gateway.has(other))
    ended = time.monotonic()
    assert gateway.has(served)
    produce.until(None, lambda: not gateway.has(served))
    assert time.monotonic() - ended > 0.5
