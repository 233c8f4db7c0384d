"""Who may connect: the REQUEST authorizer of `$connect` and of the HTTP API (design.md §7).

Needs `dynamodb:GetItem` on the keys. `Authorization: Bearer …` is taken before `?api_key=…`.
"""

import time
from collections.abc import Mapping
from typing import Any

from functions.events import AuthorizerEvent, header, read
from functions.tables import keys_table

SCHEME = "bearer "


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001
    """The policy that lets a key in, with `key_id` and `scope` for the later functions.

    A wrong key of the HTTP API gets a policy that denies (403): that an HTTP API makes a 401 of
    an exception is not documented.

    Raises:
        Exception: `Unauthorized`, the text by which a WebSocket API answers 401.
        StoreError: the keys cannot be read; API Gateway answers 500.
    """
    asked = read(event, AuthorizerEvent)
    resource = asked.method_arn or asked.route_arn
    key = keys_table().find(given_key(asked), int(time.time()))
    if key is not None:
        return policy("Allow", resource, key.id) | {
            "context": {"key_id": key.id, "scope": key.scope}
        }
    if asked.request_context.event_type != "CONNECT":
        return policy("Deny", resource, "nobody")
    # API Gateway's contract: this text, and no other, becomes a 401.
    raise Exception("Unauthorized")  # noqa: TRY002


def policy(effect: str, resource: str, principal: str) -> dict[str, Any]:
    """An IAM answer for the resource that was asked for."""
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource}
    return {
        "principalId": principal,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
    }


def given_key(event: AuthorizerEvent) -> str:
    """The key in the header, else in the query; empty when there is none."""
    authorization = header(event.headers, "authorization") or ""
    if authorization[: len(SCHEME)].lower() == SCHEME:
        return authorization[len(SCHEME) :].strip()
    return (event.query_string_parameters or {}).get("api_key", "")
