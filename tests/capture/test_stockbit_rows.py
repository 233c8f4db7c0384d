"""From Stockbit's frames by capture's own core and the archive's fold to the guide's rows."""

import random
import threading
from datetime import datetime, timedelta, timezone

import pytest
from capture_rig import FakeProducer

from container_worker.capture.emissions import Write
from container_worker.capture.outlet import Outlet
from container_worker.capture.unit import Unit, make_sync
from container_worker.exchanges import stockbit
from container_worker.exchanges.adapter import Channel
from container_worker.exchanges.stockbit.protobuf_wire import encode_field
from marketdata import codec
from marketdata.archive_fold import ArchiveFold
from marketdata.archive_state import PartitionState

WIB = timezone(timedelta(hours=7))
AT_S = int(datetime(2026, 2, 4, 10, 30, 15, tzinfo=WIB).timestamp())
GUIDE = [
    ("BUY|8200;100;820000000|8150;50;407500000", AT_S),
    ("SELL|8250;75;618750000", AT_S + 1),
]
NAME = "data/orderbook/stockbit/2026-02-04_BBCA"


def flat(body, at_s, _number):
    return encode_field(1, "BBCA") + encode_field(2, body) + encode_field(5, at_s)


def channel(body, at_s, number):
    when = datetime.fromtimestamp(at_s, WIB).isoformat()
    inner = encode_field(1, "BBCA") + encode_field(2, body) + encode_field(3, number)
    return encode_field(10, inner + encode_field(5, when))


WIRES = {"flat": flat, "channel": channel}


class Archived:
    """A unit as capture runs it, without sockets; what it writes is folded at once."""

    def __init__(self, wire):
        self.adapter = stockbit.ADAPTER.variants[wire]
        self.producer = FakeProducer()
        self.outlet = Outlet(self.producer, threading.Event(), 1.0)
        numbering = self.adapter.numbering["ws_depth"]
        self.unit = Unit(
            channel=Channel("BBCA", "ws_depth"),
            sync=make_sync("ws_depth", numbering, self.adapter.instrument("BBCA")),
            topic="orderbook",
            key=codec.key("stockbit", "BBCA"),
            headers=codec.base_headers("ws_depth", "my_stream_1", 1),
            wrote=lambda: None,
        )

    def feed(self, frame):
        received_ns = AT_S * 1_000_000_000
        for state in self.adapter.socket.decode(frame, received_ns):
            self.write(self.unit.sync.take(state, received_ns // 1_000_000))

    def write(self, emissions):
        for each in emissions:
            if isinstance(each, Write):
                assert self.outlet.send(self.unit, each, AT_S * 1_000_000_000)

    def objects(self):
        fold = ArchiveFold("orderbook", PartitionState())
        objects = {}
        for record in self.producer.records:
            for rows in fold.fold(record.key, record.headers, record.value):
                objects[rows.path] = objects.get(rows.path, b"") + rows.data
        assert fold.poisoned == 0
        return {name: data.decode() for name, data in objects.items()}


@pytest.mark.parametrize("wire", WIRES)
def test_the_guides_messages_become_the_guides_rows(wire) -> None:
    archived = Archived(wire)
    for number, (body, at_s) in enumerate(GUIDE, 1):
        archived.feed(WIRES[wire](body, at_s, number))
    assert archived.objects()[f"{NAME}.csv"] == (
        "2026-02-04T10:30:15+07:00,8200,100,820000000,BUY\n"
        "2026-02-04T10:30:15+07:00,8150,50,407500000,BUY\n"
        "2026-02-04T10:30:16+07:00,8250,75,618750000,SELL\n"
    )


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("seed", range(3))
def test_every_level_that_was_sent_is_a_row_in_its_order(wire, seed) -> None:
    draw = random.Random(seed)
    archived, expected = Archived(wire), []
    for number in range(1, 200):
        word = draw.choice(["BUY", "SELL"]) if number > 2 else ("BUY", "SELL")[number - 1]
        levels = [
            [str(draw.randrange(1, 9000)) for _ in range(3)] for _ in range(draw.randrange(5))
        ]
        at_s = AT_S + number // 7
        body = "|".join([word, *map(";".join, levels)])
        archived.feed(WIRES[wire](body, at_s, number))
        time = datetime.fromtimestamp(at_s, WIB).isoformat()
        expected += [f"{time},{','.join(level)},{word}" for level in levels]
    rows = archived.objects()[f"{NAME}.csv"].splitlines()
    assert rows == expected, f"seed {seed}: pytest {__file__} -k 'in_its_order and {seed}'"


@pytest.mark.parametrize("wire", WIRES)
def test_after_a_disconnect_the_gap_ends_when_both_sides_are_stated_again(wire) -> None:
    archived, make = Archived(wire), WIRES[wire]
    for number, (body, at_s) in enumerate(GUIDE, 1):
        archived.feed(make(body, at_s, number))
    archived.write(archived.unit.sync.disrupted("disconnect"))
    for number, (body, at_s) in enumerate(GUIDE, 5):
        archived.feed(make(body, at_s + 60, number))
    marks = archived.objects()[f"{NAME}.marks.csv"].splitlines()
    opened, closed = (line.split(",") for line in marks if "disconnect" in line)
    assert opened[:4] == ["3", "0", "open", "3"]
    last = {"flat": "3", "channel": "4"}[wire]
    assert closed[2:] == [
        "gap", "3", last, "disconnect",
        "2026-02-04T10:30:16+07:00", "2026-02-04T10:31:16+07:00",
    ]  # fmt: skip
    rows = archived.objects()[f"{NAME}.csv"].splitlines()
    assert rows[3:] == [row.replace("T10:30", "T10:31") for row in rows[:3]]


@pytest.mark.parametrize("wire", WIRES)
def test_the_day_begins_at_midnight_in_jakarta_with_the_whole_book(wire) -> None:
    archived, make = Archived(wire), WIRES[wire]
    midnight_s = int(datetime(2026, 2, 5, tzinfo=WIB).timestamp())
    for number, (body, at_s) in enumerate(GUIDE, 1):
        archived.feed(make(body, at_s, number))
    archived.feed(make("BUY|8225;1;2", midnight_s - 1, 3))
    archived.feed(make("BUY|8200;3;4", midnight_s, 4))
    objects = archived.objects()
    assert objects[f"{NAME}.csv"].splitlines()[3:] == ["2026-02-04T23:59:59+07:00,8225,1,2,BUY"]
    assert sorted(objects[f"{NAME.replace('-04', '-05')}.csv"].splitlines()) == [
        "2026-02-05T00:00:00+07:00,8200,3,4,BUY",
        "2026-02-05T00:00:00+07:00,8250,75,618750000,SELL",
    ]
