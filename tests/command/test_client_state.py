"""What `tapedeck.Client` remembers between two connections, without a socket."""

import random

import pytest

import tapedeck
from marketdata.client_messages import Filters, Register, Subscribe, Unsubscribe
from marketdata.errors import InputError
from marketdata.server_messages import Subscribed
from tapedeck.client_link import text_of
from tapedeck.client_mailbox import Mailbox
from tapedeck.client_messages import Connected, Event, Lost, Price, understand
from tapedeck.client_wishes import SETTLED_S, Wishes


def price(symbol, cursor):
    return Price(symbol, 1, None, "2025-10-10T14:30:00.000Z", "binance", cursor)


def subscribed(*names, cursors):
    wishes = Wishes()
    wishes.confirmed(Subscribe(names), cursors, 0)
    return wishes


def confirmed(*cursors, recovered):
    return Subscribed((), "t", cursors=cursors, recovered=recovered)


def given(wishes):
    """The `from` of each message that restores."""
    return [sorted(one.from_ or ()) for one in wishes.requests(resume=True)]


def asked(wishes):
    """`{(channel, name): (rate, interval)}` of the messages that restore."""
    return {
        (channel, name): (one.rate, one.interval)
        for one in wishes.requests(resume=True)
        for channel in one.channels
        for name in one.names
    }


def test_what_is_restored_is_what_a_server_would_hold_after_any_messages():
    seed = random.randrange(2**32)
    chance, wishes, model = random.Random(seed), Wishes(), {}
    for _ in range(300):
        names = tuple(chance.sample(["A", "B", "C", "D"], chance.randint(1, 3)))
        channels = tuple(chance.sample(["prices", "candles", "depth"], chance.randint(1, 2)))
        if chance.random() < 0.6:
            rate, interval = chance.choice(["1s", "all"]), chance.choice(["1m", "1h"])
            wishes.confirmed(Subscribe(names, channels, rate, interval))
            kept = {"prices": (rate, "1m"), "candles": ("1s", interval), "depth": ("1s", "1m")}
            model |= {(channel, name): kept[channel] for channel in channels for name in names}
        else:
            only = chance.choice([names, None]), chance.choice([channels, None])
            wishes.confirmed(Unsubscribe(*only))
            model = {
                (channel, name): how
                for (channel, name), how in model.items()
                if (only[0] and name not in only[0]) or (only[1] and channel not in only[1])
            }
        assert asked(wishes) == model, f"seed {seed}"


def test_a_registration_is_restored_with_the_last_filters_and_the_cursors():
    wishes = Wishes()
    wishes.confirmed(Register(Filters(types=("payment",))), ["events:id:0:7"])
    wishes.confirmed(Register(Filters(asset_codes=("USDC",))), ["events:id:0:9"])
    [restored] = wishes.requests(resume=True)
    assert restored == Register(Filters(asset_codes=("USDC",)), True, ("events:id:0:7",))
    [restored] = wishes.requests(resume=False)
    assert restored == Register(Filters(asset_codes=("USDC",)))


def test_the_newest_cursor_of_each_source_is_kept():
    wishes = subscribed("A", "B", cursors=["ticks:id:0:5", "ticks:id:1:9", "not a cursor"])
    assert wishes.takes(price("A", "ticks:id:0:6"), 0)
    assert wishes.takes(price("B", "ticks:id:0:6"), 0), "one record may be told under two names"
    assert not wishes.takes(price("A", "ticks:id:0:6"), 0)
    assert not wishes.takes(price("A", "ticks:id:0:5"), 0)
    assert given(wishes) == [["ticks:id:0:6", "ticks:id:1:9"]]
    assert wishes.takes(price("A", "ticks:another:0:1"), 0), "a topic that was made anew"
    assert given(wishes) == [["ticks:another:0:1", "ticks:id:1:9"]]


def test_updates_without_a_cursor_are_never_taken_for_copies():
    wishes, event = Wishes(), Event(1, "hash", "contract", [], {})
    wishes.confirmed(Register())
    assert [wishes.takes(event, 0), wishes.takes(event, 0)] == [True, True]
    assert given(wishes) == [[]]


def test_a_message_that_is_not_restored_yet_goes_on_from_its_own_place():
    """Two paces, at 10; the first is replayed up to 200, then the connection breaks."""
    wishes = subscribed("BTC", cursors=["ticks:id:0:10"])
    wishes.confirmed(Subscribe(("ETH",), rate="250ms"), ["ticks:id:0:10"])
    first, _ = wishes.requests(resume=True)
    wishes.restored(first, confirmed("ticks:id:0:10", recovered=True), 0)
    for offset in (50, 120, 200):
        assert wishes.takes(price("BTC", f"ticks:id:0:{offset}"), SETTLED_S * 9)
    assert given(wishes) == [["ticks:id:0:200"], ["ticks:id:0:10"]]


def test_names_of_one_request_go_on_from_the_lowest_place_and_nothing_comes_twice():
    wishes = subscribed("BTC", cursors=["ticks:id:0:10"])
    assert wishes.takes(price("BTC", "ticks:id:0:50"), 0)
    wishes.confirmed(Subscribe(("ETH",)), ["ticks:id:0:60"])
    assert wishes.takes(price("BTC", "ticks:id:0:200"), 0)
    [request] = wishes.requests(resume=True)
    assert request.from_ == ("ticks:id:0:60",)
    wishes.restored(request, confirmed("ticks:id:0:60", recovered=True), 0)
    again = [("BTC", 120), ("ETH", 150), ("BTC", 200), ("BTC", 210), ("ETH", 55)]
    new = [one for one in again if wishes.takes(price(one[0], f"ticks:id:0:{one[1]}"), 0)]
    assert new == [("ETH", 150), ("BTC", 210)]


