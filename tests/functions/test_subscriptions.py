"""Ten names a connection, counted once each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.client_messages import Subscribe
from marketdata.errors import ClientError
from marketdata.subscriptions import (
    Want,
    names_of,
    refuse_too_many,
    reserve,
    stored_wants,
    wants_of,
    wants_text,
)

NAMES = st.lists(st.sampled_from([f"S{n}" for n in range(14)]), unique=True)


@given(NAMES, NAMES)
def test_a_subscribe_is_whole_or_nothing_and_never_more_than_ten(held, asked):
    current = dict.fromkeys(held[:10], 1)
    union = set(current) | set(asked)
    if len(union) > 10:
        with pytest.raises(ClientError) as refused:
            reserve(current, asked, 2)
        assert refused.value.code == "SUBSCRIPTION_LIMIT"
    else:
        after = reserve(current, asked, 2)
        assert set(after) == union
        assert all(after[name] == (2 if name in asked else 1) for name in after)
    assert current == dict.fromkeys(held[:10], 1)


def test_lists_over_ten_are_refused_before_anything_is_looked_up():
    refuse_too_many(range(10))
    with pytest.raises(ClientError, match="11 were asked for"):
        refuse_too_many([f"{n}" for n in range(11)])


def test_a_share_has_one_name():
    assert names_of("BTC/USDT", "BTCUSDT") == ("BTC/USDT", "BTCUSDT")
    assert names_of("BBCA", "BBCA") == ("BBCA",)


@given(
    st.lists(st.sampled_from(["prices", "candles", "depth"]), min_size=1),
    st.sampled_from(["10s", "1s", "250ms", "all"]),
    st.sampled_from(["1m", "1d"]),
)
def test_each_channel_is_one_want_and_is_stored_as_it_was(channels, rate, interval):
    wants = wants_of(Subscribe(("A",), tuple(channels), rate, interval))
    assert [one.channel for one in wants] == list(dict.fromkeys(channels))
    assert stored_wants(wants_text(wants)) == wants
    assert {one.rate for one in wants if one.feed == "ticks"} <= {rate} - {"all"}
    assert Want("candles", interval=interval) in wants or "candles" not in channels
