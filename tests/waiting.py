"""Waiting for a condition, the only way in which a test lets time pass."""

import time

POLL_S = 0.02


def wait_until(condition, seconds=10, what="the condition"):
    """Poll until `condition()` is true and return its value; fail with `what` in the end.

    A condition that takes long is asked for less often: it would slow down what it waits for.
    """
    until = time.monotonic() + seconds
    while True:
        asked = time.monotonic()
        value = condition()
        if value:
            return value
        now = time.monotonic()
        if now > until:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        time.sleep(max(POLL_S, now - asked))
