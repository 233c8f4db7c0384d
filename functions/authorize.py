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

    Raises:
        Exception: `Unauthorized`, the text by which API Gateway answers 401.
        StoreError: the keys cannot be read; API Gateway answers 500.
    """
    asked = read(event, AuthorizerEvent)
    key = keys_table().find(given_key(asked), int(time.time()))
    if key is None:
        # API Gateway's contract: this text, and no other, becomes a 401.
        raise Exception("Unauthorized")  # noqa: TRY002
    return {
        "principalId": key.id,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": "Allow",
                    "Resource": asked.method_arn or asked.route_arn,
                }
            ],
        },
        "context": {"key_id": key.id, "scope": key.scope},
    }


def given_key(event: AuthorizerEvent) -> str:
    """The key in the header, else in the query; empty when there is none."""
    authorization = header(event.headers, "authorization") or ""
    if authorization[: len(SCHEME)].lower() == SCHEME:
        return authorization[len(SCHEME) :].strip()
    return (event.query_string_parameters or {}).get("api_key", "")
