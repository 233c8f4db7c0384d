"""How long capture waits for what."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """All in seconds. The defaults are those of production; tests scale them down."""

    connect: float = 10.0
    accept: float = 15.0
    """From the upgrade to the exchange's acceptance of all subscriptions."""
    stall: float = 60.0
    """A socket without a data frame for so long is dead: pings and heartbeats are no life.
    Each time that a new socket brings no more than a beginning it is twice as long."""
    stall_most: float = 1800.0
    silence: float = 10.0
    """The least silence of one ticker that can count as a stall (capture/liveness.py)."""
    audit: float = 1800.0
    """How often a book whose losses do not show is stated anew and compared."""
    answer: float = 15.0
    """A statement of a book that was asked for and has not come by then is asked for again."""
    suspicion: float = 60.0
    """So long a stall is suspected without an answer; then the book counts as before."""
    expiry: float = 120.0
    """How long before a session runs out another one is opened."""
    credential: float = 10.0
    """The least pause after a token that is of no use: somebody has to put a new one."""
    life_margin: float = 600.0
    """How long before the exchange's own limit a connection is replaced."""
    overlap_least: float = 1.0
    overlap_most: float = 30.0
    """How long two sockets stay open when make goes before break (rule 9)."""
    room: float = 30.0
    """How long a full producer holds back the socket before records are given up (rule 5)."""
    rest: float = 10.0
    watermark: float = 60.0
    tick: float = 0.25
    restricted: float = 900.0
    """The pause after HTTP 451, which is permanent for the address."""
    backoff_base: float = 0.5
    backoff_cap: float = 30.0
    drain: float = 18.0


PRODUCTION = Timing()
