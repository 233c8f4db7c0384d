"""The poller against a node that knows the truth: every event once, or a gap that says it."""

import json
import random
import threading

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from container_worker.capture.emissions import Refuse, Write
from container_worker.capture.event_sync import EventSync, ledger_of
from container_worker.capture.last_known import LastKnown
from container_worker.capture.poller import Pollers
from container_worker.exchanges.polling import Query
from container_worker.exchanges.stellar import ADAPTER
from local.exchanges.stellar.chain import Chain
from local.exchanges.stellar.get_events import Bounds
from local.exchanges.stellar.methods import Methods
from marketdata.errors import BrokerError, ExchangeError, ExchangeUnavailable, RateLimited
from marketdata.messages import ContractEvent, Gap
from marketdata.times import parse_iso_ms

START_MS = 1_795_168_830_000
LEDGER_MS = 5_000


class Node:
    """A chain, and how it is asked; `trouble` may stand in the way of one answer."""

    def __init__(self, seed=1, *, retention=200, scanned=40):
        self.chain = Chain(seed, START_MS, ledger_ms=LEDGER_MS, retention=retention)
        self._methods = Methods(self.chain, Bounds(most_events=1000, scanned_ledgers=scanned))
        self.asked, self.troubles = [], []

    def get(self, request):
        self.asked.append(request)
        trouble = self.troubles.pop(0) if self.troubles else None
        if isinstance(trouble, Exception):
            raise trouble
        body = self._methods.answer(request.body).body
        return body if trouble is None else trouble(body)

    @property
    def methods(self):
        return [json.loads(request.body)["method"] for request in self.asked]

    def close(self, ledgers=1):
        self.chain.live(self.chain.now_ms + ledgers * LEDGER_MS)

    def ids(self, first, last):
        return [
            str(event.at)
            for ledger in range(first, last + 1)
            for event in self.chain.events(ledger)
        ]


class Line:
    """Runs a core as capture's line does, into a list; `has_room` is asked for each event."""

    def __init__(self, node, last=None, records=None, has_room=lambda: True):
        self.sync = EventSync("stellar", "events", last)
        self.node = node
        self.records = [] if records is None else records
        self.rejects = []
        self.has_room = has_room
        self.failure = None

    def feed_page(self, page, received_ns, source):
        if self.failure:
            raise self.failure
        now_ms = self.node.chain.now_ms
        for event in page.events:
            self._run(self.sync.take(event, now_ms))
        self._run(self.sync.reached(page.cursor, page.window))

    def _run(self, emissions):
        for number, each in enumerate(emissions):
            if isinstance(each, Refuse):
                self.rejects.append(each)
            elif isinstance(each.message, Gap) or self.has_room():
                self.records.append(each)
            else:
                unsent = [one for one in emissions[number:] if isinstance(one, Write)]
                self._run(self.sync.overflow(unsent))
                return

    @property
    def ids(self):
        return [each.id for each in self.records if isinstance(each.message, ContractEvent)]

    @property
    def gaps(self):
        return [each.message for each in self.records if isinstance(each.message, Gap)]


def pollers(node, line, *, changed=lambda: None, poll_s=60.0, notes=(), **query):
    return Pollers(
        "stellar",
        ADAPTER.polling,
        Query(**{"limit": 50} | query),
        get=node.get,
        line=line,
        cursor=lambda: line.sync.cursor,
        poll_s=poll_s,
        changed=changed,
        notes=notes,
    )


def begun(node, line, **query):
    poller = pollers(node, line, **query).open()
    poller._begin()
    return poller


def drain(poller):
    while poller._has_more():
        pass


def test_a_first_start_without_a_ledger_begins_at_the_newest() -> None:
    node = Node()
    line = Line(node)
    first = node.chain.latest
    drain(begun(node, line))
    assert line.ids == node.ids(first, first)
    assert ledger_of(line.sync.cursor) == first


def test_pages_go_on_at_once_until_the_head_and_then_wait_for_a_ledger() -> None:
    node = Node()
    line = Line(node)
    first = node.chain.latest - 150
    poller = begun(node, line, start_ledger=first)
    drain(poller)
    assert line.ids == node.ids(first, node.chain.latest)
    asked = len(node.asked)
    assert asked > 10
    assert not poller._has_more()
    node.close()
    drain(poller)
    assert line.ids == node.ids(first, node.chain.latest)
    assert len(node.asked) == asked + 2
    assert line.gaps == []


def test_empty_pages_far_behind_the_head_are_no_reason_to_wait() -> None:
    node = Node(scanned=10)
    line = Line(node)
    poller = begun(
        node,
        line,
        start_ledger=node.chain.latest - 150,
        filters=b'[{"topics":[["AAAADwAAAAdub19zdWNoAA=="]]}]',
    )
    drain(poller)
    # A page after a cursor begins in the cursor's ledger, so it brings nine new ones.
    assert len(node.asked) == 1 + 1 + 16
    assert line.records == []
    assert ledger_of(line.sync.cursor) == node.chain.latest


