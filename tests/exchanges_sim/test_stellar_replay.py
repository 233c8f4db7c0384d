"""Recorded pages of a Stellar node, served again: once, round and round, at any pace."""

import json
import subprocess
import sys

import pytest

from local.exchanges.stellar.chain import Chain
from local.exchanges.stellar.get_events import Bounds
from local.exchanges.stellar.methods import Methods
from marketdata.raw_tape import (
    REST,
    RawLine,
    RestAnswer,
    TapeHeader,
    encode_header,
    encode_line,
    encode_rest,
    file_name,
)

START_MS = 1_795_168_830_000
LEDGERS = 60


def question(cursor="", start=0, encoding="json", limit=40):
    params = {"xdrFormat": encoding, "pagination": {"limit": limit}}
    if cursor:
        params["pagination"]["cursor"] = cursor
    else:
        params["startLedger"] = start
    return {"jsonrpc": "2.0", "id": 1, "method": "getEvents", "params": params}


@pytest.fixture(params=["json", "base64"])
def recording(request, tmp_path):
    """A recording of sixty ledgers as a poller would have made it, and their events."""
    chain = Chain(4, START_MS, ledger_ms=5_000, retention=500)
    methods = Methods(chain, Bounds(1_000, 1_000))
    first, cursor, lines = chain.latest, "", []
    for step in range(LEDGERS):
        chain.live(START_MS + step * 5_000)
        while True:
            sent = json.dumps(question(cursor, first, request.param)).encode()
            body = methods.answer(sent).body
            answer = RestAnswer("/", 200, body.decode(), sent.decode())
            lines.append(RawLine(chain.now_ms * 1_000_000, REST, 0, encode_rest(answer)))
            page = json.loads(body)["result"]
            is_new, cursor = page["cursor"] != cursor, page["cursor"]
            if not is_new or cursor.endswith("-4294967295"):
                break
    refused = RestAnswer("/", 503, "queue is full", "")
    lines.insert(3, RawLine(lines[2].received_ns, REST, 0, encode_rest(refused)))
    path = tmp_path / file_name("stellar", START_MS)
    header = encode_header(TapeHeader(1, "stellar", rest="https://rpc.test"))
    path.write_bytes(header + b"".join(map(encode_line, lines)))
    events = [
        (str(event.at), [topic.json for topic in event.what.topics], event.what.value.json)
        for ledger in range(first, first + LEDGERS)
        for event in chain.events(ledger)
    ]
    assert len(events) > 150
    return path, first, events


class Reader:
    """Reads on from where it is."""

    def __init__(self, exchange):
        self.exchange, self.cursor, self.events = exchange, "", []

    def ask(self, body):
        headers = {"Content-Type": "application/json"}
        status, _, answer = self.exchange.request(
            "/", method="POST", body=body, headers=headers
        )
        assert status == 200
        return answer["result"]

    def read(self):
        start = 0
        if not self.cursor:
            health = {"jsonrpc": "2.0", "id": 1, "method": "getHealth"}
            start = self.ask(health)["latestLedger"]
        page = self.ask(question(self.cursor, start))
        self.cursor = page["cursor"]
        self.events += [(e["id"], e["topicJson"], e["valueJson"]) for e in page["events"]]
        return page


def test_once_at_full_speed_gives_every_recorded_event_and_says_when_all_is_read(
    start_exchange, recording, wait_until
) -> None:
    path, first, events = recording
    exchange = start_exchange("--replay", path, "--once", "--speed", "max", name="stellar")
    assert exchange.status()["mode"] == "replay"
    assert exchange.status()["last_ids"]["events"]["ledger"] == first
    reader = Reader(exchange)
    wait_until(lambda: reader.read() and len(reader.events) >= len(events), what="all events")
    assert reader.events == events
    wait_until(lambda: reader.read() and exchange.status()["done"], what="the end")
    assert reader.events == events
    assert exchange.status()["rounds"] == 1


def test_round_and_round_ids_and_times_move_on(start_exchange, recording, wait_until) -> None:
    path, first, events = recording
    exchange = start_exchange("--replay", path, "--speed", "1000", name="stellar")
    reader = Reader(exchange)
    wait_until(lambda: reader.read() and len(reader.events) > 2 * len(events), what="a round")
    ids = [id_ for id_, _, _ in reader.events]
    assert ids == sorted(set(ids))
    assert reader.events[: len(events)] == events
    again = reader.events[len(events) : 2 * len(events)]
    assert [each[1:] for each in again] == [each[1:] for each in events]
    for (later, _, _), (id_, _, _) in zip(again, events, strict=True):
        assert int(later[:19]) - int(id_[:19]) == LEDGERS << 32
    truth = exchange.get(f"/_control/events?from={first}&to={first + LEDGERS}")["events"]
    times = [event["ledgerClosedAt"] for event in truth]
    assert times == sorted(times)
    assert exchange.status()["rounds"] >= 1


def test_what_has_no_answer_to_get_events_is_no_recording(tmp_path) -> None:
    path = tmp_path / file_name("stellar", START_MS)
    path.write_bytes(encode_header(TapeHeader(1, "stellar")))
    command = [sys.executable, "-m", "local.exchanges", "--stellar-rpc-port", "0"]
    command += ["--exchanges", "stellar", "--replay", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert "has no answer to getEvents" in done.stderr
