"""When the old one of two sockets may close (rule 9). Pure: the time is an argument."""

from container_worker.exchanges.adapter import Channel


class Overlap:
    """Begins when the new socket's subscriptions are accepted.

    The old socket is done when every unit that it delivered since then has come on the new
    one, and at the latest after `most_s`.
    """

    def __init__(self, now_s: float, least_s: float, most_s: float) -> None:
        self._least_s = now_s + least_s
        self._most_s = now_s + most_s
        self._owed: set[Channel] = set()
        self._come: set[Channel] = set()

    def delivered(self, channel: Channel, *, by_new: bool) -> None:
        """A frame of this unit came on one of the two."""
        (self._come if by_new else self._owed).add(channel)

    def is_done(self, now_s: float, *, settled: bool) -> bool:
        """Whether the old socket may close; `settled`: no unit waits for it to catch up."""
        if now_s >= self._most_s:
            return True
        return now_s >= self._least_s and settled and self._owed <= self._come
