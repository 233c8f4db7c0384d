"""What the keeper decides: every promise as a rule over made-up times, and at random."""

from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st

from container_worker.keep.connection import (
    Announce,
    Ask,
    Close,
    Connection,
    Forget,
    Outcome,
    Pong,
    Reason,
    read_connection,
)
from container_worker.keep.decisions import GOODBYE_MS, SLOW_BEATS, YOUNG_MS, Decisions, Flows
from container_worker.keep_settings import KeepTimes

TIMES = KeepTimes()
T0 = 1_700_000_000_000
UNKNOWN = Flows(None, {})
QUIET = Flows(T0, {})


def of(stage="stream", connected_ms=T0, **more):
    return Connection("c1", stage, connected_ms, **more)


def run(connection, until_s, *, flows=QUIET, outcome=Outcome.DONE, from_ms=T0, step_s=2):
    """Sweeps from T0 on, every action with the same outcome; yields (second, action)."""
    decisions = Decisions(TIMES, from_ms)
    found = []
    for second in range(0, until_s + 1, step_s):
        now_ms = T0 + second * 1000
        for action in decisions.decide([connection], now_ms, flows):
            found.append((second, action))
            decisions.done(action, outcome, now_ms)
    return found


def kinds(found, kind):
    return [second for second, action in found if isinstance(action, kind)]


def test_a_client_of_ws_that_does_not_register_is_closed_after_its_ten_seconds():
    found = run(of("ws"), 30, outcome=Outcome.FAILED)
    assert kinds(found, Close)[0] == 10
    assert {action.reason for _, action in found} == {Reason.UNREGISTERED}
    assert kinds(run(of("ws", registered=True), 60), Close) == []
    assert kinds(run(of("stream"), 60), Close) == []


def test_a_registration_that_is_worked_on_is_waited_for_and_one_that_died_is_not():
    registering = of("ws", registering_until_ms=T0 + 38_000)
    assert kinds(run(registering, 60), Close) == [38]


def test_a_message_that_came_in_time_has_ten_more_seconds_to_become_a_registration():
    assert kinds(run(of("ws", last_in_ms=T0 + 9_000), 60), Close)[0] == 20
    assert kinds(run(of("ws", last_in_ms=T0 + 4_000), 60), Close)[0] == 14
    assert kinds(run(of("ws", last_in_ms=T0 + 10_001), 60), Close)[0] == 10


def test_who_only_pings_is_closed_twenty_seconds_after_connecting_at_the_latest():
    decisions, closed = Decisions(TIMES, T0), []
    for second in range(61):
        pinging = of("ws", last_in_ms=T0 + second * 1000)
        for action in decisions.decide([pinging], T0 + second * 1000, QUIET):
            closed.append(second)
            decisions.done(action, Outcome.CHANGED, T0 + second * 1000)
    assert closed[0] <= 20


def test_a_pong_comes_every_thirty_seconds_on_stream_and_nowhere_else():
    found = run(of(last_in_ms=T0), 300, flows=UNKNOWN)
    assert kinds(found, Pong) == list(range(30, 301, 30))
    assert kinds(run(of("ws", registered=True), 300), Pong) == []
    assert kinds(run(of("candles"), 300), Pong) == []


def test_pongs_are_spread_by_the_moment_of_connecting():
    ids = [Connection(f"c{n}", "stream", T0 + n * 100) for n in range(300)]
    decisions, crowds = Decisions(TIMES, T0), []
    for second in range(30, 90, 2):
        now_ms = T0 + second * 1000
        actions = decisions.decide(ids, now_ms, UNKNOWN)
        crowds.append(len(actions))
        for action in actions:
            decisions.done(action, Outcome.DONE, now_ms)
    assert sum(crowds) == 300 + 281  # of the second beat those that are due by then
    assert max(crowds) <= 21


def test_a_new_keeper_goes_on_where_the_other_one_had_swept():
    connection = of(connected_ms=T0 - 65_000)
    # Beats are due at -35, -5, 25 s; the other keeper swept up to -10 s.
    found = run(connection, 60, flows=UNKNOWN, from_ms=T0 - 10_000)
    assert kinds(found, Pong) == [0, 26, 56]
    found = run(connection, 60, flows=UNKNOWN, from_ms=T0)
    assert kinds(found, Pong) == [26, 56]


def test_a_pong_that_was_not_sent_is_sent_by_the_next_sweep_and_a_lost_one_is_not():
    assert kinds(run(of(), 40, outcome=Outcome.UNREACHABLE), Pong) == [30, 32, 34, 36, 38, 40]
    assert kinds(run(of(), 58, outcome=Outcome.FAILED), Pong) == [30]


def test_a_client_that_does_not_take_its_pong_is_left_alone_for_some_beats():
    found = kinds(run(of(), 300, flows=UNKNOWN, outcome=Outcome.TIMED_OUT), Pong)
    assert found[:2] == [30, 30 + SLOW_BEATS * 30]


