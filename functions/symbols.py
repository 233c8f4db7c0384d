"""`GET /api/symbols`: the instruments that are captured, and what clients can have of each.

Needs `dynamodb:Scan` on the instruments.
"""

from collections.abc import Mapping
from typing import Any

from functions.logic.http_answers import Parameters, Response, answered, refuse_unknown
from functions.tables import instruments_table


def handler(event: Mapping[str, Any], context: object) -> Response:  # noqa: ARG001
    """`{"success":true,"symbols":[…]}`, by exchange and ticker."""
    return answered(event, _symbols)


def _symbols(parameters: Parameters) -> Mapping[str, object]:
    refuse_unknown(parameters, ())
    return {"symbols": instruments_table().all()}
