"""What a new process asks the REST interface for at once: what is missing from before it. Pure.

LastKnown of a unit ─► spans of trades (ids) or of candles (starts in ms)
"""

from container_worker.capture.candle_sync import HISTORY
from container_worker.capture.id_ranges import Range, trimmed
from container_worker.capture.known_records import LastKnown, holes
from marketdata.topics import CANDLE_UPDATES, MINUTE_MS


def asked_again(known: LastKnown, stream_type: str) -> list[Range]:
    """Holes that were told and not filled, and the history that a first start asks for.

    All as far as the end of the topic tells; of candles only those before the newest one, as
    what came after it is told anew.
    """
    found = holes(known, stream_type)
    if stream_type != CANDLE_UPDATES or not isinstance(known.id, int):
        return found
    newest = known.id // MINUTE_MS
    history = trimmed(known.there, newest - HISTORY, newest - 1)
    if history is None:
        return found
    first, last = history[0] * MINUTE_MS, history[1] * MINUTE_MS
    older = [(low, min(high, first - MINUTE_MS)) for low, high in found if low < first]
    return [*older, (first, last)]
