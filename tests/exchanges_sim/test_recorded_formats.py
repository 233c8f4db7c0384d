"""Recordings of every recorder, read as the same thing; our own may be cut off anywhere."""

import gzip
import json
import zlib
from random import Random

import pytest

from local.exchanges import recordings as tapes
from marketdata import raw_tape
from marketdata.errors import InputError
from marketdata.raw_tape import RawLine, RestAnswer, TapeHeader

S = 1_723_161_590_000_000_000


def own_lines(count, seed=1):
    """Frames, messages and answers of two connections, and what they must be read as."""
    random = Random(seed)
    written, expected = [], []
    for number in range(count):
        kind = random.choice(["frame", "binary", "sent", "sent_binary", "rest"])
        payload = random.randbytes(random.randrange(200))
        connection = random.randrange(3)
        if kind == "rest":
            answer = RestAnswer(f"/x?n={number}", 200 + number % 3, payload.hex(), "ask")
            line = RawLine(S + number, kind, connection, raw_tape.encode_rest(answer))
            body = answer.body.encode()
            told = (S + number, kind, body, connection, answer.path, answer.status, b"ask")
        else:
            line = RawLine(S + number, kind, connection, payload)
            told = (S + number, kind, payload, connection, "", 200, b"")
        written.append(raw_tape.encode_line(line))
        expected.append(tapes.RecordedLine(*told, number + 2))
    return written, expected


HEADER = raw_tape.encode_header(TapeHeader(1, "coinbase", "wss://a", "https://b"))


def flushed(parts):
    """Gzip data that was flushed after each part and never ended."""
    packer = zlib.compressobj(wbits=31)
    return b"".join(packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH) for part in parts)


def test_our_own_recording_is_read_as_it_was_written(tmp_path):
    written, expected = own_lines(500)
    path = tmp_path / "coinbase.tape.gz"
    path.write_bytes(gzip.compress(HEADER + b"".join(written)))
    assert list(tapes.read(path)) == expected
    assert tapes.exchange_of(path) == "coinbase"
    assert tapes.header_of(path) == TapeHeader(1, "coinbase", "wss://a", "https://b")


def test_a_recording_that_was_cut_off_anywhere_has_every_whole_line(tmp_path):
    written, expected = own_lines(12)
    data = flushed([HEADER, *written])
    path = tmp_path / "cut.tape.gz"
    first = len(flushed([HEADER]))
    counts = []
    for end in range(first, len(data) + 1):
        path.write_bytes(data[:end])
        found = list(tapes.read(path))
        assert found == expected[: len(found)]
        counts.append(len(found))
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 12)
    for number in range(1, 13):
        path.write_bytes(flushed([HEADER, *written[:number]]))
        assert len(list(tapes.read(path))) == number


def test_a_last_line_without_its_end_does_not_count(tmp_path):
    written, expected = own_lines(3)
    path = tmp_path / "plain.tape"
    path.write_bytes(HEADER + b"".join(written)[:-1])
    assert list(tapes.read(path)) == expected[:2]


def test_several_gzip_members_are_one_recording(tmp_path):
    written, expected = own_lines(40)
    path = tmp_path / "members.tape.gz"
    halves = (HEADER + b"".join(written[:20]), b"".join(written[20:]))
    path.write_bytes(b"".join(map(gzip.compress, halves)))
    assert list(tapes.read(path)) == expected