def test_five_minutes_without_a_message_either_way_are_idle_and_never_earlier():
    # The stored time may be behind by as much as KEEP_TOUCH_S.
    touch = round(TIMES.touch_s)
    assert kinds(run(of(), 450), Close)[0] == 300 + touch
    said = of(last_in_ms=T0 + 100_000)
    assert kinds(run(said, 600), Close)[0] == 400 + touch


def test_what_flows_keeps_a_subscriber_from_being_idle_and_pongs_do_not():
    served = of(names=("BTC/USD", "ETH/USD"))
    flowing = Flows(T0, {"ETH/USD": T0 + 200_000})
    found = run(served, 600, flows=flowing)
    assert kinds(found, Close)[0] == 500
    assert kinds(found, Pong)[:3] == [30, 60, 90]
    of_others = Flows(T0, {"SOL/USD": T0 + 200_000})
    assert kinds(run(served, 600, flows=of_others), Close)[0] == 360


def test_nobody_is_idle_for_want_of_a_flow_that_nobody_watched():
    served = of(names=("BTC/USD",))
    assert kinds(run(served, 600, flows=UNKNOWN), Close) == []
    since = Flows(T0 + 150_000, {"BTC/USD": T0 - 50_000})
    assert kinds(run(served, 600, flows=since), Close)[0] == 450
    assert kinds(run(of(), 600, flows=UNKNOWN), Close)[0] == 360
    assert kinds(run(of(registered=True), 900), Close) == []
    assert kinds(run(of("ws", registered=True), 900), Close) == []


def test_a_close_stands_only_while_what_it_was_for_holds():
    read = of(names=("A",), last_in_ms=5)
    assert Close(read, Reason.IDLE).stands(read, T0)
    assert not Close(read, Reason.IDLE).stands(read._replace(last_in_ms=6), T0)
    assert not Close(read, Reason.IDLE).stands(read._replace(names=("A", "B")), T0)
    assert Close(read, Reason.REVOKED).stands(read._replace(last_in_ms=6), T0)


def test_who_registers_after_the_sweeps_reading_is_not_closed():
    close = Close(of("ws"), Reason.UNREGISTERED)
    assert close.stands(of("ws"), T0)
    assert not close.stands(of("ws", registered=True), T0)
    assert not close.stands(of("ws", last_in_ms=T0 - 1), T0)
    begun = of("ws", registering_until_ms=T0 + 1)
    assert not close.stands(begun, T0)
    assert close.stands(begun, T0 + 1)


def test_a_closed_connection_is_cleared_up_when_its_goodbye_did_not_do_it():
    found = run(of("ws"), 40)
    assert kinds(found, Close) == [10]
    assert kinds(found, Forget)[0] == 10 + GOODBYE_MS // 1000


