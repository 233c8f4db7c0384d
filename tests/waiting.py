"""Waiting for a condition, the only way in which a test lets time pass."""

import time

POLL_S = 0.02


def wait_until(condition, seconds=10, what="the condition"):
    """Poll until `condition()` is true and return its value; fail with `what` in the end."""
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        time.sleep(POLL_S)
