"""Which deliveries come again, for whom, and that they end (rules 20, 22)."""

import json
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.gateway import OF_THE_SERVICE, Delivery, Outcome
from functions.logic.audience import Audience, Listener, Message
from functions.logic.pushing import Pushing, Ringing
from functions.logic.slow_connections import STALL_LIMIT_S, SlowConnections
from functions.logic.unfinished import Unfinished
from functions.logic.updates import Form, read_updates
from functions.logic.verdict import verdict
from functions.ring_blobs import RingRecord
from marketdata.errors import GatewayUnavailable
from marketdata.ring_items import Cursor, Source
from marketdata.subscriptions import Want

WANT = Want("ticks", rate="1s")
SOURCE = Source("ticks", 0)


class Clients:
    """Subscribers of one name; each takes posts until told otherwise, at most `room` in all."""

    def __init__(self, *names, room=10**6):
        self.got = {name: [] for name in names}
        self.room = room
        self.outcomes = {}
        self.late = []
        self.limits_s = {}

    def of(self, parts, _now_s) -> Audience:
        return {
            name: Listener(
                "stream",
                0,
                [
                    Message(one.text(Form("A/B")), one.cursor, "A/B", WANT)
                    for part in parts
                    for one in part.updates
                ],
            )
            for name in self.got
        }

    def post_many(self, messages, *, limits_s, until_s):
        del until_s
        self.limits_s = dict(limits_s)
        return {name: self._deliver(name, texts) for name, texts in messages.items()}

    def _deliver(self, name, texts):
        outcome = self.outcomes.get(name, Outcome.SENT)
        if outcome is not Outcome.SENT:
            return Delivery(skipped=len(texts) - 1, last=outcome)
        taken, self.room = texts[: self.room], self.room - len(texts[: self.room])
        self.got[name] += [json.loads(text)["price"] for text in taken]
        last = Outcome.SENT if taken else Outcome.NOT_TRIED
        return Delivery(sent=len(taken), skipped=len(texts) - len(taken), last=last)

    def put_late(self, connection_id, stage, name, want, now_s):
        self.late.append((connection_id, stage, name, want))


@pytest.fixture
def workers():
    with ThreadPoolExecutor(2) as made:
        yield made


@pytest.fixture
def push(workers):
    """`push(clients, prices)`: one delivery of a partition; the clock is the test's."""

    def make(clients, *prices, first=0):
        made = push.of.get(id(clients)) or Pushing(
            ringing=Ringing(SimpleNamespace(topic_id=lambda _: "life"), frozenset(), 0),
            connections=SimpleNamespace(forget=lambda *_: None),
            audiences=SimpleNamespace(of=clients.of, subscriptions=clients),
            posts=lambda _stage: clients,
            workers=workers,
            slow=SlowConnections(),
            clock=lambda: push.now_s,
        )
        push.of[id(clients)] = made
        records = [_record(first + at, price) for at, price in enumerate(prices)]
        return made.push({"records": {"ticks-0": records}}, now_ms=0, until_s=0)

    push = make
    push.of, push.now_s = {}, 100.0
    return push


def _value(price):
    return (
        f'{{"type":"price_update","symbol":"A/B","price":{price},"volume":null,'
        f'"timestamp":"t","source":"binance","rates":["1s"]}}'
    ).encode()


def _record(offset, price):
    return {
        "offset": offset,
        "timestamp": 0,
        "key": b64encode(b"binance:AB").decode(),
        "value": b64encode(_value(price)).decode(),
    }


def test_a_delivery_that_the_time_is_not_enough_for_ends_and_brings_each_message_once(push):
    """Each time there is room for seven posts; three clients are to have five each."""
    clients = Clients("a", "b", "c", room=7)
    for _ in range(2):
        with pytest.raises(GatewayUnavailable, match="the time was over before"):
            push(clients, 1, 2, 3, 4, 5)
        clients.room = 7
    push(clients, 1, 2, 3, 4, 5)
    assert clients.got == {one: [1, 2, 3, 4, 5] for one in "abc"}
    assert clients.late == []
    push(clients, 6, first=5)
    assert clients.got == {one: [1, 2, 3, 4, 5, 6] for one in "abc"}
    clients.room = 10**6
    push(clients, 1, 2, 3, 4, 5)  # it had succeeded: whoever delivers it again, posts it again
    assert clients.got["a"][6:] == [1, 2, 3, 4, 5]


