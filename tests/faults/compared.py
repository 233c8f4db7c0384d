"""A message is lost that nothing on the wire shows: the book is wrong until it is compared.

Loaded by conftest.py. Most of what such a message said is soon said anew, and then there is
nothing to find: it is tried again until a level stays wrong.
"""

from detectable import COMPARED, row_of

FRAMES = 3
_TRIES = 30
_FOUND_S = 20


def lose_unshown(storm, wait_until):
    """[(unit, fault, hit)], one a unit, of losses that were followed by a gap."""
    units = [
        unit
        for unit in storm.producer.units.values()
        if row_of(unit, storm.wire).message == COMPARED
    ]
    return [loss for unit in units for loss in _lose(storm, unit, wait_until)]


def _lose(storm, unit, wait_until):
    for _ in range(_TRIES):
        known = len(unit.gaps)
        fault = _drop(storm, unit, wait_until)
        is_found = _is_found(storm, unit, known, wait_until)
        wait_until(lambda: unit.open is None, _FOUND_S, f"the end of {unit.name}'s gap")
        if is_found:
            return [(unit, fault, fault["hits"][0])]
    return []


def _drop(storm, unit, wait_until):
    where = {"ticker": unit.ticker, "stream": row_of(unit, storm.wire).stream}
    number = storm.venues.fault(unit.exchange, kind="drop", frames=FRAMES, **where)

    def done():
        listed = storm.venues.ask(unit.exchange, f"/_control/faults?since={number}")["faults"]
        return next((one for one in listed if one["id"] == number and not one["active"]), None)

    return wait_until(done, _FOUND_S, f"{FRAMES} messages of {unit.name} to lose")


def _is_found(storm, unit, known, wait_until):
    """Whether a gap came before every level that was wrong was right by itself."""
    wrong = _differing(storm, unit)

    def is_over():
        nonlocal wrong
        wrong &= _differing(storm, unit)
        return not wrong or len(unit.gaps) > known

    what = f"a gap of {unit.name}, whose book is wrong at {sorted(wrong)[:3]}"
    wait_until(is_over, _FOUND_S, what)
    # Where the other socket lost its own statement, the book was stated anew and not compared.
    return any(gap.cause == "sequence" for gap in unit.gaps[known:])


def _differing(storm, unit):
    """(place, own, true) wherever a reader's book is another one than the exchange's."""
    truth = storm.venues.book(unit.exchange, unit.ticker)
    own = storm.producer.book(unit)
    return {
        (place, own.get(place), truth.get(place))
        for place in own.keys() | truth.keys()
        if own.get(place) != truth.get(place)
    }
