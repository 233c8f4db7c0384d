"""The gateway's management API: say something to a connection, ask for it, end it.

    connection ─► boto3 ─► @connections/<id> of its stage ─► Outcome

Library errors become outcomes at this port and nowhere else. Every call has three seconds.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from container_worker.keep.connection import Outcome

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient

LIMIT_S = 3
OF_STATUS = {
    403: Outcome.REFUSED,
    404: Outcome.REFUSED,
    410: Outcome.GONE,
    429: Outcome.THROTTLED,
}


class Management:
    """The stages' management APIs; every method may be called from several threads.

    Args:
        urls: The address of each stage's API.
        parallel: The most calls at a time.
    """

    def __init__(self, urls: Mapping[str, str], parallel: int) -> None:
        config = Config(
            connect_timeout=LIMIT_S,
            read_timeout=LIMIT_S,
            retries={"mode": "standard", "total_max_attempts": 1},
            max_pool_connections=parallel,
        )
        self._clients: dict[str, ApiGatewayManagementApiClient] = {
            stage: boto3.client("apigatewaymanagementapi", endpoint_url=url, config=config)
            for stage, url in urls.items()
        }

    def post(self, stage: str, connection_id: str, text: bytes) -> Outcome:
        """Sends one message; DONE when the gateway has taken it."""
        client = self._clients[stage]
        return _outcome(
            lambda: client.post_to_connection(ConnectionId=connection_id, Data=text)
        )

    def ask(self, stage: str, connection_id: str) -> Outcome:
        """DONE when there is such a connection, GONE when there is none."""
        client = self._clients[stage]
        return _outcome(lambda: client.get_connection(ConnectionId=connection_id))

    def close(self, stage: str, connection_id: str) -> Outcome:
        """DONE when the gateway closes it, GONE when there is none."""
        client = self._clients[stage]
        return _outcome(lambda: client.delete_connection(ConnectionId=connection_id))


def _outcome(call: Callable[[], object]) -> Outcome:
    try:
        call()
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return OF_STATUS.get(status, Outcome.FAILED)
    except (EndpointConnectionError, ConnectTimeoutError):
        return Outcome.UNREACHABLE
    except ReadTimeoutError:
        return Outcome.TIMED_OUT
    except BotoCoreError:
        return Outcome.FAILED
    return Outcome.DONE
