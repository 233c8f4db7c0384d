"""The fold against what the tape's own plan expects, and its independence of cuts."""

import difflib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata.archive_fold import ArchiveFold
from marketdata.archive_layout import header_of
from marketdata.archive_state import PartitionState, decode_state, encode_state


def fold_all(records, cuts=()):
    """Objects by folding; at each cut the state goes through its JSON, as in a restart."""
    objects, folds = {}, {}
    for index, (topic, key, headers, value) in enumerate(records):
        fold = folds.setdefault(topic, ArchiveFold(topic, PartitionState()))
        if index in cuts:
            for name, one in folds.items():
                folds[name] = ArchiveFold(name, decode_state(encode_state(one.state)))
            fold = folds[topic]
        for rows in fold.fold(key, headers, value):
            there = objects.setdefault(rows.path, bytearray(header_of(rows.path)))
            assert rows.before == there.count(b"\n") - 1
            assert rows.lines == rows.data.count(b"\n")
            there += rows.data
    return {path: bytes(data) for path, data in objects.items()}


def assert_same(found, wanted):
    assert sorted(found) == sorted(wanted)
    for path, data in wanted.items():
        if found[path] != data:
            lines = difflib.unified_diff(
                data.decode().splitlines(),
                found[path].decode().splitlines(),
                path,
                "found",
                n=1,
            )
            pytest.fail("\n".join(list(lines)[:30]))


@pytest.mark.parametrize("seed", range(20))
def test_every_object_is_what_the_plan_of_the_tape_says(seeded_tape, seed):
    tape = seeded_tape(seed, 600)
    objects = tape.objects()
    assert_same(fold_all(tape.records), objects)
    assert len({path.split("/")[-1][:10] for path in objects}) == 2, "the tape crosses midnight"


@pytest.mark.parametrize("seed", range(20))
def test_every_exchange_s_objects_are_what_the_plan_says(exchange_tape, seed):
    tape = exchange_tape(seed, 700)
    assert_same(fold_all(tape.records), tape.objects())


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sets(st.integers(0, 600), max_size=30))
def test_a_restart_in_the_middle_of_what_comes_late_changes_nothing(exchange_tape, seed, cuts):
    tape = exchange_tape(seed, 500)
    assert_same(fold_all(tape.records, cuts), tape.objects())


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sets(st.integers(0, 600)))
def test_a_doubled_record_of_any_exchange_changes_nothing(exchange_tape, seed, doubled):
    tape = exchange_tape(seed, 500)
    records = []
    for index, record in enumerate(tape.records):
        records += [record] * (2 if index in doubled else 1)
    assert_same(fold_all(records), tape.objects())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sets(st.integers(0, 500), max_size=30))
def test_a_restart_anywhere_changes_nothing(seeded_tape, seed, cuts):
    tape = seeded_tape(seed, 300)
    assert_same(fold_all(tape.records, cuts), tape.objects())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sets(st.integers(0, 400)))
def test_records_that_a_retry_doubled_change_nothing(seeded_tape, seed, doubled):
    tape = seeded_tape(seed, 300)
    records = []
    for index, record in enumerate(tape.records):
        records += [record] * (2 if index in doubled else 1)
    assert_same(fold_all(records), tape.objects())
