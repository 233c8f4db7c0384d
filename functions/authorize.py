"""Who may connect: the REQUEST authorizer of `$connect` and of the HTTP API (design.md §7).

Needs `dynamodb:GetItem` on the keys. `Authorization: Bearer …` is taken before `?api_key=…`.

    key ─► item of the keys table ─► policy, and its id, scope and limits for the functions
"""

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from functions.events import header, read
from functions.settings import settings
from functions.tables import keys_table
from marketdata.api_keys import OPERATE, StoredKey

SCHEME = "bearer "
READING = frozenset({"GET", "HEAD", "OPTIONS"})
"""The methods of the HTTP API for which every scope is enough."""
LIMITS = ("connections", "rate", "burst")


class HttpRequest(msgspec.Struct, frozen=True, rename="camel"):
    """`requestContext.http` of the HTTP API's format 2.0."""

    method: str = ""


class RequestContext(msgspec.Struct, frozen=True, rename="camel"):
    """`requestContext`; the HTTP API's has no `eventType`."""

    event_type: str = ""
    stage: str = ""
    http_method: str = ""
    http: HttpRequest = HttpRequest()


class AuthorizerEvent(msgspec.Struct, frozen=True, rename="camel"):
    """A REQUEST authorizer's event; an HTTP API has formats 1.0 and 2.0 of it."""

    headers: Mapping[str, str] | None = None
    query_string_parameters: Mapping[str, str] | None = None
    method_arn: str = ""
    route_arn: str = ""
    request_context: RequestContext = RequestContext()

    def __repr__(self) -> str:
        return "AuthorizerEvent(…)"  # headers and query have the key in them


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001
    """The policy, with what later functions are told of the key (`told`).

    A key that the HTTP API must not let in gets a policy that denies (403): that an HTTP API
    makes a 401 of an exception is not documented.

    Raises:
        Exception: `Unauthorized`, the text by which a WebSocket API answers 401.
        StoreError: the keys cannot be read; API Gateway answers 500.
    """
    asked = read(event, AuthorizerEvent)
    resource = asked.method_arn or asked.route_arn
    is_socket = asked.request_context.event_type == "CONNECT"
    given = given_key(asked)
    if is_socket and not given and is_open(asked.request_context.stage):
        return policy("Allow", resource, "anyone") | {"context": {"key_id": ""}}
    key = keys_table().find(given, int(time.time()))
    if key is not None and (is_socket or may(key, asked.request_context)):
        return policy("Allow", resource, key.id) | {"context": told(key)}
    if not is_socket:
        return policy("Deny", resource, "nobody" if key is None else key.id)
    # API Gateway's contract: this text, and no other, becomes a 401.
    raise Exception("Unauthorized")  # noqa: TRY002


def is_open(stage: str) -> bool:
    """Whether a stage lets in who brings no key; a key that is brought is always checked."""
    known = settings()
    if stage == "candles":
        return bool(known.callback_url_candles)
    return stage == "ws" and known.open_ws


def may(key: StoredKey, context: RequestContext) -> bool:
    """Whether a key may do what is asked of the HTTP API; a method not told changes things."""
    method = context.http_method or context.http.method
    return method in READING or key.scope == OPERATE


def told(key: StoredKey) -> dict[str, str]:
    """The key's id, scope and own limits, as texts: later events have no others."""
    limits = {name: getattr(key, name) for name in LIMITS}
    own = {name: str(number) for name, number in limits.items() if number is not None}
    return {"key_id": key.id, "scope": key.scope, **own}


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