def test_a_connection_that_is_gone_is_forgotten_and_a_young_one_is_not():
    found = run(of("ws", registered=True), 100, outcome=Outcome.GONE)
    assert kinds(found, Ask)[0] == 90
    assert kinds(found, Forget)[0] == 92
    young = run(of("ws"), YOUNG_MS // 1000 + 2, outcome=Outcome.GONE)
    assert kinds(young, Close) == list(range(10, 31, 2))
    assert kinds(young, Forget) == [32]


def test_life_is_asked_for_only_after_ninety_seconds_without_a_sign():
    assert kinds(run(of(), 300, flows=UNKNOWN), Ask) == []  # each pong's 200 is a sign
    assert kinds(run(of("ws", registered=True), 300), Ask) == [90, 180, 270]
    spoke = of("ws", registered=True, last_in_ms=T0 + 60_000)
    assert kinds(run(spoke, 300), Ask) == [150, 240]


def test_a_gateway_that_fails_is_not_asked_by_every_sweep():
    found = kinds(run(of("ws", registered=True), 150, outcome=Outcome.FAILED), Ask)
    assert found == [90, 106, 122, 138]


def test_a_new_keeper_does_not_ask_for_all_connections_at_once():
    known = [Connection(f"c{n}", "ws", T0 - 1_000_000, registered=True) for n in range(900)]
    decisions, crowds = Decisions(TIMES, T0), []
    for second in range(0, 92, 2):
        now_ms = T0 + second * 1000
        actions = decisions.decide(known, now_ms, QUIET)
        crowds.append(len(actions))
        for action in actions:
            decisions.done(action, Outcome.DONE, now_ms)
    assert sum(crowds) >= 900
    assert max(crowds) < 60


def test_who_resumes_is_told_five_minutes_before_the_end_and_nobody_else():
    connected = T0 - 6_880_000  # the notice is due in 20 s
    resuming = of("ws", connected, registered=True, resume=True)
    [(second, notice)] = [
        one for one in run(resuming, 20, step_s=20) if isinstance(one[1], Announce)
    ]
    assert (second, notice.deadline_ms) == (20, connected + 7_200_000)
    assert kinds(run(resuming._replace(resume=False), 60), Announce) == []
    assert kinds(run(resuming._replace(told=True), 60), Announce) == []
    over = resuming._replace(connected_ms=T0 - 7_200_000)
    assert kinds(run(over, 60), Announce) == []


def test_connections_of_a_revoked_key_are_closed_and_later_ones_are_not():
    decisions = Decisions(TIMES, T0)
    one, other = of("ws", registered=True, key_id="k1"), of("ws", registered=True, key_id="k2")
    [action] = decisions.decide([one], T0 + 1000, QUIET, {"k1": T0 + 1})
    assert action == Close(one, Reason.REVOKED)
    assert Decisions(TIMES, T0).decide([other], T0 + 1000, QUIET, {"k1": T0 + 1}) == []
    assert Decisions(TIMES, T0).decide([one], T0 + 1000, QUIET, {"k1": T0}) == []
    assert Decisions(TIMES, T0).decide([of("ws")], T0 + 1000, QUIET, {"k1": T0 + 9}) == []


def test_a_connection_that_one_sweep_missed_gets_no_second_pong_for_its_beat():
    decisions, pongs = Decisions(TIMES, T0), 0
    for second in range(0, 61, 2):
        now_ms = T0 + second * 1000
        listed = [] if second in (34, 36, 38) else [of()]
        for action in decisions.decide(listed, now_ms, UNKNOWN):
            pongs += isinstance(action, Pong)
            decisions.done(action, Outcome.DONE, now_ms)
    assert pongs == 2


def test_the_memory_holds_only_what_is_listed():
    decisions = Decisions(TIMES, T0)
    many = [Connection(f"c{n}", "stream", T0) for n in range(1000)]
    decisions.decide(many, T0, UNKNOWN)
    assert len(decisions) == 1000
    decisions.decide(many[:10], T0 + 31_000, UNKNOWN)
    assert len(decisions) == 10


STAGES = st.sampled_from(["stream", "ws", "candles"])
CONNECTIONS = st.builds(
    Connection,
    id=st.sampled_from([f"c{n}" for n in range(6)]),
    stage=STAGES,
    connected_ms=st.integers(T0 - 8_000_000, T0 + 100_000),
    key_id=st.sampled_from(["", "k1", "k2"]),
    last_in_ms=st.just(0) | st.integers(T0 - 500_000, T0 + 100_000),
    names=st.lists(st.sampled_from("AB"), unique=True).map(tuple),
    registered=st.booleans(),
    registering_until_ms=st.just(0) | st.integers(T0, T0 + 100_000),
    resume=st.booleans(),
    told=st.booleans(),
)
SWEEPS = st.lists(
    st.tuples(
        st.integers(0, 40_000),
        st.lists(CONNECTIONS, unique_by=lambda one: one.id),
        st.lists(st.tuples(st.integers(0, 5), st.sampled_from(Outcome)), max_size=4),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(sweeps=SWEEPS, since=st.none() | st.integers(T0 - 100_000, T0 + 100_000))
def test_at_random_one_action_at_a_time_is_due_and_each_has_its_reason(sweeps, since):
    decisions, now_ms, under_way = Decisions(TIMES, T0), T0, {}
    flows = Flows(since, MappingProxyType({"A": T0}))
    for passed_ms, listed, outcomes in sweeps:
        now_ms += passed_ms
        for number, outcome in outcomes:
            action = under_way.pop(f"c{number}", None)
            if action is not None:
                decisions.done(action, outcome, now_ms)
        for action in decisions.decide(listed, now_ms, flows, {"k1": T0}):
            one = action.connection
            assert one in listed
            assert one.id not in under_way
            under_way[one.id] = action
            holds_what_it_says(action, now_ms)


def holds_what_it_says(action, now_ms):
    one = action.connection
    age_ms = now_ms - one.connected_ms
    match action:
        case Pong():
            assert one.stage == "stream"
            assert age_ms >= 30_000
        case Announce(_, deadline_ms):
            assert one.resume
            assert not one.told
            assert 0 < deadline_ms - now_ms <= 300_000
        case Close(_, Reason.IDLE):
            assert one.stage == "stream"
            assert now_ms - max(one.connected_ms, one.last_in_ms) >= 360_000
        case Close(_, Reason.UNREGISTERED):
            assert (one.stage, one.registered) == ("ws", False)
            assert one.registering_until_ms <= now_ms
            assert age_ms >= 10_000
        case Close(_, Reason.REVOKED):
            assert one.key_id == "k1"
            assert one.connected_ms < T0


def test_an_item_that_does_not_say_when_it_was_connected_is_cleared_up():
    broken = read_connection("ws", "c1", {"last_in_ms": {"N": str(T0)}})
    assert kinds(run(broken, 10), Close)[0] == 0
    assert kinds(run(broken, 10, outcome=Outcome.GONE), Forget)[0] == 2
