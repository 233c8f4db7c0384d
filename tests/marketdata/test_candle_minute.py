"""The trade ids that a minute remembers."""

import random

from marketdata.candle_minute import SeenIds


def test_ids_are_remembered_as_ranges_and_each_counts_once():
    rng = random.Random(5)
    ids = [*range(1, 200), *range(1, 200)]
    rng.shuffle(ids)
    seen = SeenIds()
    assert sum(seen.add(id_) for id_ in ids) == 199
    assert (seen._firsts, seen._lasts) == ([1], [199])
    assert [seen.add(text) for text in ("a", "b", "a")] == [True, True, False]
