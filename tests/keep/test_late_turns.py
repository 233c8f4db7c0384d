"""Of many late items each has its turn, whatever becomes of those before it."""

import time

import pytest

from container_worker.keep import late
from container_worker.keep.late import LateItems


@pytest.fixture
def owed(items, tables, monkeypatch):
    """Seven late items, of which a sweep looks at three."""
    monkeypatch.setattr(late, "MAX_ITEMS", 3)
    names = [f"N{number}" for number in range(7)]
    for name in names:
        items.late("stream", f"c{name}=", "ticks", name)
    yield LateItems(items.client, items.table)
    for name in names:
        key = {"pk": {"S": "LATE"}, "sk": {"S": f"c{name}=#ticks#{name}"}}
        items.client.delete_item(TableName=items.table, Key=key)


def test_a_reading_goes_on_where_the_last_one_ended_and_then_begins_anew(owed):
    now_s = int(time.time())
    readings = [[one.name for one in owed.read(now_s)] for _ in range(4)]
    assert readings == [["N0", "N1", "N2"], ["N3", "N4", "N5"], ["N6"], ["N0", "N1", "N2"]]


def test_expired_items_are_passed_over_and_take_nobodys_turn(owed):
    expired = owed.read(int(time.time()) + 3600)
    assert expired == []
    assert [one.name for one in owed.read(int(time.time()))] == ["N3", "N4", "N5"]
