"""When to try again after an exchange refused or failed: one pure decision.

| error | pause |
| --- | --- |
| RestrictedLocation (451) | `Timing.restricted`: permanent for this address |
| RateLimited (418, 429), or a 5xx with Retry-After | what the exchange asked for, and jitter |
| BadCredential | at least `Timing.credential` |
| anything else | between 0 and the capped exponential (full jitter) |
"""

import random

from container_worker.capture.timing import Timing
from marketdata.errors import (
    BadCredential,
    ExchangeUnavailable,
    RateLimited,
    RestrictedLocation,
)

_MOST_DOUBLINGS = 16


def pause_s(
    error: Exception | None, attempt: int, timing: Timing, chance: random.Random
) -> float:
    """Seconds until the next try; `attempt` counts failures in a row, from 0."""
    if isinstance(error, RestrictedLocation):
        return timing.restricted
    doublings = min(attempt, _MOST_DOUBLINGS)
    cap = min(timing.backoff_cap, timing.backoff_base * 2**doublings)
    jitter = chance.uniform(0.0, cap)
    if isinstance(error, BadCredential):
        return max(timing.credential, jitter)
    if isinstance(error, RateLimited | ExchangeUnavailable):
        return error.retry_after_s + jitter
    return jitter
