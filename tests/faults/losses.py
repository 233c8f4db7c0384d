"""Whether losses were told: all that the table calls detectable, and nothing else.

Loaded by conftest.py. The truth is what the simulators' own faults hit, and when.
"""

from detectable import COMPARED, IDS, TIMES, row_of
from plan import FULL
from touched import spans_at

SLACK_MS = 250
"""Frames are made in steps of 50 ms, and a hit has the time of its step ..."""
LAG_MS = 1_500
"""... whose events have their own times: further back when a busy machine made it late."""
RECEIVED_MS = 2_500
"""Where the time is that of the receipt: a frame may be on its way for so long here."""
WATCHED_MS = 400
"""Connections are looked at every 200 ms."""
_RECEIVED = {("binance", "ws_depth"), ("blockchain", "ws_ticker"), ("blockchain", "ws_candles")}
_OF_LAST_CHANGE = {("coinbase", "ws_ticker")}
"""A statement's time is that of the last trade, and there may be none for long."""
_LOSES = {"drop", "stall", "garbage", "cut"}


def losses_wanted(outcome):
    """(unit, what shows it, fault, hit) of every loss that must have been told."""
    return [
        (unit, how, fault, hit)
        for name, faults in outcome.faults.items()
        for fault in faults
        if fault["fault"]["kind"] in _LOSES and name != "stellar"
        for hit in fault["hits"]
        if hit["lost"]
        for unit in units_of(outcome, name)
        for how in [_must_show(outcome, unit, fault, hit)]
        if how is not None
    ]


def _must_show(outcome, unit, fault, hit):
    row = row_of(unit, outcome.wire)
    how = row.message if fault["fault"]["kind"] in {"drop", "stall"} else row.connection
    is_own = (hit["ticker"], hit["stream"]) == (unit.ticker, row.stream)
    if how == IDS and is_own:
        return how
    is_doubted = is_own or unit.exchange == "blockchain"
    return how if how == TIMES and is_doubted and not _beside(outcome, unit, hit) else None


def losses_told(outcome):
    """Every loss that the table calls detectable has a gap record."""
    complaints = []
    for unit, how, fault, hit in losses_wanted(outcome):
        if how == TIMES:
            if not all(_covers(unit, hit[end]) for end in ("time_ms", "last_time_ms")):
                complaints.append(
                    f"{unit.name}: no gap at {said(fault, hit)}{_near(unit, hit)}"
                )
            continue
        for first, last in unit.told.missing(hit["first_id"], hit["last_id"]):
            if unit.data.missing(first, last):
                text = f"{unit.name}: {first}-{last} are in no gap: {said(fault, hit)}"
                complaints.append(text)
    return complaints


def compared_told(outcome):
    """A lost message that left a book wrong is in a gap since the book was last right."""
    return [
        f"{unit.name}: no gap by comparison at {said(fault, hit)}{_near(unit, hit)}"
        for unit, fault, hit in outcome.compared
        if not any(
            gap.cause == "sequence" and gap.covers(hit["time_ms"], _slack(unit), LAG_MS)
            for gap in unit.gaps
        )
    ]


def disconnects_wanted(outcome):
    """(unit, fault, hit) of every cut that must be an interval in a unit without numbers."""
    return [
        (unit, fault, hit)
        for name, faults in outcome.faults.items()
        for fault in faults
        if fault["fault"]["kind"] == "cut"
        for hit in fault["hits"]
        for unit in units_of(outcome, name)
        if row_of(unit, outcome.wire).connection == TIMES
        if hit["connections"] and not _beside(outcome, unit, hit)
    ]


def disconnects_told(outcome):
    """A cut of every connection has an interval in all units that are not numbered."""
    return [
        f"{unit.name}: no gap at {said(fault, hit)}{_near(unit, hit)}"
        for unit, fault, hit in disconnects_wanted(outcome)
        if not _covers(unit, hit["time_ms"], _lag_ms(unit))
    ]


def rows_untried(outcome):
    """What the table calls shown, and this storm did not try: it would prove nothing of it."""
    wanted = [(unit, how) for unit, how, fault, _ in losses_wanted(outcome)]
    tried = {(unit.exchange, unit.type, how) for unit, how in wanted}
    tried |= {(unit.exchange, unit.type, TIMES) for unit, _, _ in disconnects_wanted(outcome)}
    tried |= {(unit.exchange, unit.type, COMPARED) for unit, _, _ in outcome.compared}
    rows = {(unit.exchange, unit.type): row_of(unit, outcome.wire) for unit in outcome.units}
    shown = {
        (*unit, how)
        for unit, row in rows.items()
        for how in (row.message, row.connection)
        if how in {IDS, TIMES, COMPARED}
    }
    return sorted(shown - tried)


def nothing_else_told(outcome):
    """No gap of a unit lies outside of what the faults did to it."""
    complaints = []
    full = [
        (episode.from_ms, episode.to_ms)
        for episode in outcome.episodes
        if episode.step.faults[0]["kind"] == FULL
    ]
    for unit in outcome.units:
        slack = _slack(unit)
        effects = [*full, *outcome.stood, (outcome.paused_ms, float("inf"))]
        effects += spans_at(unit, row_of(unit, outcome.wire), outcome.faults[unit.exchange])
        before = (float("inf"), 0)
        for gap in unit.gaps:
            from_, to = gap.from_ - slack, max(gap.to, gap.closed_ms) + slack
            if any(begin <= to and from_ <= end for begin, end in effects):
                # What is late is asked for twice, and then the second statement is another one.
                before = (gap.from_, max(gap.to, gap.closed_ms))
            elif not (before[0] <= to and from_ <= before[1]):
                complaints.append(f"{unit.name}: {gap} lies outside every fault")
    return complaints


def units_of(outcome, name):
    return [unit for unit in outcome.units if unit.exchange == name]


def _beside(outcome, unit, hit):
    """Whether another connection was there that the fault did not reach (rule 9)."""
    at_ms = hit["time_ms"]
    return any(
        number not in hit["connections"] and from_ - WATCHED_MS <= at_ms <= to + WATCHED_MS
        for number, (from_, to) in outcome.sockets[unit.exchange].items()
    )


def _lag_ms(unit):
    """How long before the cut what ends its gap may have happened."""
    return float("inf") if (unit.exchange, unit.type) in _OF_LAST_CHANGE else LAG_MS


def _slack(unit):
    is_received = (unit.exchange, unit.type) in _RECEIVED
    return RECEIVED_MS if is_received else SLACK_MS


def _covers(unit, at_ms, lag_ms=LAG_MS):
    return any(gap.covers(at_ms, _slack(unit), lag_ms) for gap in unit.gaps)


def said(fault, hit):
    spec = {name: value for name, value in fault["fault"].items() if value is not None}
    return f"fault {fault['id']} {spec}, hit {hit}"


def _near(unit, hit):
    at_ms = hit["time_ms"]
    near = sorted(unit.gaps, key=lambda gap: min(abs(gap.from_ - at_ms), abs(gap.to - at_ms)))
    return f"; nearest gaps: {near[:2]}"
