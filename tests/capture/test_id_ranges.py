"""Sets of ids as ranges, against sets of Python."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from container_worker.capture.id_ranges import holds, trimmed, with_range

IDS = st.integers(0, 40)
SPANS = st.lists(st.tuples(IDS, st.integers(0, 6)), max_size=12)


def both(spans, step):
    ranges, known = (), set()
    for first, length in spans:
        ranges = with_range(ranges, first * step, (first + length) * step, step)
        known |= {(first + number) * step for number in range(length + 1)}
    return ranges, known


@given(SPANS, st.sampled_from([1, 60_000]))
def test_ranges_are_the_set_and_as_few_as_can_be(spans, step) -> None:
    ranges, known = both(spans, step)
    assert {id_ for low, high in ranges for id_ in range(low, high + 1, step)} == known
    assert all(one[1] + step < other[0] for one, other in pairwise(ranges))
    assert [id_ for id_ in range(60) if holds(ranges, id_ * step)] == sorted(
        id_ // step for id_ in known
    )


@given(SPANS, IDS, st.integers(0, 20), st.sampled_from([1, 60_000]))
def test_a_hole_is_asked_for_from_its_first_to_its_last_missing_id(
    spans, first, length, step
) -> None:
    ranges, known = both(spans, step)
    wanted = [(first + number) * step for number in range(length + 1)]
    missing = [id_ for id_ in wanted if id_ not in known]
    found = trimmed(ranges, wanted[0], wanted[-1], step)
    assert found == ((missing[0], missing[-1]) if missing else None)
