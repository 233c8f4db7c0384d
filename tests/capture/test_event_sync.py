"""The pure core of contract events: what it writes, where it begins again, what is missing."""

import json

import msgspec
import pytest

from container_worker.capture.emissions import Refuse, Write
from container_worker.capture.event_sync import (
    EventSync,
    Garbage,
    Missing,
    end_of,
    is_end,
    ledger_of,
)
from container_worker.capture.last_known import LastKnown
from container_worker.exchanges.polling import BadEvent, Window
from marketdata import codec
from marketdata.messages import ContractEvent, Gap
from marketdata.times import iso_ms

NOW_MS = 1_795_168_830_000


def place(ledger, number):
    return f"{ledger << 32 | 4096:019d}-{number:010d}"


def close_ms(ledger):
    return NOW_MS + (ledger - 100) * 5_000


def event(ledger, number=0, *, ahead_ms=0):
    return ContractEvent(
        ledger=ledger,
        transaction_hash="ab" * 32,
        contract_id="",
        topics=msgspec.Raw(b'[{"symbol":"transfer"}]'),
        data=msgspec.Raw(b'"void"'),
        id=place(ledger, number),
        timestamp=iso_ms(close_ms(ledger) + ahead_ms),
        event_type="contract",
        transaction_index=1,
        operation_index=0,
        in_successful_call=True,
    )


class Topic:
    """Runs one core as a line does."""

    def __init__(self, last=None):
        self.sync = EventSync("stellar", "events", last)
        self.written, self.refused = [], []
        self.has_room = True

    def page(self, *events, cursor=None, window=None, now_ms=NOW_MS + 10_000_000):
        for each in events:
            self._run(self.sync.take(each, now_ms))
        cursor = cursor or (events[-1].id if events else "")
        self._run(self.sync.reached(cursor, window or Window(1, 10_000), now_ms))

    def _run(self, emissions):
        for number, each in enumerate(emissions):
            if isinstance(each, Refuse):
                self.refused.append(each)
            elif isinstance(each.message, Gap) or self.has_room:
                self.written.append(each)
            else:
                unsent = [one for one in emissions[number:] if isinstance(one, Write)]
                self._run(self.sync.overflow(unsent))
                return

    @property
    def ids(self):
        return [each.id for each in self.written if isinstance(each.message, ContractEvent)]

    @property
    def gaps(self):
        return [each.message for each in self.written if isinstance(each.message, Gap)]


def test_events_are_written_once_by_rising_id_and_the_cursor_follows() -> None:
    topic = Topic()
    assert topic.sync.cursor is None
    topic.page(event(100, 0), event(100, 1))
    topic.page(event(100, 1), event(100, 0), event(101, 0), cursor=end_of(101))
    assert topic.ids == [place(100, 0), place(100, 1), place(101, 0)]
    assert topic.sync.repeats == 2
    assert topic.sync.cursor == end_of(101)


def test_the_end_of_a_ledger_is_the_cursor_that_nodes_give() -> None:
    assert end_of(2091) == "0000008985071583231-4294967295"
    assert is_end(end_of(2091))
    assert not is_end(place(2091, 7))
    assert (ledger_of(end_of(2091)), ledger_of(place(77, 3))) == (2091, 77)
    assert place(2091, 2**32 - 2) < end_of(2091) < place(2092, 0)


def test_a_restart_goes_on_behind_the_last_event_or_cursor_whichever_is_later() -> None:
    for last, at in (
        (LastKnown(place(100, 3), 5, None, end_of(99)), place(100, 3)),
        (LastKnown(place(100, 3), 5, None, end_of(200)), end_of(200)),
        (LastKnown(None, 5, None, end_of(200)), end_of(200)),
        (LastKnown(place(100, 3), 5, None, None), place(100, 3)),
    ):
        assert EventSync("stellar", "events", last).cursor == at
    topic = Topic(LastKnown(place(100, 3), 5, None, end_of(99)))
    topic.page(event(100, 3), event(100, 4))
    assert topic.ids == [place(100, 4)]


