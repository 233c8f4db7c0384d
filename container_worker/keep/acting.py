"""Has actions done, many connections at a time, and tells what became of them.

    actions, late items ─► 32 threads ─► Deeds ─► outcomes

The sweep never waits for them. Nothing is done while somebody else may have the lease.
"""

import queue
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from container_worker.keep.connection import Action, Close, Outcome
from container_worker.keep.deeds import Deeds
from container_worker.keep.late import Late

PARALLEL = 32
MAX_WAITING = 4_000
"""What may wait for its turn: beyond it an action is not tried, and the next sweep decides."""
SLOW_S = 60.0
"""How long a client that did not take a late value in time is left alone with such."""
FULL_S = 1.0
"""The same for one whose buffer was full: it is passed over in the next sweep."""
UNTAKEN = frozenset({Outcome.THROTTLED, Outcome.TIMED_OUT})
"""A late value was not taken: the client's others would not be either."""

Done = tuple[Action, Outcome]
Delivered = tuple[str, list[Outcome]]


class Acting:
    """The threads that act; its methods belong to one thread.

    Args:
        deeds: What they do.
        may_act: Whether nobody else can have the lease.
    """

    def __init__(self, deeds: Deeds, may_act: Callable[[], bool]) -> None:
        self._deeds = deeds
        self._may_act = may_act
        self._pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="acting")
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._delivered: queue.SimpleQueue[Delivered] = queue.SimpleQueue()
        self._crashes: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
        self._waiting = 0
        self._late: set[str] = set()
        self._slow: dict[str, float] = {}
        self.counts: Counter[str] = Counter()
        """What was done since somebody cleared it."""

    def act(self, action: Action) -> None:
        """Has an action done; its outcome comes with a later `finished`."""
        self._waiting += 1
        if self._waiting > MAX_WAITING:
            self._done.put((action, Outcome.NOT_TRIED))
        else:
            self._pool.submit(self._do, action)

    def deliver(self, owed: Sequence[Late]) -> None:
        """Has the newest values posted that one late subscriber is owed, one after the other.

        What it does not take ends its turn; nobody has two turns at a time.
        """
        one = owed[0].connection_id
        if one in self._late or one in self._slow or len(self._late) >= MAX_WAITING:
            return
        self._late.add(one)
        self._pool.submit(self._deliver, one, owed)

    def finished(self) -> list[Done]:
        """The actions that have ended since the last call, each once.

        A fault in a thread, which is one of ours, is raised here.
        """
        if not self._crashes.empty():
            raise self._crashes.get()
        now_s = time.monotonic()
        self._slow = {one: until for one, until in self._slow.items() if until > now_s}
        while not self._delivered.empty():
            one, outcomes = self._delivered.get()
            self._late.discard(one)
            self.counts.update(f"late_{outcome.value}" for outcome in outcomes)
            if outcomes[-1] in UNTAKEN:
                is_full = outcomes[-1] is Outcome.THROTTLED
                self._slow[one] = now_s + (FULL_S if is_full else SLOW_S)
        done: list[Done] = []
        while not self._done.empty():
            done.append(self._done.get())
            self.counts[_label(*done[-1])] += 1
        self._waiting -= len(done)
        return done

    def close(self) -> None:
        """Waits for what is under way; what has not begun is left to the next keeper."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _do(self, action: Action) -> None:
        self._done.put((action, self._tried(partial(self._deeds.do, action))))

    def _deliver(self, connection_id: str, owed: Sequence[Late]) -> None:
        outcomes: list[Outcome] = []
        for late in owed:
            outcomes.append(self._tried(partial(self._deeds.deliver, late)))
            if outcomes[-1] in UNTAKEN:
                break
        self._delivered.put((connection_id, outcomes))

    def _tried(self, deed: Callable[[], Outcome]) -> Outcome:
        try:
            return deed() if self._may_act() else Outcome.NOT_TRIED
        except BaseException as error:
            self._crashes.put(error)
            raise


def _label(action: Action, outcome: Outcome) -> str:
    name = type(action).__name__.lower()
    if isinstance(action, Close):
        name = f"{name}_{action.reason.value}"
    return f"{name}_{outcome.value}"