@pytest.mark.parametrize("encoding", ["json", "base64"])
def test_both_formats_give_the_same_events(encoding) -> None:
    node = Node()
    line = Line(node)
    first = node.chain.latest - 60
    drain(begun(node, line, start_ledger=first, xdr_format=encoding))
    truth = [
        event
        for ledger in range(first, node.chain.latest + 1)
        for event in node.chain.events(ledger)
    ]
    assert len(line.records) == len(truth)
    for record, event in zip(line.records, truth, strict=True):
        told = record.message
        assert json.loads(bytes(told.topics)) == [topic.json for topic in event.what.topics]
        assert json.loads(bytes(told.data)) == event.what.value.json
        assert told.transaction_hash == event.transaction_hash
        assert told.event_type == event.what.kind


def test_a_start_before_the_window_begins_at_the_oldest_and_says_what_is_missing() -> None:
    node = Node(retention=30)
    line = Line(node)
    drain(begun(node, line, start_ledger=2_000_000))
    oldest = node.chain.oldest
    assert line.ids == node.ids(oldest, node.chain.latest)
    [closed] = line.gaps
    assert (closed.first, closed.last, closed.cause) == (2_000_000, oldest - 1, "retention")
    assert isinstance(line.records[0].message, Gap)


def test_a_cursor_that_the_node_has_no_more_is_a_gap_of_exactly_the_ledgers_lost() -> None:
    node = Node(retention=30)
    line = Line(node)
    poller = begun(node, line)
    drain(poller)
    last = node.chain.latest
    node.close(100)
    drain(poller)
    _, closed = line.gaps
    assert (closed.first, closed.last) == (last + 1, node.chain.oldest - 1)
    assert line.ids == node.ids(last, last) + node.ids(node.chain.oldest, node.chain.latest)


def test_no_gap_where_the_cursors_ledger_alone_has_gone() -> None:
    node = Node(retention=30)
    line = Line(node)
    poller = begun(node, line)
    drain(poller)
    last = node.chain.latest
    node.close(30)
    assert node.chain.oldest == last + 1
    drain(poller)
    assert line.gaps == []
    assert line.ids == node.ids(last, node.chain.latest)


def test_a_ledger_that_is_not_there_yet_is_waited_for() -> None:
    node = Node()
    line = Line(node)
    first = node.chain.latest + 2
    poller = begun(node, line, start_ledger=first)
    assert not poller._has_more()
    assert poller.is_accepted
    node.close(2)
    drain(poller)
    assert line.ids == node.ids(first, first)


def test_a_chain_that_ends_long_before_the_cursor_is_named() -> None:
    node = Node()
    line = Line(node, LastKnown(None, 0, None, f"{node.chain.latest + 5_000 << 32:019d}-1"))
    poller = begun(node, line)
    with pytest.raises(ExchangeUnavailable, match="another network's node, or was it reset"):
        poller._has_more()


def test_an_error_ends_the_link_and_the_next_one_goes_on_at_the_cursor() -> None:
    node = Node()
    line = Line(node)
    first = node.chain.latest - 100
    plan = pollers(node, line, start_ledger=first)
    errors = [ExchangeUnavailable("503"), RateLimited("429", retry_after_s=3)]
    for trouble in errors:
        poller = plan.open()
        poller._begin()
        node.troubles = [None, None, trouble]
        with pytest.raises(ExchangeError, match=str(trouble)):
            drain(poller)
    poller = plan.open()
    poller._begin()
    drain(poller)
    assert line.ids == node.ids(first, node.chain.latest)


