"""Which units a fault can have touched, and when: outside of that no gap may lie.

Loaded by conftest.py.
"""

LINE = {"cut", "server_shutdown", "garbage"}
"""Faults of the connection: nobody can say of garbage whose message it was."""
HARMLESS = {"refuse", "slow", "stale_snapshot"}
"""Faults of requests lose nothing by themselves: what made capture ask did."""
NUMBERED = {"blockchain"}
"""Exchanges that number a whole connection: a hole says nothing of whose it is."""
TELLS = {("coinbase", "heartbeat"): "matches"}
"""A stream that says how far another one is."""


def spans_at(unit, row, faults):
    """From when to when the faults of its exchange did something to a unit, in its time."""
    return [
        (hit["time_ms"], hit["last_time_ms"] + _lasting_ms(fault["fault"]))
        for fault in faults
        for hit in fault["hits"]
        if _touches(fault["fault"]["kind"], hit, unit, row)
    ]


def _touches(kind, hit, unit, row):
    if unit.exchange == "stellar" or kind in LINE:
        return True
    if kind in HARMLESS:
        return False
    if unit.exchange in NUMBERED:
        return True
    stream = TELLS.get((unit.exchange, hit["stream"]), hit["stream"])
    return (hit["ticker"], stream) == (unit.ticker, row.stream)


def _lasting_ms(spec):
    return 1000 * (spec.get("seconds") or spec.get("close_after_s") or 0)
