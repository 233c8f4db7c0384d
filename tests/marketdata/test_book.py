"""`follow` and the book, against a model that remembers every id it has seen."""

from hypothesis import given
from hypothesis import strategies as st

from marketdata.book import Book, Verdict, follow, follow_snapshot
from marketdata.messages import DepthSnapshot, DepthUpdate

ranges = st.tuples(st.integers(1, 60), st.integers(0, 6)).map(lambda r: (r[0], r[0] + r[1]))


@given(st.lists(ranges, max_size=40))
def test_every_missing_id_is_named_exactly_once(deliveries: list[tuple[int, int]]) -> None:
    last: int | None = None
    named: set[int] = set()
    covered: set[int] = set()
    lowest = None
    for first, final in deliveries:
        step = follow(last, first, final)
        if step.verdict is Verdict.DROP:
            assert last is not None
            assert final <= last
            assert step.last == last
            continue
        if step.verdict is Verdict.START:
            lowest = first
        if step.missing:
            hole = set(range(step.missing[0], step.missing[1] + 1))
            assert not hole & named
            assert not hole & covered
            named |= hole
        covered |= set(range(first, final + 1))
        last = step.last
    if lowest is not None and last is not None:
        assert set(range(lowest, last + 1)) <= named | covered


def test_a_delta_at_the_exact_boundary_applies() -> None:
    assert follow(10, 11, 12) == (Verdict.APPLY, 12, None)


def test_a_partial_overlap_is_applied_whole() -> None:
    assert follow(10, 8, 12) == (Verdict.APPLY, 12, None)


def test_a_hole_is_a_gap_with_its_ids() -> None:
    assert follow(10, 14, 15) == (Verdict.GAP, 15, (11, 13))


def test_a_snapshot_below_at_and_above_the_last_id() -> None:
    assert follow_snapshot(10, 9) == (Verdict.DROP, 10, None)
    assert follow_snapshot(10, 10) == (Verdict.RESTATE, 10, None)
    assert follow_snapshot(10, 15) == (Verdict.GAP, 15, (11, 15))
    assert follow_snapshot(None, 15) == (Verdict.START, 15, None)


def test_the_book_takes_absolute_quantities_and_sorts_best_first() -> None:
    book = Book()
    book.load(
        DepthSnapshot(1, "T", 5, [("9.5", "1"), ("10.0", "2")], [("10.5", "3")], "binance")
    )
    book.apply(
        DepthUpdate(
            2, "T", 6, 7, [("9.5", "0.00"), ("9.9", "4")], [("101", "1"), ("8", "0")], "binance"
        )
    )
    assert book.levels() == ([("10.0", "2"), ("9.9", "4")], [("10.5", "3"), ("101", "1")])
    assert book.last == 7


def test_a_snapshot_of_one_side_leaves_the_other() -> None:
    book = Book()
    book.load(DepthSnapshot(1, "T", 5, [("9", "1")], [("10", "3")], "stockbit"))
    book.load(DepthSnapshot(1, "T", 6, [("8", "1")], [], "stockbit", side="b"))
    assert book.levels() == ([("8", "1")], [("10", "3")])
