"""Speaks to clients through API Gateway's management API: posts, and asks who is there.

boto3 takes over ten times as long for a post (`benchmarks/bench_push.py`): here connections
are kept, signatures share what is constant, and posts run side by side. Posts to one
connection are serial and in order, posts to different ones are parallel (rule 22).

    messages per connection ─► POST …/@connections/<id> ─► Outcome of each connection
    connection ids ─► GET …/@connections/<id> ─► those that are gone
"""

import asyncio
import enum
import hashlib
import math
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from functions.http_post import HttpPool
from functions.signing import Credentials, Signer

POST_LIMIT_S = 3.0
SIGNER_LIFE_S = 60.0
RETRY_PAUSE_S = (0.05, 0.15)


class Outcome(enum.Enum):
    """What became of a post."""

    SENT = "sent"
    GONE = "gone"
    THROTTLED = "throttled"
    TIMED_OUT = "timed_out"
    TOO_LARGE = "too_large"
    FORBIDDEN = "forbidden"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    NOT_TRIED = "not_tried"


OF_STATUS = {
    200: Outcome.SENT,
    403: Outcome.FORBIDDEN,
    410: Outcome.GONE,
    413: Outcome.TOO_LARGE,
    429: Outcome.THROTTLED,
}
OF_THE_SERVICE = frozenset({Outcome.FORBIDDEN, Outcome.FAILED, Outcome.UNREACHABLE})
"""Outcomes that tell of the management API itself, not of one client."""
AGAIN = frozenset({Outcome.THROTTLED, Outcome.FAILED, Outcome.UNREACHABLE})
"""Outcomes that are worth one more try.

After a 429, or where no connection was to be had, nothing was taken. After a 5xx, or where the
connection ended before the answer, the message may have been: then a client gets it twice. That
is better than not at all, and better than the batch once more for everybody. One time-out is
the end, as whatever was not answered within three seconds is likely to be under way still.
"""
GO_ON = frozenset({Outcome.SENT, Outcome.TOO_LARGE})
"""Outcomes after which the connection's next message is posted."""


@dataclass(slots=True)
class Delivery:
    """What became of one connection's messages; `last` is the outcome of the last post.

    `took_s` is how long all but the last of its posts took together.
    """

    sent: int = 0
    too_large: int = 0
    skipped: int = 0
    retried: int = 0
    took_s: float = 0.0
    last: Outcome = Outcome.NOT_TRIED


class ManagementApi:
    """The management API of one stage; belongs to one event loop.

    `endpoint` is the stage's callback URL. `credentials` is asked once a minute.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        region: str,
        credentials: Callable[[], Credentials],
        parallel: int = 128,
    ) -> None:
        parts = urlsplit(endpoint)
        self._pool = HttpPool(endpoint)
        self._base = f"{quote(parts.path.rstrip('/'), safe='/~%')}/@connections/"
        self._host = parts.netloc
        self._region = region
        self._credentials = credentials
        self._parallel = parallel
        self._signer: Signer | None = None
        self._signed_at = 0.0

    async def post(
        self, connection_id: str, data: bytes, *, limit_s: float = POST_LIMIT_S
    ) -> Outcome:
        """Send one message to one connection; an answer takes at most `limit_s`."""
        return await self._send(self._request("POST", connection_id, data), limit_s)

    async def gone(
        self, connection_ids: Collection[str], *, limit_s: float = POST_LIMIT_S
    ) -> set[str]:
        """Those that were answered 410; many are asked for at a time.

        Whatever else is answered, or nothing in time, does not say that one is gone.
        """
        found: set[str] = set()
        waiting = iter(connection_ids)

        async def worker() -> None:
            for connection_id in waiting:
                request = self._request("GET", connection_id, b"")
                outcome = await self._send(request, limit_s)
                if outcome is Outcome.UNREACHABLE:  # a kept connection may have ended
                    outcome = await self._send(request, limit_s)
                if outcome is Outcome.GONE:
                    found.add(connection_id)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._parallel, len(connection_ids))):
                group.create_task(worker())
        return found

    async def post_many(
        self,
        messages: Mapping[str, Sequence[bytes]],
        *,
        limits_s: Mapping[str, float] | None = None,
        until_s: float = math.inf,
    ) -> dict[str, Delivery]:
        """Send each connection its messages in order, many connections at a time.

        A connection whose post timed out, was gone, or failed twice gets none of its further
        ones. `limits_s` are of connections that were slow lately: how long a post may take,
        and a 429 is not tried again, so that the batch does not wait for them. After
        `until_s` (`time.monotonic()`) no post begins.
        """
        limits_s = limits_s or {}
        deliveries = {connection_id: Delivery() for connection_id in messages}
        waiting = iter(messages.items())

        async def worker() -> None:
            for connection_id, own in waiting:
                limit_s = limits_s.get(connection_id)
                await self._deliver(
                    connection_id, own, deliveries[connection_id], limit_s, until_s
                )

        workers = min(self._parallel, len(messages))
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(worker())
        return deliveries

    def close(self) -> None:
        """Close the kept connections; to be called in the loop."""
        self._pool.close()

    async def _deliver(
        self,
        connection_id: str,
        messages: Sequence[bytes],
        delivery: Delivery,
        slow_limit_s: float | None,
        until_s: float,
    ) -> None:
        limit_s = POST_LIMIT_S if slow_limit_s is None else slow_limit_s
        again = AGAIN if slow_limit_s is None else OF_THE_SERVICE & AGAIN
        began_s = time.monotonic()
        for done, message in enumerate(messages):
            now_s = time.monotonic()
            delivery.took_s = now_s - began_s
            if now_s >= until_s:
                delivery.skipped = len(messages) - done
                return
            outcome = await self.post(connection_id, message, limit_s=limit_s)
            if outcome in again:
                delivery.retried += 1
                await asyncio.sleep(random.uniform(*RETRY_PAUSE_S))  # noqa: S311  (jitter)
                outcome = await self.post(connection_id, message, limit_s=limit_s)
            delivery.last = outcome
            if outcome is Outcome.SENT:
                delivery.sent += 1
            elif outcome is Outcome.TOO_LARGE:
                delivery.too_large += 1
            if outcome not in GO_ON:
                delivery.skipped = len(messages) - done - 1
                return

    async def _send(self, request: bytes, limit_s: float) -> Outcome:
        try:
            async with asyncio.timeout(limit_s):
                status = await self._pool.request(request)
        except TimeoutError:
            return Outcome.TIMED_OUT
        except OSError:
            return Outcome.UNREACHABLE
        return OF_STATUS.get(status, Outcome.FAILED)

    def _request(self, method: str, connection_id: str, data: bytes) -> bytes:
        # An id ends in "=", which has to be percent-encoded (aws.md §9).
        path = self._base + quote(connection_id, safe="")
        body_hash = hashlib.sha256(data).hexdigest()
        signature = self._signing().headers(path, body_hash, method=method)
        length = f"Content-Length: {len(data)}\r\n" if method == "POST" else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\n{length}{signature}\r\n"
        return head.encode() + data

    def _signing(self) -> Signer:
        now = time.time()
        if self._signer is None or abs(now - self._signed_at) > SIGNER_LIFE_S:
            self._signer = Signer(
                self._credentials(), region=self._region, host=self._host, now_s=now
            )
            self._signed_at = now
        return self._signer
