"""What `tapedeck.Client` remembers between two connections, without a socket."""

import random

import pytest

import tapedeck
from marketdata.client_messages import Filters, Register, Subscribe, Unsubscribe
from marketdata.errors import InputError
from tapedeck.client_link import text_of
from tapedeck.client_mailbox import Mailbox
from tapedeck.client_messages import Connected, Event, Lost, Price, understand
from tapedeck.client_wishes import Progress, Wishes


def price(symbol, cursor):
    return Price(symbol, 1, None, "2025-10-10T14:30:00.000Z", "binance", cursor)


def asked(wishes):
    """`{(channel, name): (rate, interval)}` of the messages that restore."""
    return {
        (channel, name): (one.rate, one.interval)
        for one in wishes.requests([], resume=True)
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
    wishes.confirmed(Register(Filters(types=("payment",))))
    wishes.confirmed(Register(Filters(asset_codes=("USDC",))))
    [restored] = wishes.requests(["events:id:0:7"], resume=True)
    assert restored == Register(Filters(asset_codes=("USDC",)), True, ("events:id:0:7",))
    [restored] = wishes.requests(["events:id:0:7"], resume=False)
    assert restored == Register(Filters(asset_codes=("USDC",)))


def test_the_newest_cursor_of_each_source_is_kept():
    progress = Progress()
    progress.begin(["ticks:id:0:5", "ticks:id:1:9", "not a cursor"])
    assert progress.is_new(price("A", "ticks:id:0:6"))
    assert progress.is_new(price("B", "ticks:id:0:6")), "one record may be told under two names"
    assert not progress.is_new(price("A", "ticks:id:0:6"))
    assert not progress.is_new(price("A", "ticks:id:0:5"))
    assert sorted(progress.cursors()) == ["ticks:id:0:6", "ticks:id:1:9"]
    assert progress.is_new(price("A", "ticks:another:0:1")), "a topic that was made anew"
    assert sorted(progress.cursors()) == ["ticks:another:0:1", "ticks:id:1:9"]


def test_updates_without_a_cursor_are_never_taken_for_copies():
    progress, event = Progress(), Event(1, "hash", "contract", [], {})
    assert [progress.is_new(event), progress.is_new(event)] == [True, True]
    assert progress.cursors() == []


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
