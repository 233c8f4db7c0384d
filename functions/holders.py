"""Asks API Gateway which connections are gone; rare, so that nothing is kept for it.

connection ids ─► GET @connections, side by side ─► those that were answered 410
"""

import asyncio
from collections.abc import Collection

import botocore.session

from functions.gateway import ManagementApi
from functions.settings import settings
from functions.signing import Credentials

LIMIT_S = 2.0
PARALLEL = 25


def gone(stage: str, connection_ids: Collection[str]) -> set[str]:
    """Those that the stage does not have; one that nothing is known of counts as there.

    To be called from a thread that has no event loop.
    """
    known = settings()
    endpoint = known.callback_url(stage)
    if not endpoint or not connection_ids:
        return set()
    return asyncio.run(_gone(endpoint, known.region, connection_ids))


async def _gone(endpoint: str, region: str, connection_ids: Collection[str]) -> set[str]:
    credentials = _credentials()
    if credentials is None:
        return set()
    api = ManagementApi(
        endpoint, region=region, credentials=lambda: credentials, parallel=PARALLEL
    )
    try:
        return await api.gone(connection_ids, limit_s=LIMIT_S)
    finally:
        api.close()


def _credentials() -> Credentials | None:
    """The SDK's own chain, asked anew."""
    found = botocore.session.Session().get_credentials()
    if found is None:
        return None
    frozen = found.get_frozen_credentials()
    return Credentials(frozen.access_key or "", frozen.secret_key or "", frozen.token)
