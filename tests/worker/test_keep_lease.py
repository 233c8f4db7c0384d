"""The keeper's lease on a real DynamoDB: one holder, by everybody's own clock."""

import uuid

import boto3
import pytest
from botocore.config import Config

from container_worker.keep.lease import KEY, Lease
from local.tables import create_table
from marketdata.errors import StoreError, StoreUnavailable


class Clock:
    def __init__(self):
        self.s = 0.0

    def __call__(self):
        return self.s


@pytest.fixture(scope="session")
def client(dynamodb):
    return boto3.client("dynamodb", endpoint_url=dynamodb)


@pytest.fixture
def lease_of(client):
    """`lease_of(clock)`: the lease as one keeper sees it, on a table of the test's own."""
    table = f"lease-{uuid.uuid4().hex[:8]}"
    create_table(client, table)
    return lambda clock: Lease(client, table, patience_s=15, monotonic=clock)


def test_one_holds_it_and_another_gets_it_when_it_rests_for_the_whole_patience(lease_of):
    clock = Clock()
    one, other = lease_of(clock), lease_of(clock)
    assert one.hold(1000)
    assert one.from_ms == 0
    assert not other.hold(1000)
    for second in range(2, 40, 2):
        clock.s = second
        assert one.hold(1000 + second)
        assert not other.hold(1000 + second)
    for second in range(40, 53, 2):  # the last renewal is seen at 38
        clock.s = second
        assert not other.hold(0)
    clock.s = 53
    assert other.hold(99_000)
    assert other.from_ms == 1038
    assert not one.hold(99_001)
    assert not one.held


def test_a_holder_stops_acting_before_anybody_else_can_have_it(lease_of):
    clock = Clock()
    one = lease_of(clock)
    assert not one.acts()
    one.hold(1)
    clock.s = 9.9
    assert one.acts()
    clock.s = 10.1
    assert not one.acts()
    assert one.hold(2)  # nobody took it
    assert one.acts()


def test_a_released_lease_is_free_at_once_and_says_how_far_it_had_come(lease_of):
    clock = Clock()
    one, other = lease_of(clock), lease_of(clock)
    one.hold(1000)
    assert not other.hold(1000)
    one.release()
    assert not one.acts()
    assert other.hold(5000)
    assert other.from_ms == 1000
    one.release()  # of what is not held: nothing
    assert other.hold(6000)


def test_of_two_that_find_it_free_at_once_one_gets_it(lease_of):
    clock = Clock()
    one, other = lease_of(clock), lease_of(clock)
    state = other._read()
    assert one.hold(1)
    assert not other._take(state, 1)
    clock.s = 1
    other.hold(1)
    stale = other._read()
    assert one.hold(2)
    assert not other._take(stale, 2)
    assert one.hold(3)


def test_a_holder_whose_item_was_deleted_takes_it_again(lease_of, client):
    one = lease_of(Clock())
    one.hold(1)
    client.delete_item(TableName=one._table, Key=KEY)
    assert one.hold(2)


def test_a_table_that_is_not_there_is_no_passing_trouble(client, free_endpoint):
    with pytest.raises(StoreError) as raised:
        Lease(client, "no-such-table", patience_s=15).hold(1)
    assert not isinstance(raised.value, StoreUnavailable)
    with pytest.raises(StoreUnavailable):
        Lease(free_endpoint, "t", patience_s=15).hold(1)


@pytest.fixture
def free_endpoint():
    """A client of a database that is not there."""
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=1)
    return boto3.client("dynamodb", endpoint_url="http://127.0.0.1:1", config=config)