def test_files_are_one_tape_by_receive_time(tmp_path):
    written, expected = own_lines(30)
    paths = []
    for part in range(3):
        path = tmp_path / f"{part}.tape.gz"
        path.write_bytes(gzip.compress(HEADER + b"".join(written[part::3])))
        paths.append(path)
    assert [line.time_ns for line in tapes.merged(paths)] == [line.time_ns for line in expected]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (HEADER + b"rubbish\n", "line 2 is no line of a Tapedeck recording"),
        (HEADER + b"12 b<1 %\n", "line 2 is not base64"),
        (HEADER + b"12 r0 {}\n", "line 2 is no REST answer"),
        (b'{"tapedeck":9,"exchange":"binance"}\n', "version 9 of the format"),
        (b"", "first line has none of the known forms"),
        (gzip.compress(b"1723161590000000000 {}\n" * 9999, mtime=0)[:60], "is not a recording"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_with_the_file(tmp_path, content, words):
    path = tmp_path / "broken"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as refused:
        replayed(path)
    assert str(path) in str(refused.value)


def replayed(path):
    """What a replay does with a file first."""
    return tapes.venue_of(path), list(tapes.read(path))


def test_damaged_gzip_data_is_one_sentence(tmp_path):
    written, _ = own_lines(2_000)
    data = bytearray(gzip.compress(HEADER + b"".join(written)))
    data[len(data) // 2] ^= 0xFF
    path = tmp_path / "damaged.tape.gz"
    path.write_bytes(data)
    with pytest.raises(
        InputError, match=r"damaged\.tape\.gz (is not a recording: line|cannot)"
    ):
        list(tapes.read(path))


FOREIGN = (
    "wss://ws-feed.exchange.coinbase.com <-> 1618677816.8434298\n"
    'wss://ws-feed.exchange.coinbase.com <- 1618677817.020616: {"type":"subscribe"}\n'
    'configuration: {"a":1}\n\n'
    '1618677817.5: {"type":"match"}\r\n'
    "https://api.exchange.coinbase.com/products -> 1618677816.8414998: []\n"
)


def test_cryptofeeds_lines_are_read_with_their_addresses(tmp_path):
    path = tmp_path / "COINBASE.ws.1.0"
    path.write_text(FOREIGN)
    opened, sent, frame, rest = tapes.read(path)
    address = "wss://ws-feed.exchange.coinbase.com"
    assert opened[:3] == (1_618_677_816_843_429_800, "opened", b"")
    assert opened.url == sent.url == address
    assert (sent.kind, sent.payload) == ("sent", b'{"type":"subscribe"}')
    assert frame[:3] == (1_618_677_817_500_000_000, "frame", b'{"type":"match"}')
    assert (rest.kind, rest.payload) == ("rest", b"[]")
    assert rest.url == "https://api.exchange.coinbase.com/products"


def test_a_ws_file_brings_the_answers_beside_it_and_a_folder_what_can_be_replayed(tmp_path):
    for name in ("A.ws.1.0", "A.products.0", "A.http.0.0", "B.products.0"):
        (tmp_path / name).write_text(FOREIGN)
    (tmp_path / "LICENSE").write_text("none")
    found = tapes.find_recordings([tmp_path / "A.ws.1.0"], lambda name: name == "coinbase")
    names = [path.name for path in found.paths("coinbase")]
    assert sorted(names) == ["A.http.0.0", "A.products.0", "A.ws.1.0"]
    everything = tapes.find_recordings([tmp_path], lambda _: True)
    assert len(everything.paths("coinbase")) == 4
    assert everything.passed_over == ["LICENSE"]
    with pytest.raises(InputError, match="is a recording of coinbase, which cannot"):
        tapes.find_recordings([tmp_path / "A.ws.1.0"], lambda _: False)


@pytest.mark.recordings
@pytest.mark.parametrize(
    ("name", "exchange", "frames", "sent"),
    [
        ("COINBASE_2021-04-17.ws.28.0", "coinbase", 9946, 3),
        ("BLOCKCHAIN_2021-04-17.ws.23.0", "blockchain", 578, 20),
        ("BLOCKCHAIN_2021-07-22.ws.1.0", "blockchain", 98, 20),
        ("BINANCE_2021-04-17.ws.1.0", "binance", 1228, 0),
        ("BINANCE_US_2021-10-12.ws.1.0", "binance", 480, 0),
    ],
)
def test_the_real_recordings_have_the_frames_that_their_list_says(
    recordings, name, exchange, frames, sent
):
    path = recordings / "cryptofeed" / name
    assert tapes.exchange_of(path) == exchange
    kinds = [line.kind for line in tapes.read(path)]
    assert (kinds.count("frame"), kinds.count("sent")) == (frames, sent)
    for line in tapes.read(path):
        if line.kind == "frame":
            json.loads(line.payload)


def own_tape_of(lines):
    """hftbacktest's lines as Tapedeck would have recorded them, with what else there is."""
    made = [
        HEADER.replace(b"coinbase", b"binance"),
        raw_tape.encode_line(RawLine(S - 9, "opened", 1, b"/stream")),
        raw_tape.encode_line(RawLine(S - 8, "sent", 1, b'{"method":"SUBSCRIBE","id":1}')),
        raw_tape.encode_line(RawLine(S - 7, "frame", 1, b'{"result":null,"id":1}')),
        raw_tape.encode_line(RawLine(S - 6, "frame", 1, b"no JSON at all")),
    ]
    for text in lines:
        time_ns, _, body = text.partition(b" ")
        if b"lastUpdateId" in body:
            path = "/api/v3/depth?symbol=BTCUSDT&limit=1000"
            body = raw_tape.encode_rest(RestAnswer(path, 200, body.decode()))
            line = RawLine(int(time_ns), "rest", 0, body)
        else:
            line = RawLine(int(time_ns), "frame", 1, body)
        made.append(raw_tape.encode_line(line))
    refused = raw_tape.encode_rest(RestAnswer("/api/v3/depth?symbol=BTCUSDT", 429, "{}"))
    made.insert(9, raw_tape.encode_line(RawLine(S - 5, "rest", 0, refused)))
    return b"".join(made)


@pytest.mark.recordings
def test_our_own_recording_of_the_same_traffic_replays_the_same(
    start_exchange, hft_recordings, tmp_path, wait_until
):
    source = min(hft_recordings.iterdir())
    lines = gzip.decompress(source.read_bytes()).splitlines()[:4_000]
    theirs, ours = tmp_path / "theirs.gz", tmp_path / "binance_20240808T235413Z.tape.gz"
    theirs.write_bytes(gzip.compress(b"\n".join(lines)))
    ours.write_bytes(gzip.compress(own_tape_of(lines)))
    streams = "btcusdt@depth@100ms/btcusdt@trade/btcusdt@bookTicker"
    total = len(lines) - 1
    arrived = []
    for path in (theirs, ours):
        options = ("--speed", "max", "--once", "--snapshot-wait", "0")
        exchange = start_exchange("--replay", path, *options)
        socket = exchange.connect(f"/stream?streams={streams}")
        arrived.append([socket.recv() for _ in range(total)])
        wait_until(lambda exchange=exchange: exchange.status()["done"], what="the end")
        book = exchange.true_book("BTCUSDT")
        arrived[-1].append(json.dumps(book))
    assert arrived[0] == arrived[1]
