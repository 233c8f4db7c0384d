"""Any plan of faults on numbered trades: each id is written once, or told as missing once.

The exchange and the reader are written from the rules and share no code with the product.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from container_worker.capture.emissions import Recover, Refuse, Restate, Write
from container_worker.capture.last_known import LastKnown
from container_worker.capture.trade_sync import BELIEVED_AFTER_MS, MOST_RECOVERED, TradeSync
from container_worker.exchanges.outcomes import Trade
from marketdata.messages import Gap

NOW = 1_723_161_600_000
STEP_MS = 700


def trade(id_, time_ms=NOW):
    return Trade("T", id_, time_ms, "61837.63", "0.02", "BUY")


def messages(emissions):
    return [each.message for each in emissions if isinstance(each, Write)]


class Topic:
    """What was written, by its ids, as a reader of rule 7 takes it."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.gaps: list[Gap] = []
        self.asked: list[tuple[int, int]] = []

    @property
    def last(self):
        return self.ids[-1] if self.ids else None

    def missing(self):
        told = [range(g.first, g.last + 1) for g in self.gaps if g.last is not None]
        return [id_ for one in told for id_ in one]

    def recovered(self):
        return [id_ for first, last in self.asked for id_ in range(first, last + 1)]


class Shell:
    """What the capture process does around a core that is numbered."""

    def __init__(self, core) -> None:
        self.core, self.topic, self.room = core, Topic(), True
        self.begun = False

    def run(self, emissions) -> None:
        for number, emission in enumerate(emissions):
            if isinstance(emission, Recover):
                self.topic.asked.append((emission.first, emission.last))
            elif isinstance(emission, Refuse | Restate):
                continue
            elif isinstance(emission.message, Gap):
                self.topic.gaps.append(emission.message)
            elif self.room:
                self.topic.ids.append(emission.id)
            else:
                rest = emissions[number:]
                self.run(self.core.overflow([one for one in rest if isinstance(one, Write)]))
                self.run([one for one in rest if not isinstance(one, Write | Recover)])
                return

    def restart(self, known_ms) -> None:
        """A new process, which knows what the topic has."""
        if self.room:
            known = LastKnown(self.topic.last, known_ms)
            self.core = TradeSync("x", "T", "T", known, recovers=True)

    def set_room(self, *, room) -> None:
        if room and not self.room:
            self.room = True
            self.run(self.core.speak() if self.core.muted else [])
        self.room = room


faults = st.sampled_from(
    ["deliver"] * 8
    + ["drop", "twice", "late", "cut", "both", "one", "full", "room", "wild_clock"]
    + ["named", "restart"]
)


@settings(max_examples=600, deadline=None)
@given(plan=st.lists(faults, min_size=5, max_size=60))
def test_every_trade_is_written_once_or_missing_once_and_asked_for(plan) -> None:
    shell = Shell(TradeSync("x", "T", "T", recovers=True))
    late: list[Trade] = []
    for number, fault in enumerate(plan, 1):
        apply_fault(fault, trade(number, NOW + number * STEP_MS), shell, late)
    shell.run(shell.core.share(two_sockets=False))
    shell.set_room(room=True)
    for one in late:
        shell.run(shell.core.take(one, NOW))
    for number in range(len(plan) + 1, len(plan) + 4):
        shell.run(shell.core.take(trade(number, NOW + number * STEP_MS), NOW))
    topic = shell.topic
    assert topic.ids == sorted(set(topic.ids))
    first = min(topic.ids + topic.missing())
    if "restart" not in plan and "full" not in plan:
        assert sorted(topic.ids + topic.missing()) == list(range(first, len(plan) + 4))
    else:
        assert set(topic.ids + topic.missing()) >= set(range(first, len(plan) + 4))
    assert set(topic.recovered()) == set(topic.missing())
    if "restart" not in plan:
        assert len(topic.recovered()) == len(set(topic.recovered()))
    assert all(gap.from_ <= gap.to for gap in topic.gaps if gap.to is not None)


