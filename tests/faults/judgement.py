"""Whether a capture told the truth about a storm: each check gives its complaints.

Loaded by conftest.py. The truth is the simulators' own: how far their numbers are, their books,
their events, what their faults sent in place of a message.
"""

import base64
from collections import defaultdict
from itertools import pairwise

from detectable import IDS, row_of
from losses import (
    RECEIVED_MS,
    SLACK_MS,
    compared_told,
    disconnects_told,
    losses_told,
    nothing_else_told,
    said,
)
from plan import EVERYBODY

READ_MS = 1_000
"""A frame that comes so shortly before the end of its connection may never be read."""
MINUTE_MS = 60_000
NOT_SENT = bytes(range(64))
_LAST_ID = {
    ("binance", "ws_diff_depth"): "update_id",
    ("binance", "ws_trades"): "trade_id",
    ("coinbase", "ws_trades"): "trade_id",
    ("stockbit", "ws_depth"): "sequence_number",
}


def numbers_add_up(outcome):
    """Ids of records and of gaps are all that there were, and no record came twice."""
    complaints = []
    for unit in outcome.units:
        if unit.data.doubles:
            complaints.append(f"{unit.name}: twice: {unit.data.doubles[:5]}")
        row = row_of(unit, outcome.wire)
        if row.connection == IDS:
            last_id = outcome.last_ids[unit.exchange][unit.ticker]
            last = last_id[_LAST_ID[unit.exchange, unit.type]]
            first = unit.data.ranges[0][0] if unit.stated is None else unit.stated + 1
        elif unit.type in {"ws_diff_depth", "ws_depth"} and unit.exchange != "binance":
            first, last = 1, unit.reader.last
        else:
            continue
        holes = [
            hole
            for told in unit.told.missing(first, last)
            for known in unit.data.missing(*told)
            for hole in unit.statements.missing(*known)
        ]
        if holes:
            complaints.append(f"{unit.name}: neither record nor gap: {holes[:5]}")
    return complaints


def readers_are_told(outcome):
    """A reader hears of a hole before it meets it; of a wrong book when that is stated anew."""
    complaints = []
    for unit in outcome.followed:
        if unit.unannounced:
            complaints.append(f"{unit.name}: met before told: {unit.unannounced[:5]}")
        if unit.corrected:
            complaints.append(f"{unit.name}: another book without a gap: {unit.corrected[:5]}")
    return complaints


def books_are_true(outcome):
    """Every book is the simulator's own, and a reader knows it."""
    complaints = []
    for unit in outcome.followed:
        own, truth = outcome.books(unit)
        if own != truth:
            wrong = dict(list(own.items() ^ truth.items())[:4])
            complaints.append(f"{unit.name}: the book is not the exchange's: {wrong}")
        if not unit.reader.whole:
            complaints.append(f"{unit.name}: no reader knows that its book is whole")
    return complaints


def chain_is_whole(outcome):
    """Every event of the chain once, in order, but for the ledgers that are told as lost."""
    unit = outcome.producer.units["stellar", "events", "contract_events"]
    complaints = []
    if any(one >= other for one, other in pairwise(unit.event_ids)):
        complaints.append(f"{unit.name}: not in order, or twice")
    kept = {id_ for id_ in outcome.events if unit.told.missing(*[int(id_[:19]) >> 32] * 2)}
    missing, invented = kept - set(unit.event_ids), set(unit.event_ids) - set(outcome.events)
    if missing or invented:
        complaints.append(f"{unit.name}: missing {sorted(missing)[:3]}, none: {invented}")
    return complaints


def candles_end(outcome):
    """Each minute that ended is a closed candle, or a gap."""
    complaints = []
    for unit in outcome.units:
        if unit.type != "ws_candles":
            continue
        live = [start for start in unit.candles if start > outcome.began_ms - MINUTE_MS]
        complaints += [
            f"{unit.name}: the candle of {start} never ended"
            for start in range(min(live), max(live), MINUTE_MS)
            if not unit.candles.get(start) and unit.told.missing(start, start)
        ]
    return complaints


def garbage_is_kept(outcome):
    """Each frame that was no message is in rejects, whole, or told to have had no room."""
    rejected = defaultdict(list)
    for name, reject in outcome.producer.rejects:
        raw = reject["frame"].encode()
        frame = base64.b64decode(raw) if reject["encoding"] == "base64" else raw
        rejected[name].append((reject["received_ns"] // 1_000_000, frame))
    complaints = []
    for name, faults in outcome.faults.items():
        for fault in faults:
            if fault["fault"]["kind"] != "garbage":
                continue
            complaints += [
                f"{name}: not in rejects: {said(fault, hit)}"
                for hit in fault["hits"]
                if not _ends_after(outcome, name, hit)
                and not _has_no_room(outcome, name, hit)
                and not any(
                    hit["time_ms"] - SLACK_MS <= at_ms <= hit["last_time_ms"] + 2 * RECEIVED_MS
                    and _is_garbage(frame, fault["fault"]["form"])
                    for at_ms, frame in rejected[name]
                )
            ]
    return complaints


def troubles_are_said(outcome):
    """Telemetry says `error` for each status that an exchange gave, and for each lossy unit."""
    complaints = []
    for name, faults in outcome.faults.items():
        heard = outcome.producer.statuses.get(name, set())
        statuses = {
            fault["fault"]["status"]
            for fault in faults
            if fault["fault"]["kind"] == "refuse" and fault["hits"]
        }
        complaints += [
            f"{name}: no error event says HTTP {status}"
            for status in sorted(statuses)
            if str(status) not in heard
        ]
    lossy = {unit for unit, ledger in outcome.producer.units.items() if ledger.gaps}
    return complaints + [
        f"{unit}: no error event says that something is missing"
        for unit in sorted(lossy - outcome.producer.lossy)
    ]


def it_ended_well(outcome):
    """The stage ended by itself and left nothing behind."""
    complaints = [] if outcome.code == 0 else [f"the stage ended with {outcome.code}"]
    return complaints + [f"thread {name} was left" for name in outcome.threads]


CHECKS = (
    losses_told,
    compared_told,
    disconnects_told,
    nothing_else_told,
    numbers_add_up,
    readers_are_told,
    books_are_true,
    chain_is_whole,
    candles_end,
    garbage_is_kept,
    troubles_are_said,
    it_ended_well,
)


def complaints_about(outcome):
    """What is wrong, each as a line that names the check."""
    return [f"{check.__name__}: {each}" for check in CHECKS for each in check(outcome)]


def _ends_after(outcome, name, hit):
    """Whether all connections that a fault reached ended at once: then nobody read it."""
    seen = outcome.sockets.get(name)
    return seen is not None and all(
        number not in seen or seen[number][1] < hit["last_time_ms"] + READ_MS
        for number in hit["connections"]
    )


def _has_no_room(outcome, name, hit):
    """Whether Kafka had no room just then, and telemetry says that frames were left out."""
    return name in outcome.producer.left_out and any(
        one.from_ms - SLACK_MS <= hit["last_time_ms"] + RECEIVED_MS
        and hit["time_ms"] - SLACK_MS <= one.to_ms
        for one in outcome.episodes
        if one.step.exchange == EVERYBODY
    )


def _is_garbage(frame, form):
    if form == "text":
        return frame == b"this is not JSON"
    return frame == NOT_SENT if form == "binary" else len(frame) > 0