def test_written_up_to_is_the_close_of_the_last_whole_ledger() -> None:
    topic = Topic()
    topic.page(event(100, 0), event(100, 1))
    assert topic.sync.event_ms == close_ms(100) - 1
    topic.page(event(100, 2), cursor=end_of(100), window=Window(1, 500))
    assert topic.sync.event_ms == close_ms(100)
    topic.page(cursor=end_of(300), window=Window(1, 500, close_ms(500)))
    assert topic.sync.event_ms == close_ms(100)
    topic.page(event(400), cursor=end_of(500), window=Window(1, 500, 0))
    assert topic.sync.event_ms == close_ms(400)
    assert topic.sync.clock == "exchange"


def test_where_a_node_tells_no_times_a_quiet_chain_moves_on_by_ours() -> None:
    topic = Topic()
    topic.page(cursor=end_of(90), window=Window(1, 100), now_ms=NOW_MS)
    assert topic.sync.event_ms == 0
    for ledger in range(100, 200):
        topic.page(cursor=end_of(ledger), window=Window(1, ledger), now_ms=close_ms(ledger))
        assert topic.sync.event_ms == close_ms(ledger) - 60_000
        assert topic.sync.clock == "received"
    topic.page(cursor=end_of(199), window=Window(1, 199), now_ms=close_ms(900))
    assert topic.sync.event_ms == close_ms(199) - 60_000
    topic.page(event(200), cursor=end_of(200), window=Window(1, 200), now_ms=close_ms(201))
    assert (topic.sync.event_ms, topic.sync.clock) == (close_ms(200), "exchange")
    assert topic.gaps == []


def test_a_quiet_chain_moves_on_by_its_own_clock() -> None:
    topic = Topic()
    topic.page(event(100), cursor=end_of(100), window=Window(1, 100, close_ms(100)))
    topic.page(cursor=end_of(103), window=Window(1, 103, close_ms(103)))
    assert (topic.sync.event_ms, topic.sync.cursor) == (close_ms(103), end_of(103))


def test_one_bad_clock_of_the_node_moves_nothing_and_two_do() -> None:
    topic = Topic()
    day_ms = 86_400_000
    topic.page(event(100), cursor=end_of(100))
    topic.page(cursor=end_of(101), window=Window(1, 101, close_ms(101) + day_ms))
    assert topic.sync.event_ms == close_ms(100)
    topic.page(cursor=end_of(102), window=Window(1, 102, close_ms(102)))
    assert topic.sync.event_ms == close_ms(102)
    for ledger in (103, 104):
        window = Window(1, ledger, close_ms(ledger) + day_ms)
        topic.page(cursor=end_of(ledger), window=window)
    assert topic.sync.event_ms == close_ms(104) + day_ms


def test_a_time_far_ahead_is_asked_for_again_and_nothing_is_lost() -> None:
    topic = Topic()
    topic.page(event(100), now_ms=NOW_MS)
    early = [event(101, ahead_ms=7_200_000), event(102, ahead_ms=7_200_000)]
    topic.page(*early, cursor=end_of(102), now_ms=NOW_MS)
    assert topic.sync.cursor == place(100, 0)
    assert not topic.sync.settled
    topic.page(event(101), event(102), cursor=end_of(102), now_ms=NOW_MS)
    assert topic.ids == [place(ledger, 0) for ledger in (100, 101, 102)]
    assert topic.sync.settled
    [refused] = topic.refused
    assert refused.event == early[0]
    assert "7205 s ahead" in refused.reason


def test_a_time_far_ahead_that_a_second_answer_gives_too_is_believed() -> None:
    topic = Topic()
    for _ in range(2):
        assert topic.ids == []
        topic.page(event(100), event(101), cursor=end_of(101), now_ms=NOW_MS - 10_000_000)
    assert topic.ids == [place(100, 0), place(101, 0)]
    assert topic.refused == []


