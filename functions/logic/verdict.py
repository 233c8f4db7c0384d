"""What posts came to: who is to have the rest when the delivery comes again (rule 22). Pure.

    deliveries ─► nothing was sent: of the service? ┐
               └► the time was over before a turn ──┴► Verdict: again │ missed

A delivery comes again for what is not its clients' doing, and never for one that holds it up:
an event that nobody was sent is not lost, and no client makes a batch fail for ever.
"""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from functions.gateway import GO_ON, OF_THE_SERVICE, Delivery, Outcome
from functions.logic.slow_connections import PROBE_LIMIT_S

SEVERAL = 2
"""So many that time out together, and nobody answers: it may be the management API. One alone
cannot be told from a client that is dead."""

Deliveries = Mapping[str, Delivery]
Stalled = Callable[[Collection[str]], set[str]]


class Verdict(NamedTuple):
    """Whom the delivery has to come again for, and why; empty when it is done."""

    again: frozenset[str]
    why: str


def verdict(deliveries: Deliveries, slow: Collection[str], stalled: Stalled) -> Verdict:
    """Judge what became of the posts.

    `slow` were so before: nothing comes again for them alone. `stalled` says of those that
    timed out together for which of them another try is due.
    """
    failed = _of_the_service(deliveries, stalled)
    if failed:
        reasons = sorted({deliveries[one].last.value for one in failed})
        return Verdict(frozenset(failed), f"no client could be sent to: {', '.join(reasons)}")
    left = [one for one in deliveries if one not in slow and _had_no_turn(deliveries[one])]
    why = f"the time was over before {len(left)} clients had their turn"
    return Verdict(frozenset(left), why if left else "")


def _of_the_service(deliveries: Deliveries, stalled: Stalled) -> set[str]:
    """Those who were tried, where nobody could be sent to and it is no client's doing."""
    tried = {one: at.last for one, at in deliveries.items() if at.last is not Outcome.NOT_TRIED}
    could = OF_THE_SERVICE | {Outcome.TIMED_OUT}
    if not could.issuperset(tried.values()) or any(one.sent for one in deliveries.values()):
        return set()
    failed = {one for one, last in tried.items() if last in OF_THE_SERVICE}
    hanging = tried.keys() - failed
    waited = stalled(hanging) if len(tried) >= SEVERAL else set()
    return failed | waited if failed or len(waited) >= SEVERAL else set()


def _had_no_turn(delivery: Delivery) -> bool:
    """Whether the time was over, and not through itself, before it had everything.

    Who takes a message within `PROBE_LIMIT_S`, on average, is not why it was over.
    """
    if delivery.last not in GO_ON:
        return delivery.last is Outcome.NOT_TRIED
    done = delivery.sent + delivery.too_large
    return delivery.skipped > 0 and delivery.took_s <= PROBE_LIMIT_S * done
