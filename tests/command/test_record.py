"""`tapedeck record`: what it writes is what was on the wire, and `--replay` takes it back."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from container_worker.record.tape_file import TapeFile
from local.exchanges.recordings import read
from local.exchanges.stockbit import demo_token
from marketdata.errors import StoreError
from marketdata.raw_tape import FRAME, RawLine, TapeHeader, decode_header

TAPEDECK = str(Path(sys.executable).with_name("tapedeck"))


class Exchanges:
    """`python -m local.exchanges` for some exchanges, and the variables that lead there."""

    def __init__(self, names, *options):
        command = [sys.executable, "-m", "local.exchanges", "--exchanges", ",".join(names)]
        command += ["--overview-port", "0", *map(str, options)]
        for name in names:
            for port in ("rpc",) if name == "stellar" else ("ws", "rest"):
                command += [f"--{name}-{port}-port", "0"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        lines = map(json.loads, self.process.stderr)
        ready = next(line for line in lines if line["event"] == "ready")
        self.token = demo_token(int(time.time()))
        self.variables = {"STOCKBIT_TOKEN": self.token, "STELLAR_POLL_SECONDS": "0.1"}
        for name in names:
            if name == "stellar":
                rpc = f"http://127.0.0.1:{ready['stellar_rpc_port']}"
                self.variables["STELLAR_RPC_URL"] = rpc
                continue
            path = {"blockchain": "/mercury-gateway/v1/ws", "coinbase": ""}.get(name, "/ws")
            ws, rest = ready[f"{name}_ws_port"], ready[f"{name}_rest_port"]
            self.variables[f"{name.upper()}_WS_URL"] = f"ws://127.0.0.1:{ws}{path}"
            self.variables[f"{name.upper()}_REST_URL"] = f"http://127.0.0.1:{rest}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(10) == 0
        self.process.stderr.close()


def start(folder, exchanges, *options):
    return subprocess.Popen(
        [TAPEDECK, "record", "--out", str(folder), *options],
        env=os.environ | (exchanges.variables if exchanges else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process):
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


ALL = """
streams:
  - {queue_id: b, exchange: binance, tickers: [BTCUSDT], types: [ws_diff_depth, ws_trades]}
  - {queue_id: c, exchange: coinbase, tickers: [BTC-USD], types: [ws_diff_depth, ws_trades]}
  - {queue_id: p, exchange: blockchain, tickers: [BTC-EUR], types: [ws_diff_depth]}
  - {queue_id: k, exchange: stockbit, tickers: [BBCA], types: [ws_depth]}
  - {queue_id: s, exchange: stellar, tickers: [events], types: [contract_events]}
