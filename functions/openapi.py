"""`GET /api/openapi.json` and `GET /api/asyncapi.json`: the documents as they are on disk.

openapi.json is written by hand; asyncapi.json is docs/asyncapi.yaml as JSON. Needs nothing.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from functions.logic.http_answers import JSON, Response, answer

OPENAPI, ASYNCAPI = "openapi.json", "asyncapi.json"


def handler(event: Mapping[str, Any], context: object) -> Response:  # noqa: ARG001
    """The document that the request's path ends with; OpenAPI where it names none."""
    is_asyncapi = str(event.get("rawPath", "")).endswith(f"/{ASYNCAPI}")
    return answer(200, JSON, document(ASYNCAPI if is_asyncapi else OPENAPI))


@functools.cache
def document(name: str) -> str:
    """The text of `OPENAPI` or `ASYNCAPI`."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
