"""`GET /docs`: the HTTP API and the WebSocket protocol, for people. Needs nothing."""

import base64
import functools
import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from functions.logic.docs_html import STYLE, page
from functions.logic.http_answers import Response, answer
from functions.openapi import ASYNCAPI, OPENAPI, document

HTML = "text/html; charset=utf-8"


def handler(event: Mapping[str, Any], context: object) -> Response:  # noqa: ARG001
    """One page without scripts; it may load nothing and be shown in no frame."""
    return answer(200, HTML, _page(), **{"content-security-policy": _policy()})


@functools.cache
def _page() -> str:
    return page(*(msgspec.json.decode(document(name)) for name in (OPENAPI, ASYNCAPI)))


@functools.cache
def _policy() -> str:
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'"
