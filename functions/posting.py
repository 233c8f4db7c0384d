"""This process's ways to clients: one management API for each stage, one loop for all.

Made when first needed and kept while the function is warm.
"""

import atexit
import math
import threading
from collections.abc import Mapping, Sequence

import botocore.session

from functions.event_loop import LoopThread
from functions.gateway import Delivery, ManagementApi, Outcome
from functions.settings import settings
from functions.signing import Credentials
from marketdata.errors import GatewayUnavailable, SettingsError

_making = threading.Lock()
_made: dict[str, "ClientPosts"] = {}
_loops: list[LoopThread] = []


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
        """Close the kept connections."""
        self._loop.run(self._close())


def posts(stage: str) -> ClientPosts:
    """The clients of a stage.

    Raises:
        SettingsError: this deployment does not have the stage.
    """
    with _making:
        if stage not in _made:
            _made[stage] = _posts(stage)
        return _made[stage]


def _posts(stage: str) -> ClientPosts:
    known = settings().having("region")
    url = known.callback_url(stage)
    if not url:
        raise SettingsError([f"the variable CALLBACK_URL_{stage.upper()} is not set"])
    if not _loops:
        _loops.append(LoopThread())
    api = ManagementApi(url, region=known.region, credentials=_RoleCredentials())
    return ClientPosts(api, _loops[0])


def close() -> None:
    """Close what was made; the next call of `posts` makes it anew."""
    with _making:
        for one in _made.values():
            one.close()
        _made.clear()
        while _loops:
            _loops.pop().stop()


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
