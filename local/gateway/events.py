"""API Gateway's events, member by member as it builds them (aws.md §3).

A WebSocket's `$connect`, message and `$disconnect`; the REQUEST authorizer's; the HTTP API's in
format 2.0.
"""

import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from multidict import CIMultiDictProxy, MultiMapping

API_ID = "local"
ACCOUNT_ID = "000000000000"
Event = dict[str, Any]


def now_ms() -> int:
    """The present, in UTC milliseconds."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """An id as API Gateway's connections and requests have it: 15 characters and a `=`."""
    return urlsafe_b64encode(secrets.token_bytes(11)).decode()


def method_arn(stage: str, route_key: str) -> str:
    """What an authorizer is asked to allow."""
    return f"arn:aws:execute-api:us-east-1:{ACCOUNT_ID}:{API_ID}/{stage}/{route_key}"


@dataclass(slots=True)
class Caller:
    """The connection that a WebSocket's events are about."""

    stage: str
    domain: str
    source_ip: str
    user_agent: str | None
    connection_id: str = field(default_factory=new_id)
    connected_ms: int = field(default_factory=now_ms)
    authorizer: Mapping[str, Any] | None = None

    def context(self, event_type: str, route_key: str, **more: Any) -> Event:
        """`requestContext` of one event."""
        present_ms = now_ms()
        identity = {"sourceIp": self.source_ip, "userAgent": self.user_agent}
        request_id = new_id()
        context = {
            "routeKey": route_key,
            "eventType": event_type,
            "extendedRequestId": request_id,
            "requestTime": clf_time(present_ms),
            "messageDirection": "IN",
            "stage": self.stage,
            "connectedAt": self.connected_ms,
            "requestTimeEpoch": present_ms,
            "identity": {name: value for name, value in identity.items() if value is not None},
            "requestId": request_id,
            "domainName": self.domain,
            "connectionId": self.connection_id,
            "apiId": API_ID,
            **more,
        }
        return (
            context if self.authorizer is None else {**context, "authorizer": self.authorizer}
        )


def connect_event(
    caller: Caller, headers: CIMultiDictProxy[str], query: MultiMapping[str]
) -> Event:
    """The upgrade request, for `$connect`."""
    return {
        **_request(headers, query),
        "requestContext": caller.context("CONNECT", "$connect"),
        "isBase64Encoded": False,
    }


def authorizer_event(
    caller: Caller, headers: CIMultiDictProxy[str], query: MultiMapping[str]
) -> Event:
    """The upgrade request, for the authorizer."""
    request = _request(headers, query)
    return {
        "type": "REQUEST",
        "methodArn": method_arn(caller.stage, "$connect"),
        "headers": request["headers"],
        "multiValueHeaders": request["multiValueHeaders"],
        "queryStringParameters": request.get("queryStringParameters", {}),
        "multiValueQueryStringParameters": request.get("multiValueQueryStringParameters", {}),
        "stageVariables": {},
        "requestContext": caller.context("CONNECT", "$connect"),
    }


def message_event(caller: Caller, route_key: str, body: str) -> Event:
    """One message of a client."""
    return {
        "requestContext": caller.context("MESSAGE", route_key, messageId=new_id()),
        "body": body,
        "isBase64Encoded": False,
    }


def disconnect_event(caller: Caller, code: int, reason: str) -> Event:
    """The end of a connection."""
    headers = {"Host": caller.domain, "x-api-key": "", "X-Forwarded-For": "", "x-restapi": ""}
    return {
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "requestContext": caller.context(
            "DISCONNECT", "$disconnect", disconnectStatusCode=code, disconnectReason=reason
        ),
        "isBase64Encoded": False,
    }


def http_event(
    *,
    method: str,
    path: str,
    query_string: str,
    headers: CIMultiDictProxy[str],
    query: MultiMapping[str],
    source_ip: str,
) -> Event:
    """A request to the HTTP API, format 2.0: values of one name are joined by commas."""
    joined = {name.lower(): ",".join(map(_text, headers.getall(name))) for name in set(headers)}
    event: Event = {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": query_string,
        "headers": joined,
        "requestContext": _http_context(method, path, joined, source_ip),
        "isBase64Encoded": False,
    }
    if query:
        event["queryStringParameters"] = {
            _text(name): ",".join(map(_text, query.getall(name))) for name in set(query)
        }
    return event


def _http_context(method: str, path: str, headers: Mapping[str, str], source_ip: str) -> Event:
    present_ms = now_ms()
    http = {
        "method": method,
        "path": path,
        "protocol": "HTTP/1.1",
        "sourceIp": source_ip,
        "userAgent": headers.get("user-agent", ""),
    }
    return {
        "accountId": ACCOUNT_ID,
        "apiId": API_ID,
        "domainName": headers.get("host", ""),
        "domainPrefix": API_ID,
        "http": http,
        "requestId": new_id(),
        "routeKey": f"{method} {path}",
        "stage": "$default",
        "time": clf_time(present_ms),
        "timeEpoch": present_ms,
    }


def flatten(context: Mapping[str, Any], principal: str) -> dict[str, Any]:
    """An authorizer's context as later events have it: every value is a string."""
    flat = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in context.items()
    }
    return {**flat, "principalId": principal, "integrationLatency": 0}


def clf_time(time_ms: int) -> str:
    """`20/Nov/2026:14:30:00 +0000`."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%d/%b/%Y:%H:%M:%S +0000}"


def _request(headers: CIMultiDictProxy[str], query: MultiMapping[str]) -> Event:
    many_headers = _many(headers.items())
    event: Event = {
        "headers": {name: values[-1] for name, values in many_headers.items()},
        "multiValueHeaders": many_headers,
    }
    if query:
        many = _many(query.items())
        event["queryStringParameters"] = {name: values[-1] for name, values in many.items()}
        event["multiValueQueryStringParameters"] = many
    return event


def _many(items: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in items:
        found.setdefault(_text(name), []).append(_text(value))
    return found


def _text(raw: str) -> str:
    """Bytes that are not UTF-8 come as half surrogates, which JSON cannot carry."""
    return raw.encode("utf-8", "replace").decode()