def test_a_quiet_name_moves_with_the_others_once_its_replay_must_be_over():
    """Else the ring, which ends after minutes, would not reach back to its last update."""
    wishes = subscribed("BTC", cursors=["ticks:id:0:10"])
    wishes.confirmed(Subscribe(("ETH",), rate="250ms"), ["ticks:id:0:10"], 0)
    wishes.confirmed(Register(Filters(types=("candle",))), ["ticks:id:0:10"], 0)
    assert wishes.takes(price("BTC", "ticks:id:0:20"), SETTLED_S - 1)
    assert given(wishes) == [["ticks:id:0:10"], ["ticks:id:0:20"], ["ticks:id:0:10"]]
    wishes = subscribed("BTC", cursors=["ticks:id:0:10"])
    wishes.confirmed(Subscribe(("ETH",), rate="250ms"), ["ticks:id:0:10"], 0)
    wishes.confirmed(Register(Filters(types=("candle",))), ["ticks:id:0:10"], 0)
    assert wishes.takes(price("BTC", "ticks:id:0:20"), SETTLED_S)
    assert given(wishes) == [["ticks:id:0:10"], ["ticks:id:0:20"], ["ticks:id:0:20"]]


def test_places_in_two_lives_of_a_topic_are_not_taken_for_whole():
    wishes = subscribed("BTC", cursors=["ticks:id:0:900", "ticks:id:1:5"])
    wishes.confirmed(Subscribe(("ETH",)), ["ticks:another:0:3"])
    assert given(wishes) == [["ticks:id:1:5"]]


def test_a_name_that_is_subscribed_again_goes_on_from_where_it_is():
    wishes = subscribed("BTC", cursors=["ticks:id:0:10"])
    wishes.confirmed(Subscribe(("BTC", "ETH"), rate="10s"), ["ticks:id:0:30"])
    assert given(wishes) == [["ticks:id:0:10"]]
    wishes.confirmed(Subscribe(("BTC",), rate="all"), ["prices:id:2:5"])
    assert given(wishes) == [["prices:id:2:5"], ["ticks:id:0:30"]]
    wishes.confirmed(Unsubscribe(("BTC",)))
    wishes.confirmed(Subscribe(("BTC",), rate="10s"), ["ticks:id:0:40"])
    assert given(wishes) == [["ticks:id:0:30"]]


def test_a_server_that_cannot_go_on_begins_anew_whatever_has_come():
    wishes = subscribed("BTC", cursors=["ticks:id:0:10"])
    assert wishes.takes(price("BTC", "ticks:id:0:20"), 0)
    [request] = wishes.requests(resume=True)
    wishes.restored(request, confirmed("ticks:id:0:3", recovered=False), 0)
    assert wishes.takes(price("BTC", "ticks:id:0:4"), 0)
    assert given(wishes) == [["ticks:id:0:4"]]


def test_a_full_mailbox_drops_the_oldest_updates_and_says_so_before_the_next():
    mailbox = Mailbox(2)
    prices = [price(str(number), "") for number in range(5)]
    for one in prices:
        mailbox.put(one)
    mailbox.close()
    mailbox.put(price("99", ""))
    taken = [mailbox.take(0) for _ in range(4)]
    assert taken == [Lost("slow", 3), prices[3], prices[4], None]


def test_what_is_no_update_always_fits_into_a_mailbox_and_is_not_counted():
    mailbox, refused = Mailbox(1), ValueError("refused")
    notices = [Connected(1), Lost("reconnect"), refused]
    for one in (price("A", ""), *notices, price("B", ""), price("C", ""), Connected(2)):
        mailbox.put(one)
    mailbox.close()
    taken = iter(lambda: mailbox.take(0), None)
    assert list(taken) == [Lost("slow", 2), *notices, price("C", ""), Connected(2)]


@pytest.mark.parametrize("size", [0, -1])
def test_a_client_that_could_keep_no_update_is_refused_at_once(size):
    with pytest.raises(InputError, match=f"`queue_size` must be 1 or more, not {size}"):
        tapedeck.Client("ws://localhost:3000/stream", queue_size=size)


def test_nothing_is_said_that_the_server_assumes():
    assert text_of(Subscribe(("BTC/USD",))) == '{"type":"subscribe","symbols":["BTC/USD"]}'
    said = text_of(Subscribe(("A",), ("depth",), resume=True, from_=("t:i:0:1",)))
    assert said == (
        '{"type":"subscribe","symbols":["A"],"channels":["depth"],'
        '"resume":true,"from":["t:i:0:1"]}'
    )


def test_what_a_newer_server_says_is_passed_over():
    assert understand('{"type":"price_forecast","symbol":"A"}') is None
    assert understand("[1]") is None
    assert understand(b"\xff") is None
    pong = understand('{"type":"pong","timestamp":"t","more":{"a":1}}')
    assert pong.timestamp == "t"
