"""Two recorded days through simulator, worker, Kafka, archive and gateway, row by row."""

import csv
import importlib.util
import json
import signal
import sys
import threading
from pathlib import Path

import pytest
import websocket

ROOT = Path(__file__).parents[2]
RECORDINGS = ROOT.parent / "shared" / "recordings" / "hftbacktest"
TAPES = [RECORDINGS / f"spot_btcusdt_{day}.gz" for day in ("20240808", "20240809")]
SPEED = "16"
KEY = "chrono_public_dev_key_001"

spec = importlib.util.spec_from_file_location("tape", Path(__file__).with_name("tape.py"))
tape = importlib.util.module_from_spec(spec)
sys.modules["tape"] = tape
spec.loader.exec_module(tape)

pytestmark = [pytest.mark.recordings, pytest.mark.services, pytest.mark.timeout(300)]


class Listener(threading.Thread):
    """A client that subscribes and keeps every message until it is closed."""

    def __init__(self, socket: websocket.WebSocket, symbol: str) -> None:
        super().__init__(daemon=True)
        self.messages: list[dict] = []
        self._symbol = symbol
        self._socket = socket
        self._fault = ""

    def subscribe(self) -> bool:
        """Whether the answer was `subscribed`: the symbol is known once capture has started."""
        self._socket.send(json.dumps({"type": "subscribe", "symbols": [self._symbol]}))
        answer = json.loads(self._socket.recv())
        assert answer["type"] in {"subscribed", "error"}, answer
        assert answer.get("code") in {None, "UNKNOWN_SYMBOL"}, answer
        return answer["type"] == "subscribed"

    def run(self) -> None:
        while True:
            try:
                self.messages.append(json.loads(self._socket.recv()))
            except (websocket.WebSocketException, OSError, ValueError):
                return
            except AssertionError as fault:
                self._fault = str(fault)
                return

    def close(self) -> None:
        self._socket.close()
        self.join(10)
        assert not self._fault, self._fault


@pytest.fixture(scope="module")
def played(stack, protocol_schema, wait_until):
    """The recording played to its end: (the stack, what a client got)."""
    missing = [path for path in TAPES if not path.exists()]
    if missing:
        pytest.skip(f"the recording {missing[0].name} is not beside the project")
    replay = [part for path in TAPES for part in ("--replay", str(path))]
    stack.up(*replay, "--once", "--speed", SPEED)
    header = [f"Authorization: Bearer {KEY}"]
    url = stack.status()["urls"]["stream"]
    socket = protocol_schema.connect(url, header=header, timeout=60)
    listener = Listener(socket, "BTC/USDT")
    wait_until(listener.subscribe, seconds=20, what="BTC/USDT is known")
    listener.start()
    wait_until(lambda: stack.now().replay == "done", seconds=200, what="the replay is done")
    listener.close()
    return stack, listener.messages


def test_every_order_book_row_is_the_recordings_own(played) -> None:
    stack, _ = played
    days = ("2024-08-08", "2024-08-09")
    marks = {
        day: list(csv.DictReader(stack.lines("orderbook", f"{day}_BTCUSDT.marks.csv")))
        for day in days
    }
    first = int(marks[days[0]][0]["first_id"])
    expected = tape.book_files(tape.read(TAPES), first)
    assert sorted(expected) == list(days)
    for day in days:
        got = stack.lines("orderbook", f"{day}_BTCUSDT.csv")
        assert got[0] == tape.HEADER
        assert len(got) - 1 == len(expected[day])
        differing = [
            (number, mine, theirs)
            for number, (mine, theirs) in enumerate(zip(got[1:], expected[day], strict=True))
            if mine != theirs
        ]
        assert differing[:3] == []


def test_each_day_begins_with_a_snapshot_and_has_no_gap(played) -> None:
    stack, _ = played
    for day in ("2024-08-08", "2024-08-09"):
        marks = list(csv.DictReader(stack.lines("orderbook", f"{day}_BTCUSDT.marks.csv")))
        assert [mark["kind"] for mark in marks] == ["snapshot"]
        assert marks[0]["row"] == "0"
        assert int(marks[0]["rows"]) > 1000


def test_every_trade_is_in_the_prices_file_of_its_day(played) -> None:
    stack, _ = played
    days = ("2024-08-08", "2024-08-09")
    got = {day: stack.lines("prices", f"{day}_BTCUSDT.csv") for day in days}
    first = int(got[days[0]][1].split(",")[5])
    expected = tape.price_files(tape.read(TAPES), first, "BTC/USDT")
    assert got == {day: [tape.PRICES_HEADER, *expected[day]] for day in days}
    assert first <= tape.read(TAPES).trades[500]["t"]


def test_a_client_gets_the_newest_price_of_each_second_in_order(played) -> None:
    _, received = played
    # Every 30 s a pong comes unasked (sources/chrono-stream.md).
    assert {message["type"] for message in received} <= {"price_update", "pong"}
    messages = [message for message in received if message["type"] == "price_update"]
    times = [message["timestamp"] for message in messages]
    assert times == sorted(times)
    got = {
        message["timestamp"][:19]: (message["price"], message["timestamp"])
        for message in messages
    }
    expected = {
        tape.iso(trade["T"])[:19]: (float(trade["p"]), tape.iso(trade["T"]))
        for trade in tape.newest_of_each_second(tape.read(TAPES)).values()
        if tape.iso(trade["T"])[:19] > min(got)
    }
    got.pop(min(got))
    assert got == expected
    assert len(got) > 400


def test_the_archive_verifies_itself(played) -> None:
    stack, _ = played
    done = stack.run("archive", "verify")
    assert "differs" not in done.stdout


def test_a_stage_that_is_killed_comes_back_and_the_rows_stay_right(played, wait_until) -> None:
    stack, _ = played
    stack.signal("archive", signal.SIGKILL)
    wait_until(
        lambda: stack.now().restarts.get("archive", 0) >= 1,
        seconds=30,
        what="the archive is started again",
    )
    test_every_order_book_row_is_the_recordings_own(played)
