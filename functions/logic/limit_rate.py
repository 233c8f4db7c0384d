"""How fast a key may be used: a token bucket, told by one moment (GCRA).

The bucket is full again at `full_us`; each use moves that moment on by one interval, and it
may lie a burst of intervals in the future. Times are UTC microseconds.
"""

from dataclasses import dataclass

MINUTE_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a minute, `burst` of them at once."""

    per_minute: int
    burst: int

    @property
    def interval_us(self) -> int:
        """How long one use takes to come back; never shorter than the rate says."""
        return -(-MINUTE_US // self.per_minute)

    def wait_us(self, full_us: int, now_us: int, cost: int) -> int:
        """0 when `cost` may be used now, else how long until it may."""
        return max(0, max(full_us, now_us) - self.latest_us(now_us, cost))

    def latest_us(self, now_us: int, cost: int) -> int:
        """The latest `full_us` at which `cost` may still be used."""
        return now_us + (self.burst - cost) * self.interval_us
