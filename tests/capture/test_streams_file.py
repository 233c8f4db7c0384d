"""The streams file: what is right is read, what is wrong is named, all at once."""

# ruff: noqa: E501 - whole sentences

import pytest

from container_worker.exchanges import REGISTRY
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
        f"streams.yaml: stream 1 (a): exchange 'binanse' is unknown: did you mean binance?; known: {', '.join(REGISTRY)}",
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


MERGES = "".join(f"- &m{n} {{<<: *m{n - 1}}}\n" for n in range(1, 1000))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it must be a mapping"),
        ("streams: {}", "must be a list"),
        ("streams: []", "must be a list"),
        ("streams: [", "not YAML at line"),
        ("streams: 1\nstreams: 2", "the key 'streams' stands twice"),
        ("? [a]\n: 1", "not YAML"),
        ("streams:\n  - queue_id: \x01a", "not YAML at line 2: the character U+0001 is not"),
        ("streams: " + "[" * 3000, "not YAML at line 1: it is nested more than 100 deep"),
        (f"x:\n- &m0 {{}}\n{MERGES}<<: *m999\n", "not YAML: its merges (<<) go too deep"),
        ("streams:\n  2024-13-45", "not YAML at line 2: '2024-13-45' is no timestamp"),
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


PAIRS = Wish(
    "pairs",
    "blockchain",
    ("BTC-USD", "ETH-USD", "BTC-EUR"),
    ("ws_candles", "ws_diff_depth", "ws_ticker", "ws_trades"),
)


def pairs_of(folder, text, name=".env"):
    path = folder / name
    path.write_text(text, newline="")
    return read(path)


def pairs_faults(folder, text):
    with pytest.raises(StreamsFileError) as caught:
        pairs_of(folder, text)
    begin = f"{folder / '.env'}: "
    lines = str(caught.value).splitlines()
    assert all(line.startswith(begin) for line in lines)
    return [line.removeprefix(begin) for line in lines]


@pytest.mark.parametrize("name", [".env", "producer.env"])
def test_a_dotenv_file_is_one_stream_of_all_its_pairs(tmp_path, name) -> None:
    assert pairs_of(tmp_path, "PAIRS=BTC-USD,ETH-USD,BTC-EUR\n", name) == (PAIRS,)


@pytest.mark.parametrize(
    "text",
    [
        "PAIRS=BTC-USD ETH-USD\tBTC-EUR",
        "PAIRS = BTC-USD, ETH-USD, BTC-EUR  # three\n",
        'export PAIRS="BTC-USD,ETH-USD,BTC-EUR"\n',
        "PAIRS='BTC-USD ETH-USD BTC-EUR' # three",
        'PAIRS="\n  BTC-USD,\n  ETH-USD,\n  BTC-EUR\n"\n',
        "\ufeff# pairs\r\n\r\n  # more\r\nPAIRS=BTC-USD,ETH-USD,,BTC-EUR,\r\nBROKER=k:9092\r\n",
        'KEY="-----BEGIN\nA=B\\"\nno assignment\n-----END"\nPAIRS=BTC-USD,ETH-USD,BTC-EUR\nEMPTY=\nURI=mongodb://a:b#c@d/?e=\'f\'\n',
    ],
)
def test_comments_quotes_export_and_other_programs_keys_are_understood(tmp_path, text) -> None:
    assert pairs_of(tmp_path, text) == (PAIRS,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["PAIRS is missing: say which ones, such as PAIRS=BTC-USD,BTC-EUR"]),
        ("BROKER=k:9092", ["PAIRS is missing: say which ones, such as PAIRS=BTC-USD,BTC-EUR"]),
        (
            "PAIRS=''",
            ["line 1: PAIRS is empty: say which ones, such as PAIRS=BTC-USD,BTC-EUR"],
        ),
        ("\nPAIR=BTC-USD", ["line 2: PAIR is no key of ours: did you mean PAIRS?"]),
        (
            "pairs=BTC-USD\nPAIRS=BTC-USD",
            ["line 1: pairs is no key of ours: did you mean PAIRS?"],
        ),
        ("PAIRS=BTC-USD\nPAIRS=ETH-USD", ["lines 1 and 2: PAIRS stands more than once"]),
        ("PAIRS=BTC-USD,BTC-USD", ["line 1: PAIRS has 'BTC-USD' twice"]),
        (
            "PAIRS=btc-usd,BTCUSD",
            [
                "line 1: PAIRS has 'btc-usd', which is no pair such as BTC-USD",
                "line 1: PAIRS has 'BTCUSD', which is no pair such as BTC-USD",
            ],
        ),
        ("PAIRS: BTC-USD", ["line 1: it is not KEY=VALUE"]),
        (
            "PAIRS=BTC-USD\n=5\nexport X\n",
            ["line 2: it is not KEY=VALUE", "line 3: it is not KEY=VALUE"],
        ),
        ("PAIRS='BTC-USD", ["line 1: the quotes of PAIRS are not closed, or are torn"]),
        (
            'PAIRS="BTC-USD" ETH-USD',
            ["line 1: the quotes of PAIRS are not closed, or are torn"],
        ),
    ],
)
def test_what_is_wrong_in_a_dotenv_file_is_said_in_one_line_each(tmp_path, text, said) -> None:
    assert pairs_faults(tmp_path, text) == said


def test_no_secret_of_a_dotenv_file_is_repeated(tmp_path) -> None:
    text = "TOKEN hunter2\nPAIRZ=hunter2\nPASSWORD='hunter2\n"
    said = pairs_faults(tmp_path, text)
    assert len(said) == 3
    assert "hunter2" not in "".join(said)


def test_a_dotenv_file_has_a_bound_and_strange_quotes_do_not_hold_it_up(tmp_path) -> None:
    strange = "PAIRS=BTC-USD\n" + "A='#\"\n" * 10_000
    assert pairs_of(tmp_path, strange)[0].tickers == ("BTC-USD",)
    torn = pairs_faults(tmp_path, "PAIRS=BTC-USD\n" + "A='\"\n" * 9_999)
    assert torn == ["line 2: the quotes of A are not closed, or are torn"]
    large = pairs_faults(tmp_path, "#" * (1 << 17))
    assert large == ["it is larger than 64 KiB, which is no .env file"]
