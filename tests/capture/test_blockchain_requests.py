"""What capture asks of Blockchain.com: where, in which words, at which pace."""

import json

import pytest

from container_worker.exchanges.adapter import NOBODY, Channel
from container_worker.exchanges.blockchain import ADAPTER, subscribe


def test_each_channel_is_one_message_and_heartbeat_and_symbols_come_with_them() -> None:
    types = ["ws_diff_depth", "ws_trades", "ws_candles", "ws_ticker"]
    sent = subscribe.subscriptions([Channel("BTC-USD", each) for each in types], NOBODY)
    ask = {"action": "subscribe", "symbol": "BTC-USD"}
    assert [json.loads(each.payload) for each in sent] == [
        {"action": "subscribe", "channel": "heartbeat"},
        {**ask, "channel": "l2"},
        {**ask, "channel": "trades"},
        {**ask, "channel": "prices", "granularity": 60},
        {**ask, "channel": "ticker"},
        {"action": "subscribe", "channel": "symbols"},
    ]
    assert [each.awaits for each in sent] == [
        {"heartbeat"}, {"l2:BTC-USD"}, {"trades:BTC-USD"}, {"prices:BTC-USD"},
        {"ticker:BTC-USD"}, frozenset(),
    ]  # fmt: skip


def test_a_channel_is_stated_anew_by_ending_it_and_asking_again() -> None:
    sent = subscribe.resubscribe(Channel("BTC-USD", "ws_candles"), NOBODY)
    ask = {"channel": "prices", "symbol": "BTC-USD", "granularity": 60}
    assert [json.loads(each.payload) for each in sent] == [
        {"action": "unsubscribe", **ask},
        {"action": "subscribe", **ask},
    ]
    assert not any(each.awaits for each in sent)


def test_a_socket_is_accepted_in_time_at_the_pace_that_the_exchange_allows() -> None:
    limits = ADAPTER.limits
    assert limits.control_per_second * 60 < 1200
    assert limits.streams_per_socket / limits.control_per_second < 12


@pytest.mark.parametrize(
    ("base", "url"),
    [
        (
            "wss://ws.blockchain.info/mercury-gateway/v1/ws",
            "wss://ws.blockchain.info/mercury-gateway/v1/ws",
        ),
        ("ws://127.0.0.1:19447", "ws://127.0.0.1:19447/mercury-gateway/v1/ws"),
        ("ws://127.0.0.1:19447/", "ws://127.0.0.1:19447/mercury-gateway/v1/ws"),
        ("ws://127.0.0.1:1/proxy/", "ws://127.0.0.1:1/proxy"),
    ],
)
def test_a_base_url_without_a_path_gets_the_exchanges_own(base, url) -> None:
    assert subscribe.socket_url(base) == url
