"""This process's way to clients: one management API for each stage, one loop for all.

Made when first needed and kept while the function is warm.
"""

import atexit
import functools
import math
import threading
from collections.abc import Mapping, Sequence

import botocore.session

from functions.event_loop import LoopThread
from functions.gateway import Delivery, ManagementApi, Outcome
from functions.settings import settings
from functions.signing import Credentials
from marketdata.errors import GatewayUnavailable

_making = threading.Lock()


class ClientPosts:
    """Posts to the clients of one stage, from any thread."""

    def __init__(self, api: ManagementApi, loop: LoopThread) -> None:
        self._api = api
        self._loop = loop

    def post(self, connection_id: str, data: bytes) -> Outcome:
        """Send one message, with one more try where that can help."""
        return self.post_many({connection_id: [data]})[connection_id].last

    def post_many(
        self,
        messages: Mapping[str, Sequence[bytes]],
        *,
        limits_s: Mapping[str, float] | None = None,
        until_s: float = math.inf,
    ) -> dict[str, Delivery]:
        """See `ManagementApi.post_many`."""
        return self._loop.run(self._api.post_many(messages, limits_s=limits_s, until_s=until_s))

    async def _close(self) -> None:
        self._api.close()

    def close(self) -> None:
        """Close the kept connections and end the loop."""
        self._loop.run(self._close())
        self._loop.stop()


def stream_posts() -> ClientPosts:
    """The clients of the stage `stream`."""
    with _making:
        return _stream_posts()


@functools.cache
def _stream_posts() -> ClientPosts:
    known = settings().having("callback_url_stream", "region")
    api = ManagementApi(
        known.callback_url_stream, region=known.region, credentials=_credentials()
    )
    return ClientPosts(api, LoopThread())


def close() -> None:
    """Close what was made; the next call of `stream_posts` makes it anew."""
    with _making:
        if _stream_posts.cache_info().currsize:
            _stream_posts().close()
            _stream_posts.cache_clear()


atexit.register(close)


class _RoleCredentials:
    """The SDK's own chain; a role's key is renewed by it in time."""

    def __init__(self) -> None:
        self._chain = botocore.session.Session().get_credentials()

    def __call__(self) -> Credentials:
        if self._chain is None:
            raise GatewayUnavailable("there are no AWS credentials to sign posts with")
        frozen = self._chain.get_frozen_credentials()
        return Credentials(frozen.access_key or "", frozen.secret_key or "", frozen.token)


def _credentials() -> _RoleCredentials:
    return _RoleCredentials()