def test_an_answer_that_is_none_goes_to_rejects_and_is_asked_for_again() -> None:
    node = Node()
    line = Line(node)
    first = node.chain.latest - 20
    plan = pollers(node, line, start_ledger=first)
    poller = plan.open()
    poller._begin()
    for spoilt in (lambda body: body[: len(body) // 2], lambda _: b"\xff\xfe", lambda _: b""):
        node.troubles = [spoilt]
        with pytest.raises(ExchangeUnavailable, match="an answer that is none"):
            poller._has_more()
        assert poller.cause == "garbage"
    assert len(line.rejects) == 3
    assert msgspec.json.encode(line.rejects[1].event) == b"\xff\xfe"
    poller = plan.open()
    poller._begin()
    drain(poller)
    assert line.ids == node.ids(first, node.chain.latest)
    assert line.gaps == []


def test_the_thread_is_a_link_accepted_at_the_first_answer_and_closed_at_once() -> None:
    node = Node()
    line = Line(node)
    called = threading.Event()
    poller = pollers(node, line, changed=called.set).open()
    poller.start()
    assert called.wait(5)
    assert poller.is_accepted
    assert poller.opened_s is not None
    assert poller.data_ns > 0
    poller.close("stall")
    poller.join(5)
    assert not poller.is_alive()
    assert (poller.is_gone, poller.error, poller.cause) == (True, None, "stall")


def test_the_thread_ends_with_its_error_and_never_accepted() -> None:
    node = Node()
    node.troubles = [ExchangeUnavailable("nothing listens")]
    poller = pollers(node, Line(node)).open()
    poller.start()
    poller.join(5)
    assert (poller.is_gone, poller.is_accepted) == (True, False)
    assert "nothing listens" in str(poller.error)


def test_a_refusal_by_kafka_is_the_links_error() -> None:
    node = Node()
    line = Line(node)
    line.failure = BrokerError("refused")
    poller = pollers(node, line).open()
    poller.start()
    poller.join(5)
    assert poller.error is line.failure


def test_the_notes_are_logged_once_and_a_secret_never(caplog) -> None:
    node = Node()
    line = Line(node)
    plan = pollers(node, line, notes=("only one topic",), auth_header="Bearer s3cret")
    node.troubles = [ExchangeUnavailable("x"), None, lambda _: b"{"]
    for _ in range(3):
        poller = plan.open()
        poller.start()
        poller.close()
        poller.join(5)
    logged = "".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert logged.count("only one topic") == 1
    assert "s3cret" not in logged + repr(poller) + str(poller.error) + repr(plan)
    assert all(dict(each.headers)["Authorization"] == "Bearer s3cret" for each in node.asked)


class World:
    """A seeded plan of troubles; then quiet, and everything is compared with the truth."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.node = Node(seed % 7, retention=self.chance.choice((25, 200)), scanned=15)
        self.first = self.node.chain.latest
        self.records, self.watermarks = [], []
        self.full = self.calm = False
        self._restart()

    def _restart(self):
        """A new process: all that it knows is what the topic says."""
        ids = [each.id for each in self.records if isinstance(each.message, ContractEvent)]
        event_ms, cursor, _ = self.watermarks[-1] if self.watermarks else (0, None, 0)
        last = LastKnown(ids[-1] if ids else None, event_ms, None, cursor)
        self.line = Line(self.node, last if ids or cursor else None, self.records, self._room)
        limit = self.chance.choice((1, 3, 50))
        self.plan = pollers(self.node, self.line, start_ledger=self.first, limit=limit)
        self.poller = None

    def _room(self):
        if not (self.full or self.calm) and self.chance.random() < 0.002:
            self.full = True
        return not self.full

    def step(self):
        kind = self.chance.random()
        if kind < 0.3:
            self.node.close(self.chance.choice((1, 1, 1, 2, 5, 40)))
        elif kind < 0.4:
            self.node.troubles = [self.chance.choice((ExchangeUnavailable("x"), self._spoil))]
        elif kind < 0.43:
            self._restart()
        elif kind < 0.5 and self.full:
            self.full = False
            if self.line.sync.muted:
                self.line._run(self.line.sync.speak())
        elif kind < 0.6:
            self._watermark()
        else:
            self._poll()

    def _spoil(self, body):
        return self.chance.choice((b"", b"{}", body[:-9], b'{"result":{}}'))

    def _poll(self):
        if self.poller is None:
            self.poller = self.plan.open()
        try:
            if not self.poller.is_accepted:
                self.poller._begin()
            self.poller._has_more()
        except ExchangeUnavailable:
            self.poller = None
            assert self.line.sync.disrupted("disconnect") == []

    def _watermark(self):
        sync = self.line.sync
        if sync.settled and sync.cursor:
            self.watermarks.append((sync.event_ms, sync.cursor, len(self.records)))

    def settle(self):
        self.node.troubles, self.full, self.calm = [], False, True
        if self.line.sync.muted:
            self.line._run(self.line.sync.speak())
        self.node.close(1)
        self._poll()
        drain(self.poller)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_whatever_happens_every_event_is_written_once_or_lies_in_a_gap(seed) -> None:
    world = World(seed)
    for _ in range(150):
        world.step()
    world.settle()
    chain, line = world.node.chain, world.line
    lost = set()
    for gap in line.gaps:
        if gap.last is not None:
            assert gap.cause == "retention"
            lost |= set(range(gap.first, gap.last + 1))
    assert not lost or max(lost) < chain.oldest
    assert line.ids == sorted(set(line.ids))
    wanted = world.node.ids(world.first, chain.latest)
    assert [id_ for id_ in wanted if ledger_of(id_) not in lost] == [
        id_ for id_ in line.ids if ledger_of(id_) not in lost
    ]
    for event_ms, _, count in world.watermarks:
        later = [each for each in world.records[count:] if type(each.message) is ContractEvent]
        assert all(parse_iso_ms(each.message.timestamp) > event_ms for each in later)
