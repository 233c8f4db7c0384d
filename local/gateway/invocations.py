"""Lambda's own Invoke, for functions that call another one: `$connect` has `welcome` said.

POST /_lambda/2015-03-31/functions/{name}/invocations, `X-Amz-Invocation-Type: Event`
"""

import asyncio

import msgspec
from aiohttp import web

from local.gateway.answers import json_answer
from local.gateway.lambda_runtime import FunctionFailed, Functions
from local.gateway.log import logger

PATH = "/_lambda/2015-03-31/functions/{name}/invocations"
NAMES = frozenset({"welcome"})
"""The functions that others may invoke."""
MAX_WAITING = 10_000
"""Asynchronous invocations that have not ended; one more is answered with 429."""


class Invocations:
    """Serves Invoke: asynchronous calls are answered 202 and run afterwards, once."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self._tasks: set[asyncio.Task[None]] = set()

    async def invoke(self, request: web.Request) -> web.Response:
        """202 for `Event`, the function's response for `RequestResponse`."""
        name = request.match_info["name"]
        if name not in NAMES:
            return _refused(404, "ResourceNotFoundException", f"there is no function {name}")
        try:
            event = msgspec.json.decode(await request.read() or b"{}")
        except (msgspec.DecodeError, UnicodeError):
            return _refused(400, "InvalidRequestContentException", "the payload is no JSON")
        if request.headers.get("X-Amz-Invocation-Type") != "Event":
            try:
                return json_answer(200, await self._functions.invoke(name, event))
            except FunctionFailed as failed:
                return _failed(failed)
        if len(self._tasks) >= MAX_WAITING:
            return _refused(429, "TooManyRequestsException", "too many invocations wait")
        task = asyncio.create_task(self._later(name, event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return web.Response(status=202)

    async def _later(self, name: str, event: object) -> None:
        try:
            await self._functions.invoke(name, event)
        except FunctionFailed as failed:
            logger.error("function failed", extra={"function": name, "reason": str(failed)})


def _refused(status: int, kind: str, message: str) -> web.Response:
    answer = json_answer(status, {"Type": "User", "Message": message})
    answer.headers["x-amzn-ErrorType"] = kind
    return answer


def _failed(failed: FunctionFailed) -> web.Response:
    body = {"errorType": failed.error_type, "errorMessage": failed.error_message}
    answer = json_answer(200, body)
    answer.headers["X-Amz-Function-Error"] = "Unhandled"
    return answer