def test_missing_ledgers_are_an_open_gap_closed_by_what_is_read_next() -> None:
    topic = Topic()
    topic.page(event(100), cursor=end_of(100))
    topic._run(topic.sync.take(Missing(101, 149), NOW_MS))
    topic._run(topic.sync.take(Missing(150, 199), NOW_MS))
    assert topic.sync.cursor == end_of(199)
    topic.page(event(205))
    opened, closed = topic.gaps
    assert (opened.first, opened.last, opened.cause) == (101, None, "retention")
    assert (opened.from_, opened.to) == (close_ms(100), None)
    assert (closed.first, closed.last, closed.cause) == (101, 199, "retention")
    assert (closed.from_, closed.to) == (close_ms(100), close_ms(205))
    assert [type(each.message) for each in topic.written] == [
        ContractEvent, Gap, Gap, ContractEvent,
    ]  # fmt: skip


def test_a_gap_is_closed_at_the_head_also_where_nothing_comes() -> None:
    topic = Topic()
    topic._run(topic.sync.take(Missing(1, 99), NOW_MS))
    topic.page(cursor=end_of(120), window=Window(100, 120, close_ms(120)))
    topic.page(cursor=end_of(121), window=Window(100, 121, close_ms(121)))
    [closed] = topic.gaps
    assert (closed.first, closed.last, closed.to) == (1, 99, close_ms(121))
    assert closed.from_ <= closed.to


def test_a_full_producer_loses_nothing_because_the_cursor_stays() -> None:
    topic = Topic()
    topic.page(event(100, 0))
    topic.has_room = False
    topic.page(event(100, 1), event(100, 2), cursor=end_of(100))
    assert topic.sync.muted
    assert topic.sync.cursor == place(100, 0)
    topic.has_room = True
    topic.page(event(100, 1), event(101, 0), cursor=end_of(101))
    assert topic.ids == [place(100, 0)]
    topic._run(topic.sync.speak())
    topic.page(event(100, 1), event(100, 2), event(101, 0), cursor=end_of(101))
    assert topic.ids == [place(100, 0), place(100, 1), place(100, 2), place(101, 0)]
    assert topic.gaps == []


@pytest.mark.parametrize("cause", ["disconnect", "stall", "garbage", "restart"])
def test_a_disturbance_is_no_loss(cause) -> None:
    topic = Topic()
    topic.page(event(100))
    assert topic.sync.disrupted(cause) == []
    topic.page(event(101))
    assert topic.gaps == []


def test_an_event_that_cannot_be_used_goes_whole_to_rejects_and_is_a_gap() -> None:
    topic = Topic()
    raw = b'{"id":"x"}'
    topic.page(event(100), BadEvent(msgspec.Raw(raw), "no id"), event(102))
    [refused] = topic.refused
    assert refused.reason == "no id"
    assert codec.encode(refused.event) == raw
    assert topic.ids == [place(100, 0), place(102, 0)]
    opened, closed = topic.gaps
    assert (opened.first, opened.last, opened.cause, opened.to) == (None, None, "garbage", None)
    assert (closed.first, closed.last, closed.cause) == (None, None, "garbage")
    assert closed.from_ < close_ms(101) < closed.to


def test_a_gap_with_ids_follows_one_without_and_both_are_closed() -> None:
    topic = Topic()
    topic.page(event(100), BadEvent(msgspec.Raw(b"{}"), "no id"), cursor=end_of(100))
    topic._run(topic.sync.take(Missing(101, 110), NOW_MS))
    assert not topic.sync.settled
    topic.page(event(120))
    assert [(gap.first, gap.last, gap.cause) for gap in topic.gaps] == [
        (None, None, "garbage"),
        (None, None, "garbage"),
        (101, None, "retention"),
        (101, 110, "retention"),
    ]
    assert topic.sync.settled


def test_an_answer_that_is_none_is_a_reject_and_no_loss() -> None:
    topic = Topic()
    topic._run(topic.sync.take(Garbage(msgspec.Raw(b"\xff"), "not JSON"), NOW_MS))
    assert [codec.encode(refused.event) for refused in topic.refused] == [b"\xff"]
    assert topic.written == []


def test_a_written_event_is_the_documents_message() -> None:
    topic = Topic()
    topic.page(event(100))
    told = json.loads(codec.encode(topic.written[0].message))
    assert told["type"] == "contract_event"
    assert (told["ledger"], told["topics"]) == (100, [{"symbol": "transfer"}])
    assert codec.decode_event(codec.encode(topic.written[0].message)).id == place(100, 0)
