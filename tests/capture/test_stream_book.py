"""A book without ids: its levels and its tops are those of a plain one."""

from hypothesis import given
from hypothesis import strategies as st

from container_worker.capture.stream_book import StreamBook, price_key
from marketdata.messages import DepthSnapshot, DepthUpdate

levels = st.lists(
    st.tuples(st.integers(1, 9).map(str), st.sampled_from(["0", "0.0", "1", "2.50"])),
    max_size=6,
)


@given(st.lists(st.tuples(levels, levels), max_size=30))
def test_the_tops_and_the_levels_are_those_of_a_plain_book(deltas) -> None:
    book, plain, own = StreamBook(DepthSnapshot(0, "T", 0, [], [], "x")), {}, []
    for bids, asks in deltas:
        places = book.apply(DepthUpdate(0, "T", 0, 0, bids, asks, "x"))
        assert len(places) == len(bids) + len(asks)
        for side, changed in (("b", bids), ("a", asks)):
            for price, size in changed:
                plain[side, price] = size
        plain = {place: size for place, size in plain.items() if size.strip("0.")}
        own = [int(price) for side, price in plain if side == "b"]
        its = [int(price) for side, price in plain if side == "a"]
        assert book.is_crossed() == bool(own and its and max(own) >= min(its))
    found = book.levels()
    assert [int(price) for price, _ in found[0]] == sorted(own, reverse=True)
    assert {("b", p): s for p, s in found[0]} | {("a", p): s for p, s in found[1]} == plain


def test_equal_prices_have_one_key() -> None:
    texts = ["67.0210", "67.021", "5.00", "100", "0.10"]
    assert [price_key(text) for text in texts] == ["67.021", "67.021", "5", "100", "0.1"]