def test_clients_that_are_all_dead_fail_a_delivery_for_a_bounded_time_then_never(push):
    clients = Clients("a", "b")
    clients.outcomes = dict.fromkeys("ab", Outcome.TIMED_OUT)
    begun_s = push.now_s
    while push.now_s < begun_s + STALL_LIMIT_S:
        with pytest.raises(GatewayUnavailable, match="timed_out"):
            push(clients, 1)
        assert clients.late == []
        push.now_s += 3
    assert push(clients, 1)["timed_out"] == 2
    assert clients.late == [(one, "stream", "A/B", WANT) for one in "ab"]
    assert push(clients, 2, first=1)["paused"] == 2
    for _ in range(5):
        push.now_s += 90
        assert push(clients, 3, first=2)["timed_out"] == 2
    clients.outcomes = {}
    push.now_s += 90
    push(clients, 4, first=3)
    clients.outcomes = dict.fromkeys("ab", Outcome.TIMED_OUT)
    with pytest.raises(GatewayUnavailable, match="timed_out"):
        push(clients, 5, first=4)


def test_dead_clients_beside_one_that_answers_fail_nothing_and_are_told_late(push):
    clients = Clients("a", "b", "c")
    clients.outcomes = dict.fromkeys("ab", Outcome.TIMED_OUT)
    push(clients, 1, 2)
    assert clients.got["c"] == [1, 2]
    assert sorted(one for one, *_ in clients.late) == ["a", "b"]
    assert push(clients, 3, first=2)["paused"] == 2
    assert len(clients.late) == 4


def test_whoever_makes_the_time_run_out_by_itself_is_slow_and_nothing_comes_again(push):
    clients = Clients("a")
    clients._deliver = lambda name, texts: Delivery(
        sent=1, skipped=len(texts) - 1, took_s=9.0, last=Outcome.SENT
    )
    assert push(clients, 1, 2, 3)["skipped"] == 2
    assert [one for one, *_ in clients.late] == ["a"]
    assert push(clients, 4, first=3)["paused"] == 1


DELIVERIES = st.dictionaries(
    st.sampled_from("abcdef"),
    st.builds(
        Delivery,
        sent=st.integers(0, 2),
        skipped=st.integers(0, 2),
        took_s=st.sampled_from([0.0, 60.0]),
        last=st.sampled_from(Outcome),
    ),
)


@given(DELIVERIES, st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef")))
def test_nothing_ever_comes_again_for_one_that_hangs_alone_or_is_known_to(
    deliveries, slow, hanging
):
    """`hanging` are known to hang by themselves: with them alone a delivery is done."""
    found = verdict(deliveries, slow, lambda ids: set(ids) - hanging)
    assert bool(found.again) == bool(found.why)
    for one in found.again:
        delivery = deliveries[one]
        if delivery.last is Outcome.TIMED_OUT:
            assert one not in hanging
            assert not any(each.sent for each in deliveries.values())
            assert len(found.again) > 1
        elif delivery.last not in OF_THE_SERVICE:
            assert one not in slow
            assert delivery.last in {Outcome.SENT, Outcome.TOO_LARGE, Outcome.NOT_TRIED}


def test_what_is_remembered_of_a_failure_is_of_its_source_life_and_form_only():
    unfinished = Unfinished()
    records = [RingRecord(n, b"binance:AB", _value(n), 0, {"type": "x"}) for n in range(3)]
    updates, _ = read_updates(SOURCE, "life", records)
    texts = [Message(one.text(Form("A/B")), one.cursor, "A/B", WANT) for one in updates]
    others = [
        texts[0]._replace(name="AB"),
        texts[0]._replace(is_registered=True, name="A/B"),
        texts[0]._replace(cursor=Cursor("ticks", "next life", 0, 0)),
        texts[0]._replace(cursor=Cursor("ticks", "life", 1, 0)),
    ]
    unfinished.note({"a": Listener("stream", 0, texts)}, {"a": Delivery(sent=2)})
    audience = {one: Listener("stream", 0, [*texts, *others]) for one in "ab"}
    left = unfinished.left(audience)
    assert left["a"].messages == [texts[2], *others]
    assert left["b"].messages == [*texts, *others]
    unfinished.done([SOURCE])
    assert unfinished.left(audience) == audience
