"""The decision table of rule 15, every case of it."""

import pytest

from container_worker.archive.outcome import Origin, Step, Stored, next_step, read_head
from container_worker.object_store import ObjectHead
from marketdata.errors import ArchiveConflict

MINE = Origin("topic", 1)


def stored(origin=MINE, next_=50, rows=100):
    return Stored("etag", 1000, origin, 10, next_, rows)


CASES = {
    "nothing is there and nothing was before": (None, 0, Step.CREATE),
    "nothing is there and nobody knows what was before": (None, None, Step.CREATE),
    "nothing is there, and rows were before": (None, 7, Step.REBUILD),
    "another partition's": (stored(Origin("topic", 2)), 100, Step.CONTRADICTION),
    "next is the batch's end": (stored(next_=80), 100, Step.DONE),
    "next is above the batch's end": (stored(next_=81), 100, Step.DONE),
    "next is inside the batch": (stored(next_=61), 100, Step.CUT),
    "next is just above the batch's first": (stored(next_=51), 100, Step.CUT),
    "next is the batch's first": (stored(next_=50), 100, Step.APPEND),
    "next is below the first, as many rows": (stored(next_=20), 100, Step.APPEND),
    "next is below the first, unknown rows": (stored(next_=20), None, Step.APPEND),
    "next is below the first, fewer rows": (stored(next_=20, rows=90), 100, Step.REBUILD),
    "next is below the first, more rows": (stored(next_=20, rows=110), 100, Step.CONTRADICTION),
    "an older topic's, whatever its next": (stored(Origin("old", 1), 10**6), 100, Step.APPEND),
    "an older topic's with fewer rows": (stored(Origin("old", 1), rows=9), 100, Step.REBUILD),
    "an older topic's with more rows": (
        stored(Origin("old", 1), rows=101),
        100,
        Step.CONTRADICTION,
    ),
    "an older topic's, nobody knows": (stored(Origin("old", 1), rows=101), None, Step.APPEND),
}


@pytest.mark.parametrize("case", CASES)
def test_what_to_do_with_the_records_50_to_79_when(case):
    there, before, wanted = CASES[case]
    assert next_step(there, MINE, first=50, end=80, before=before) is wanted


def test_what_an_object_says_of_itself_is_read_back():
    one = stored()._replace(inherited=12)
    assert read_head("x.csv", ObjectHead(one.etag, one.size, one.metadata())) == one


@pytest.mark.parametrize(
    ("change", "said"),
    [({"next": "?"}, "metadata"), ({"format": "2"}, "format 2"), ({"rows": ""}, "metadata")],
)
def test_an_account_that_cannot_be_used_is_refused(change, said):
    with pytest.raises(ArchiveConflict, match=said):
        read_head("x.csv", ObjectHead("e", 1, stored().metadata() | change))


def test_an_object_without_an_account_is_refused():
    with pytest.raises(ArchiveConflict, match="move it away"):
        read_head("x.csv", ObjectHead("e", 1, {}))