"""
NAMES = ("binance", "coinbase", "blockchain", "stockbit", "stellar")


def test_every_exchange_is_recorded_and_its_replay_sends_the_same_frames(tmp_path) -> None:
    streams = tmp_path / "all.yaml"
    streams.write_text(ALL)
    tape, again = tmp_path / "tape", tmp_path / "again"
    with Exchanges(NAMES, "--seed", "5") as exchanges:
        began_ns = time.time_ns()
        code, out, err = ended(
            start(tape, exchanges, "--streams", str(streams), "--seconds", "4")
        )
        ended_ns = time.time_ns()
        token = exchanges.token
    assert code == 0, err
    files = {path.name.partition("_")[0]: path for path in tape.iterdir()}
    assert set(files) == set(NAMES)
    assert all(str(path) in out for path in files.values())
    for path in files.values():
        assert all(began_ns <= line.time_ns <= ended_ns for line in read(path))
        assert token.encode() not in gzip.decompress(path.read_bytes())
    with Exchanges(NAMES, "--replay", tape, "--wait-for-subscriber") as replay:
        code, _, err = ended(start(again, replay, "--streams", str(streams), "--seconds", "5"))
    assert code == 0, err
    second = {path.name.partition("_")[0]: path for path in again.iterdir()}
    for name in ("binance", "coinbase", "blockchain", "stockbit"):
        sent, replayed = content(files[name]), content(second[name])
        assert len(replayed) > 20, name
        assert len([one for one in replayed if one in sent]) > 0.8 * min(
            len(replayed), len(sent)
        ), name


def content(path):
    """What the frames say: without the numbers and times that a replay moves on."""
    kept = []
    for line in read(path):
        if line.kind == "binary":
            kept.append(line.payload[:60])
        elif line.kind == "frame":
            message = json.loads(line.payload)
            message = message.get("data", message)
            parts = ("b", "a", "p", "q", "changes", "price", "size", "bids", "asks")
            kept.append(str([message[part] for part in parts if part in message]))
    return set(kept) - {"[]"}


def test_a_killed_recording_is_whole_up_to_its_last_second(tmp_path, wait_until) -> None:
    with Exchanges(["coinbase"]) as exchanges:
        options = ("--exchange", "coinbase", "--tickers", "BTC-USD,ETH-USD")
        process = start(tmp_path, exchanges, *options)
        wait_until(lambda: any(one.stat().st_size > 30_000 for one in tmp_path.iterdir()), 20)
        process.send_signal(signal.SIGKILL)
        ended(process)
        (path,) = tmp_path.iterdir()
        with pytest.raises(EOFError):
            gzip.decompress(path.read_bytes())
        assert len([line for line in read(path) if line.kind == "frame"]) > 20


def test_ctrl_c_ends_a_recording_with_a_line_a_file(tmp_path, wait_until) -> None:
    with Exchanges(["stellar"]) as exchanges:
        options = ("--exchange", "stellar", "--tickers", "events")
        process = start(tmp_path, exchanges, *options)
        wait_until(lambda: list(tmp_path.iterdir()), 20)
        process.send_signal(signal.SIGINT)
        code, out, err = ended(process)
    assert (code, err.count("\n")) == (0, 1)
    assert out.startswith(f"{tmp_path}/stellar_")
    assert gzip.decompress(next(tmp_path.iterdir()).read_bytes()).count(b"\n") > 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "say what to record: --streams FILE, or --exchange with --tickers"),
        (("--exchange", "coinbse", "--tickers", "X"), "did you mean coinbase?"),
        (("--streams", "nowhere.yaml"), "nowhere.yaml: No such file or directory"),
        (("--streams", "x.yaml", "--exchange", "binance"), "--streams says all"),
        (
            ("--exchange", "coinbase", "--tickers", "BTC-USD", "--types", "ws_depth"),
            "coinbase has no ws_depth",
        ),
        (("--exchange", "stellar", "--tickers", "USDC"), "stellar does not list USDC"),
    ],
)
def test_wrong_input_is_one_sentence_and_nothing_is_written(tmp_path, options, sentence):
    code, out, err = ended(start(tmp_path / "out", None, *options))
    assert sentence in err
    assert code in {1, 2}
    assert "Traceback" not in err
    assert out == ""
    assert not (tmp_path / "out").exists()


def test_an_exchange_that_is_not_there_is_named(tmp_path) -> None:
    process = subprocess.Popen(
        [TAPEDECK, "record", "--exchange", "coinbase", "--tickers", "BTC-USD"],
        env=os.environ | {"COINBASE_REST_URL": "http://127.0.0.1:1"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    code, _, err = ended(process)
    assert code == 1
    assert "nothing listens at 127.0.0.1:1: is the URL right?" in err
    assert not (tmp_path / "recordings").exists()


def test_a_file_is_never_written_over_and_can_be_read_while_it_grows(tmp_path) -> None:
    path = tmp_path / "x_20261121T000000Z.tape.gz"
    tape = TapeFile(path, TapeHeader(1, "x"))
    tape.write(RawLine(7, FRAME, 1, b"first"))
    tape.flush()
    head, line = zlib.decompressobj(31).decompress(path.read_bytes()).splitlines()
    assert decode_header(head).exchange == "x"
    assert line == b"7 <1 first"
    tape.write(RawLine(8, FRAME, 1, b"second"))
    tape.close()
    assert gzip.decompress(path.read_bytes()).endswith(b"7 <1 first\n8 <1 second\n")
    assert (tape.frames, tape.size) == (2, path.stat().st_size)
    with pytest.raises(StoreError, match="is there already: it is not written over"):
        TapeFile(path, TapeHeader(1, "x")).flush()
