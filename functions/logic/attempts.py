"""How often a conditional change is tried again, and how long is waited in between."""

import random
import time
from collections.abc import Iterator

ATTEMPTS = 25
MAX_PAUSE_S = 0.06


def attempts(max_pause_s: float = MAX_PAUSE_S) -> Iterator[int]:
    """Yields up to 25 times, with jittered pauses in between: 1.5 s in the worst case.

    With longer pauses one steps back behind others that try the same (6 s at 0.25 s).
    """
    for number in range(ATTEMPTS):
        if number:
            ceiling = min(max_pause_s, 0.005 * 2**number)
            time.sleep(random.uniform(0, ceiling))  # noqa: S311  (jitter)
        yield number
