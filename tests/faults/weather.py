"""One whole run: calm, storm, calm, standstill; and what it leaves for the checks.

Loaded by conftest.py. After the storm every fault is ended and the markets go on, until each
unit has news, each unnumbered book was compared, and no gap is open. A last message is lost of
what nobody numbers. Then they stand, and what was written has to be the truth.
"""

import threading
import time
from dataclasses import dataclass, field

from compared import lose_unshown
from ledger import LedgerProducer
from plan import EVERYBODY, make_plan
from storm import POLL_S, Storm, now_ms
from venues_rig import TICKERS

from container_worker.exchanges import REGISTRY

SHARES_A_LOT = 100
WIRES = ("flat", "channel")
"""Stockbit's two layouts: the seed chooses."""
FETCHED_MS = 5_000
"""By then what REST has of a gap has been asked for, in the worst of weathers."""
_CALM_S = 30
_DRAINED_S = 8


@dataclass
class Outcome:
    """What a run left behind, for the checks."""

    seed: int
    wire: str
    episodes: list
    producer: LedgerProducer
    sockets: dict = field(default_factory=dict)
    stood: list = field(default_factory=list)
    faults: dict = field(default_factory=dict)
    compared: list = field(default_factory=list)
    truth: dict = field(default_factory=dict)
    last_ids: dict = field(default_factory=dict)
    events: list = field(default_factory=list)
    began_ms: int = 0
    ended_ms: int = 0
    paused_ms: int = 0
    code: int | None = None
    threads: list = field(default_factory=list)

    @property
    def units(self):
        return self.producer.units.values()

    def books(self, unit):
        """A reader's book and the simulator's; of the channel layout prices and shares."""
        own, truth = unit.reader.book, self.truth[unit.exchange, unit.ticker]
        if (unit.exchange, self.wire) != ("stockbit", "channel"):
            return own, truth
        shares = {at: size[0] * SHARES_A_LOT for at, size in truth.items()}
        return {at: size[1] for at, size in own.items()}, shares

    @property
    def followed(self):
        """The units whose book a reader can follow as a whole."""
        partial = ("binance", "ws_depth")
        return [
            unit
            for unit in self.units
            if unit.reader is not None and (unit.exchange, unit.type) != partial
        ]


def repeat_with(seed, count, file):
    """The command that does the same again."""
    return (
        f"seed {seed}: repeat with TAPEDECK_FAULT_SEED={seed} TAPEDECK_FAULTS={count} "
        f".venv/bin/python -m pytest -q {file}"
    )


def weather(seed, count, file, wait_until):
    """One whole run: calm, storm, calm, standstill; everything that the checks want.

    Whatever stays away is told with the command that does the same again.
    """
    wire = WIRES[seed % 2]
    storm = Storm(seed, wire)
    try:
        storm.start()
        _await(storm, lambda unit: unit.received_ms, "a record", wait_until)
        began_ms = now_ms()
        storm.run(make_plan(seed, count, TICKERS))
        outcome = Outcome(seed, wire, storm.episodes, storm.producer, began_ms=began_ms)
        return _clear(storm, outcome, wait_until)
    except BaseException as error:
        error.add_note(repeat_with(seed, count, file))
        raise
    finally:
        storm.close()


def _clear(storm, outcome, wait_until):
    outcome.sockets, outcome.stood = storm.sockets, storm.stood
    outcome.ended_ms = storm.end_faults()
    ended = outcome.ended_ms
    old = storm.connections("coinbase")
    _await(storm, lambda unit: unit.received_ms > ended, "news after the faults", wait_until)
    wait_until(
        lambda: not old.keys() & storm.connections("coinbase").keys(),
        _CALM_S,
        "an audit of books",
    )
    _await(storm, lambda unit: unit.open is None, "the end of its gap", wait_until)
    _await(storm, lambda unit: _is_recovered(storm, unit), "the trades of its gaps", wait_until)
    outcome.compared = lose_unshown(storm, wait_until)
    storm.venues.pause()
    outcome.paused_ms = now_ms()
    outcome.faults = {name: storm.venues.faults(name) for name in storm.venues.names}
    outcome.last_ids = {
        name: storm.venues.ask(name, "/_control/status")["last_ids"]
        for name in storm.venues.names
    }
    _read_truth(storm, outcome)
    _await_truth(outcome)
    outcome.threads = _end(storm, outcome)
    return outcome


def _await(storm, condition, what, wait_until):
    """Waits for every unit; names those that it waited for in vain."""

    def missing():
        return [unit.name for unit in storm.producer.units.values() if not condition(unit)]

    try:
        wait_until(lambda: not missing(), _CALM_S, what)
    except AssertionError as error:
        raise AssertionError(f"{error}: {', '.join(missing())}") from error


def _is_recovered(storm, unit):
    """Trades that the exchange's REST interface still has are fetched after each gap.

    What finds no room then stays a gap, by the product's own rule.
    """
    if REGISTRY[unit.exchange].trades is None or unit.type != "ws_trades":
        return True
    full = [one for one in storm.episodes if one.step.exchange == EVERYBODY]
    return not any(
        gap.last is not None
        and unit.data.missing(gap.first, gap.last)
        and not any(
            one.from_ms - FETCHED_MS < gap.closed_ms < one.to_ms + FETCHED_MS for one in full
        )
        for gap in unit.gaps
    )


def _read_truth(storm, outcome):
    outcome.truth = {
        (name, ticker): storm.venues.book(name, ticker)
        for name in storm.venues.names
        if name != "stellar"
        for ticker in TICKERS[name]
    }
    ids = outcome.producer.units["stellar", "events", "contract_events"].event_ids
    first, last = int(ids[0][:19]) >> 32, outcome.last_ids["stellar"]["events"]["ledger"]
    for at in range(first, last + 1, 1000):
        path = f"/_control/events?from={at}&to={min(at + 999, last)}"
        outcome.events += [each["id"] for each in storm.venues.ask("stellar", path)["events"]]


def _await_truth(outcome):
    """Until what was sent has been written; the checks say what is missing."""
    until_s = time.monotonic() + _DRAINED_S
    wait = threading.Event().wait
    while time.monotonic() < until_s and not _is_true(outcome):
        wait(POLL_S)


def _is_true(outcome):
    stellar = outcome.producer.units["stellar", "events", "contract_events"]
    behind = [one for one in outcome.events if one > stellar.event_ids[-1]]
    if behind:
        return False
    books = [(outcome.books(unit), unit.reader.whole) for unit in outcome.followed]
    return all(own == truth and whole for (own, truth), whole in books)


def _end(storm, outcome):
    storm.producer.closed = True
    left = storm.close()
    outcome.code = storm.code
    return [name for name in left if not name.startswith("pytest")]
