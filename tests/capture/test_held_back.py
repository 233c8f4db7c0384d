"""What runs ahead while two sockets are open: nothing that was received is thrown away."""

import random

import pytest

from container_worker.capture import held_back
from container_worker.capture.emissions import Recover, Write
from container_worker.capture.trade_sync import TradeSync
from container_worker.exchanges.outcomes import Trade
from marketdata.messages import Gap

NOW = 1_723_161_600_000


def trade(id_):
    return Trade("T", id_, NOW + id_, "10", "1", "BUY")


class Topic:
    """A core that two sockets feed, and what it wrote."""

    def __init__(self, first=10) -> None:
        self.core = TradeSync("x", "T", "T/X", recovers=True)
        self.ids, self.gaps, self.asked = [], [], []
        self.run(self.core.take(trade(first), NOW))
        self.run(self.core.share(two_sockets=True))

    def take(self, *ids):
        for id_ in ids:
            self.run(self.core.take(trade(id_), NOW))

    def run(self, emissions):
        for one in emissions:
            if isinstance(one, Recover):
                self.asked.append(tuple(one))
            elif isinstance(one, Write) and isinstance(one.message, Gap):
                self.gaps.append((one.message.first, one.message.last))
            elif isinstance(one, Write):
                self.ids.append(one.message.trade_id)


def test_when_too_much_waits_only_the_true_hole_is_given_up() -> None:
    topic = Topic()
    topic.take(*range(12, 12 + held_back.MOST))
    assert (topic.ids, topic.gaps) == ([10], [])
    topic.take(12 + held_back.MOST)
    assert topic.gaps == topic.asked == [(11, 11)]
    assert topic.ids == [10, *range(12, 13 + held_back.MOST)]
    topic.take(11)
    assert topic.core.repeats == 1


def test_a_second_hole_goes_on_waiting_for_the_other_socket(monkeypatch) -> None:
    monkeypatch.setattr(held_back, "MOST", 3)
    topic = Topic()
    topic.take(12, 13, 20, 21)
    assert (topic.ids, topic.gaps) == ([10, 12, 13], [(11, 11)])
    topic.take(*range(14, 20))
    assert (topic.ids, topic.gaps) == ([10, *range(12, 22)], [(11, 11)])


def test_an_event_that_is_lower_than_all_that_wait_is_not_lost_either(monkeypatch) -> None:
    monkeypatch.setattr(held_back, "MOST", 3)
    topic = Topic()
    topic.take(14, 16, 18, 12)
    assert (topic.ids, topic.gaps) == ([10, 12], [(11, 11)])
    topic.run(topic.core.share(two_sockets=False))
    assert topic.ids == [10, 12, 14, 16, 18]
    assert topic.gaps == [(11, 11), (13, 13), (15, 15), (17, 17)]


@pytest.mark.parametrize("seed", range(20))
def test_every_id_is_written_once_or_told_as_missing_once(seed, monkeypatch) -> None:
    monkeypatch.setattr(held_back, "MOST", 5)
    chance = random.Random(seed)
    topic = Topic()
    sockets = [[id_ for id_ in range(11, 200) if chance.random() < 0.8] for _ in range(2)]
    received = set(sockets[0]) | set(sockets[1])
    while any(sockets):
        topic.take(chance.choice([one for one in sockets if one]).pop(0))
    topic.run(topic.core.share(two_sockets=False))
    told = [id_ for first, last in topic.gaps for id_ in range(first, last + 1)]
    assert sorted(topic.ids) == topic.ids, f"seed {seed}"
    assert sorted(topic.ids + told) == list(range(10, max(topic.ids) + 1)), f"seed {seed}"
    # What came only after its hole was given up is told, and asked for.
    assert received - set(topic.ids) <= set(told), f"seed {seed}"
