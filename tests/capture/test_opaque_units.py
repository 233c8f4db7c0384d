"""Units that nothing numbers and that state nothing: trades by text ids, tickers."""

from container_worker.capture.emissions import Refuse, Write
from container_worker.capture.last_known import LastKnown
from container_worker.capture.opaque_sync import REMEMBERED, OpaqueTradeSync, TickerSync
from container_worker.exchanges.outcomes import TickerState, Trade
from marketdata.messages import PriceUpdate

NOW = 1_723_161_600_000


def trade(id_, time_ms=NOW):
    return Trade("T", id_, time_ms, "61837.63", "0.02", "BUY")


def messages(emissions):
    return [each.message for each in emissions if isinstance(each, Write)]


def test_trades_by_text_ids_are_told_apart_by_a_bounded_memory() -> None:
    sync = OpaqueTradeSync("x", "T", "T")
    ids = [f"t{number}" for number in range(REMEMBERED + 1)]
    assert all(len(sync.take(trade(id_), NOW)) == 1 for id_ in ids)
    assert sync.take(trade(ids[-1]), NOW) == []
    assert sync.take(trade(ids[1]), NOW) == []
    assert len(sync.take(trade(ids[0]), NOW)) == 1


def test_whatever_may_have_lost_a_trade_without_a_number_is_a_gap_until_the_next_one() -> None:
    sync = OpaqueTradeSync("x", "T", "T")
    assert sync.disrupted("disconnect") == []
    sync.take(trade("a"), NOW)
    [opened] = messages(sync.disrupted("garbage"))
    assert (opened.first, opened.last, opened.cause, opened.to) == (None, None, "garbage", None)
    assert sync.disrupted("disconnect") == []
    assert sync.take(trade("a"), NOW) == []
    closed, _ = messages(sync.take(trade("b", NOW + 9), NOW))
    assert (closed.cause, closed.from_, closed.to) == ("garbage", NOW, NOW + 9)
    [stalled] = messages(sync.stalled())
    assert stalled.cause == "stall"


def test_a_restart_is_a_gap_of_a_unit_without_numbers() -> None:
    sync = OpaqueTradeSync("x", "T", "T", LastKnown("a", NOW - 5_000))
    assert sync.take(trade("a"), NOW) == []
    closed, _ = messages(sync.take(trade("b"), NOW))
    assert (closed.cause, closed.from_, closed.to) == ("restart", NOW - 5_000, NOW)


def test_a_refused_trade_without_a_number_is_a_gap() -> None:
    sync = OpaqueTradeSync("x", "T", "T")
    sync.take(trade("a"), NOW)
    sync.take(trade("b", NOW + 7_200_000), NOW)
    refused, opened, closed, after = sync.take(trade("c", NOW + 5), NOW)
    assert isinstance(refused, Refuse)
    assert (opened.message.cause, closed.message.to, after.id) == ("clock", NOW + 5, "c")


def ticker(price=None, volume=None, time_ms=NOW, **more):
    return TickerState("T", time_ms, "exchange", price, volume, **more)


def test_a_ticker_is_merged_and_told_when_price_or_volume_has_changed() -> None:
    sync = TickerSync("x", "T", "B/Q")
    assert sync.take(ticker(volume="10"), NOW) == []
    [told] = messages(sync.take(ticker("5.10", trade_id=7, quantity="2", side="SELL"), NOW))
    assert told == PriceUpdate(
        "B/Q",
        told.price,
        told.volume,
        "2024-08-09T00:00:00.000Z",
        "x",
        7,
        told.quantity,
        "SELL",
    )
    assert (bytes(told.price), bytes(told.volume), bytes(told.quantity)) == (
        b"5.10",
        b"10",
        b"2",
    )
    assert sync.take(ticker("5.10"), NOW) == []
    [told] = messages(sync.take(ticker(volume="11"), NOW + 1))
    assert (bytes(told.price), bytes(told.volume), told.trade_id) == (b"5.10", b"11", "")
    assert sync.take(ticker("4", time_ms=NOW - 1), NOW) == []


def test_a_tickers_gap_is_closed_by_the_next_message_even_if_it_says_the_same() -> None:
    sync = TickerSync("x", "T", "B/Q")
    sync.take(ticker("5", "10"), NOW)
    assert len(messages(sync.disrupted("disconnect"))) == 1
    closed, told = messages(sync.take(ticker("5", "10", NOW + 3), NOW))
    assert (closed.to, bytes(told.price)) == (NOW + 3, b"5")


def test_of_two_sockets_a_ticker_takes_the_new_one_from_its_first_message_on() -> None:
    sync = TickerSync("x", "T", "B/Q")
    sync.take(ticker("5", "10"), NOW)
    sync.share(two_sockets=True)
    assert len(sync.take_new(ticker("6", "10"), NOW)) == 1
    assert sync.on_new
    assert sync.share(two_sockets=False, new_stays=True) == []
    sync.share(two_sockets=True)
    sync.take_new(ticker("7", "10"), NOW)
    assert len(messages(sync.share(two_sockets=False, new_stays=False))) == 1
