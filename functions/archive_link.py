"""`GET /api/archive`: a link to one day's CSV of one ticker (design.md §6, §8).

Needs `s3:GetObject` and `s3:ListBucket` on the archive.
"""

from collections.abc import Mapping
from typing import Any

from functions.archive_bucket import LINK_LIFE_S, archive_bucket
from functions.logic.archive_query import object_wanted
from functions.logic.http_answers import Parameters, Response, answered
from marketdata.errors import RequestError


def handler(event: Mapping[str, Any], context: object) -> Response:  # noqa: ARG001
    """`{"success":true,"url":…,"expires_in":…}`, 400 or 404."""
    return answered(event, _link)


def _link(parameters: Parameters) -> Mapping[str, object]:
    path = object_wanted(parameters)
    url = archive_bucket().link(path)
    if url is None:
        raise RequestError("NOT_FOUND", f"the archive has no {path}")
    return {"url": url, "expires_in": LINK_LIFE_S}
