"""The streams file: what is right is read, what is wrong is named, all at once."""

# ruff: noqa: E501 - whole sentences

import pytest

from container_worker.streams_file import Wish, parse, read
from marketdata.errors import StreamsFileError

GOOD = """
streams:
  - queue_id: main
    exchange: binance
    tickers: [BTCUSDT, ETHUSDT]
    types: [ws_diff_depth, ws_trades]
  - {queue_id: more, exchange: binance, tickers: [BTCUSDT], types: [ws_trades]}
"""


def faults(text):
    with pytest.raises(StreamsFileError) as caught:
        parse(text, "streams.yaml")
    return str(caught.value).splitlines()


def test_a_good_file_is_read() -> None:
    assert parse(GOOD, "x") == (
        Wish("main", "binance", ("BTCUSDT", "ETHUSDT"), ("ws_diff_depth", "ws_trades")),
        Wish("more", "binance", ("BTCUSDT",), ("ws_trades",)),
    )


def test_all_faults_are_named_at_once_with_stream_and_key() -> None:
    text = """
stream: []
streams:
  - queue_id: a
    exchange: binanse
    ticker: [BTCUSDT]
    types: []
  - queue_id: b
    exchange: binance
    tickers: [BTCUSDT, BTCUSDT, 5, "", "two words"]
    types: [ws_trade, contract_events]
  - text
  - {queue_id: b, exchange: 7, tickers: BTCUSDT, types: [ws_trades]}
"""
    assert faults(text) == [
        "streams.yaml: unknown key 'stream': did you mean streams?",
        "streams.yaml: stream 1 (a): unknown key 'ticker': did you mean tickers?",
        "streams.yaml: stream 1 (a): tickers is missing",
        "streams.yaml: stream 1 (a): types must be a list of at least one text",
        "streams.yaml: stream 1 (a): exchange 'binanse' is unknown: did you mean binance?; known: binance",
        "streams.yaml: stream 2 (b): tickers has 5, which is no text",
        "streams.yaml: stream 2 (b): tickers has '', which is no text",
        "streams.yaml: stream 2 (b): tickers has 'BTCUSDT' twice",
        "streams.yaml: stream 2 (b): tickers has 'two words', which is no ticker",
        "streams.yaml: stream 2 (b): types has 'ws_trade', which is unknown: did you mean ws_trades?",
        "streams.yaml: stream 2 (b): binance has no contract_events; it has ws_candles, ws_depth, ws_diff_depth, ws_trades",
        "streams.yaml: stream 3: it must be a mapping with queue_id, exchange, tickers, types",
        "streams.yaml: stream 4 (b): exchange must be a text that is not empty, not 7",
        "streams.yaml: stream 4 (b): tickers must be a list of at least one text",
        "streams.yaml: streams 2 and 4: queue_id 'b' must be unique",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it must be a mapping"),
        ("streams: {}", "must be a list"),
        ("streams: []", "must be a list"),
        ("streams: [", "not YAML at line"),
        ("streams: 1\nstreams: 2", "the key 'streams' stands twice"),
        ("? [a]\n: 1", "not YAML"),
        ("!!python/object/apply:os.system [ls]", "not YAML"),
    ],
)
def test_what_is_no_streams_file_is_said_in_one_line(text, words) -> None:
    [fault] = faults(text)
    assert words in fault


def test_a_file_that_is_not_there_is_named(tmp_path) -> None:
    with pytest.raises(StreamsFileError, match=r"none\.yaml: No such file"):
        read(tmp_path / "none.yaml")


def test_a_file_that_is_no_text_is_named(tmp_path) -> None:
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StreamsFileError, match="not UTF-8"):
        read(path)
