"""A ban is the address's: whoever is told, all requests and connections wait."""

import random
import threading
import time

import pytest
from capture_rig import FakeProducer

from container_worker.capture.budgets import Budgets
from container_worker.capture.desk import Desk, Surroundings
from container_worker.capture.keeper import Keeper
from container_worker.capture.orders import Order
from container_worker.capture.reach import Reach
from container_worker.capture.refusals import of_status
from container_worker.capture.rest import RestClient
from container_worker.capture.timing import Timing
from container_worker.exchanges import REGISTRY
from container_worker.exchanges.adapter import Channel, Endpoints, RestRequest
from marketdata.errors import ExchangeError
from marketdata.instruments import Instrument

BINANCE = REGISTRY["binance"]
TIMING = Timing(backoff_base=0.1, backoff_cap=0.5)
RESTRICTED_S = 900.0
WAIT = {"retry-after": "600"}
BAN, HERE, NOWHERE = (600, 600), (600, 0), (0, 0)


def refusal(status, headers=None):
    return of_status(BINANCE, "https://x/", status, WAIT if headers is None else headers, b"")


@pytest.mark.parametrize(
    ("error", "held"),
    [
        (refusal(418), BAN),
        (refusal(418, {}), (60, 60)),
        (refusal(451), (RESTRICTED_S, RESTRICTED_S)),
        (refusal(429), HERE),
        (refusal(503), HERE),
        (refusal(503, {}), NOWHERE),
        (refusal(403), NOWHERE),
        (refusal(401), NOWHERE),
        (refusal(400), NOWHERE),
    ],
)
def test_what_a_refusal_holds_up_on_the_same_side_and_on_the_other(error, held) -> None:
    here, there = held
    asked = Budgets(BINANCE.limits, RESTRICTED_S)
    asked.request_refused(error, 0.0)
    assert (asked.request_wait_s(1, 0.0), asked.connect_wait_s(0.0)) == (here, there)
    connected = Budgets(BINANCE.limits, RESTRICTED_S)
    connected.connect_refused(error, 0.0)
    assert (connected.connect_wait_s(0.0), connected.request_wait_s(1, 0.0)) == (here, there)


def test_after_a_ban_they_begin_one_by_one_and_no_refusal_shortens_another() -> None:
    budgets = Budgets(BINANCE.limits, RESTRICTED_S)
    budgets.connect_refused(refusal(418), 0.0)
    budgets.connect_refused(refusal(429, {"retry-after": "7"}), 1.0)
    assert budgets.connect_wait_s(599.0) == 1.0
    assert budgets.connect_wait_s(600.0) == 0.0
    assert 1.0 < budgets.connect_wait_s(600.0) < 2.0
    assert budgets.connect_wait_s(602.0) == 0.0


class RefusedLink:
    """A socket whose upgrade the exchange refuses at once."""

    data_ns = 0
    opened_s = ends_s = number = None
    is_accepted = is_leaving = False
    cause = "disconnect"

    def __init__(self, error):
        self.error = error
        self.is_gone = False

    def start(self):
        self.is_gone = True

    def close(self, cause=None):
        pass


class Line:
    exchange = "binance"

    def part(self):
        pass


def test_a_ban_on_one_lines_upgrade_holds_the_other_lines() -> None:
    budgets = Budgets(BINANCE.limits, RESTRICTED_S)
    opened = []

    def open_link(number):
        opened.append(number)
        return RefusedLink(refusal(418))

    keepers = [
        Keeper(
            Line(),
            lambda number=number: open_link(number),
            life_s=1e9,
            timing=TIMING,
            chance=random.Random(number),
            connect_wait_s=budgets.connect_wait_s,
            report=lambda error: budgets.connect_refused(error, now_s),
        )
        for number in range(100)
    ]
    for tenth in range(5990):
        now_s = tenth / 10
        for keeper in keepers:
            keeper.step(now_s)
    assert 1 <= len(opened) <= 48
    at_first = len(opened)
    for tenth in range(5990, 6100):
        now_s = tenth / 10
        for keeper in keepers:
            keeper.step(now_s)
    assert len(opened) - at_first <= 2


def test_the_lines_of_an_exchange_and_its_requests_share_the_budgets() -> None:
    told = []
    around = Surroundings(
        producer=FakeProducer(),
        epoch=1,
        rejects_topic=None,
        history_topic=None,
        timing=TIMING,
        stop=threading.Event(),
        last_known={},
        report=lambda *what: told.append(what),
        lost=lambda *_: None,
        fail=told.append,
        listed=lambda _instruments: None,
    )
    names = ("BTCUSDT", "ETHUSDT")
    orders = [Order(Channel(name, "ws_trades"), "q", "prices", lambda: None) for name in names]
    reach = Reach(BINANCE, Endpoints("ws://127.0.0.1:1", "http://127.0.0.1:1"))
    desk = Desk(reach, orders, around, random.Random(1))
    desk._instruments = {name: Instrument("binance", name, name, name, "") for name in names}
    desk._groups = lambda: [[order] for order in orders]
    desk._open()
    desk._close()
    (_, first), (_, second) = desk._lines
    error = refusal(418)
    first._report(error)
    assert second._connect_wait_s(time.monotonic()) > 599
    assert desk._rest._budgets.request_wait_s(1, time.monotonic()) > 599
    assert told == [("binance", error, ["BTCUSDT"])]


def test_a_client_waits_for_what_a_socket_was_told() -> None:
    stop = threading.Event()
    budgets = Budgets(BINANCE.limits, RESTRICTED_S)
    client = RestClient(BINANCE, "http://127.0.0.1:1", 1.0, stop, budgets)
    with pytest.raises(ExchangeError, match="nothing listens"):
        client.get(RestRequest("/", 1))
    budgets.connect_refused(refusal(418), time.monotonic())
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(ExchangeError, match="the process is ending"):
        client.get(RestRequest("/", 1))