def apply_fault(fault, one, shell, late) -> None:
    if fault == "late":
        late.append(one)
        return
    if fault in {"drop", "cut"}:
        shell.run(shell.core.disrupted("disconnect") if fault == "cut" else [])
        return
    if fault == "named":
        for later_ms in (0, BELIEVED_AFTER_MS):
            shell.run(shell.core.newest(one.id, one.time_ms + later_ms))
        return
    if fault == "restart" and shell.topic.ids:
        shell.restart(one.time_ms - STEP_MS)
        return
    disturb(fault, one, shell)
    if fault == "wild_clock":
        return
    shell.run(shell.core.take(one, NOW))
    if fault == "twice":
        shell.run(shell.core.take(one, NOW))
    elif late:
        shell.run(shell.core.take(late.pop(0), NOW))


def disturb(fault, one, shell) -> None:
    if fault in {"both", "one"}:
        shell.run(shell.core.share(two_sockets=fault == "both"))
    elif fault in {"full", "room"}:
        shell.set_room(room=fault == "room")
    elif fault == "wild_clock":
        shell.run(shell.core.take(trade(one.id, one.time_ms + 7_200_000), NOW))


def test_after_a_restart_the_first_trade_shows_the_hole() -> None:
    sync = TradeSync("x", "T", "T", LastKnown(5, NOW - 9_000), recovers=True)
    gap, _ = messages(out := sync.take(trade(9), NOW))
    assert gap == Gap(NOW, "T", "x", 6, 8, "restart", NOW - 9_000, NOW)
    assert Recover(6, 8) in out


def test_after_a_restart_without_a_hole_there_is_no_gap() -> None:
    sync = TradeSync("x", "T", "T", LastKnown(5, NOW - 9_000), recovers=True)
    assert sync.take(trade(5), NOW) == []
    assert len(sync.take(trade(6), NOW)) == 1
    [gap, _] = messages(sync.take(trade(8), NOW))
    assert gap.cause == "sequence"


def test_of_a_huge_hole_only_the_newest_trades_are_asked_for() -> None:
    sync = TradeSync("x", "T", "T", LastKnown(5, NOW), recovers=True)
    out = sync.take(trade(1_000_000), NOW)
    assert messages(out)[0].first == 6
    assert out[1] == Recover(1_000_000 - MOST_RECOVERED, 999_999)


def test_a_core_that_cannot_recover_asks_for_nothing() -> None:
    sync = TradeSync("x", "T", "T", LastKnown(5, NOW))
    assert len(sync.take(trade(9), NOW)) == 2


def test_counting_begins_with_the_trade_that_the_exchange_names() -> None:
    sync = TradeSync("x", "T", "T", recovers=True)
    assert sync.newest(7, NOW) == []
    assert [type(one).__name__ for one in sync.take(trade(9), NOW)] == [
        "Write",
        "Recover",
        "Write",
    ]


def test_a_named_trade_is_believed_when_it_is_named_again_and_has_not_come() -> None:
    sync = TradeSync("x", "T", "T", recovers=True)
    sync.take(trade(5), NOW)
    assert sync.newest(7, NOW) == []
    assert sync.newest(7, NOW + BELIEVED_AFTER_MS - 1) == []
    assert sync.newest(6, NOW + 1_000) == []
    out = sync.newest(8, NOW + 1_000)
    [gap] = messages(out)
    assert (gap.first, gap.last, out[1]) == (6, 7, Recover(6, 7))
    assert sync.take(trade(7), NOW) == []
    assert len(sync.take(trade(8), NOW)) == 1


def test_a_named_trade_that_comes_in_time_is_no_gap() -> None:
    sync = TradeSync("x", "T", "T", recovers=True)
    sync.take(trade(5), NOW)
    sync.newest(6, NOW)
    sync.take(trade(6), NOW)
    assert sync.newest(6, NOW + 1_000) == []
    assert sync.newest(7, NOW + 2_000) == []
    sync.take(trade(7), NOW)
    assert sync.newest(8, NOW + 3_000) == []


def test_recovered_trades_change_nothing_else() -> None:
    sync = TradeSync("x", "T", "T", recovers=True)
    sync.take(trade(9), NOW)
    assert [one.trade_id for one in messages(sync.fill([trade(6), trade(7)]))] == [6, 7]
    assert sync.last == 9
    assert len(sync.take(trade(10), NOW)) == 1
