"""Sets of ids as sorted ranges, both ends in. Pure.

Candles are told apart by their starts, so that neighbours are `step` apart.
"""

from bisect import bisect_left, bisect_right

Range = tuple[int, int]
Ranges = tuple[Range, ...]

_END = 2**63


def with_range(ranges: Ranges, first: int, last: int, step: int = 1) -> Ranges:
    """The set with these ids too; what touches becomes one range."""
    start = bisect_left(ranges, first - step, key=_last)
    end = bisect_right(ranges, last + step, lo=start, key=_first)
    if start < end:
        first, last = min(first, ranges[start][0]), max(last, ranges[end - 1][1])
    return (*ranges[:start], (first, last), *ranges[end:])


def holds(ranges: Ranges, id_: int) -> bool:
    """Whether an id is in the set."""
    at = bisect_right(ranges, (id_, _END))
    return at > 0 and ranges[at - 1][1] >= id_


def trimmed(ranges: Ranges, first: int, last: int, step: int = 1) -> Range | None:
    """From the first to the last of these ids that are not in the set; None: all are."""
    for low, high in ranges:
        if low <= first <= high:
            first = high + step
    for low, high in reversed(ranges):
        if low <= last <= high:
            last = low - step
    return (first, last) if first <= last else None


def _first(one: Range) -> int:
    return one[0]


def _last(one: Range) -> int:
    return one[1]
