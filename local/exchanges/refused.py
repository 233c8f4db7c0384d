"""A refusal as the fault wants it: whole, or with a body that breaks off."""

import asyncio

from aiohttp import web

from local.exchanges.connection import reset
from local.exchanges.faults import Refuse

_LONGEST_STALL_S = 30.0


async def refused(
    request: web.Request, answer: web.Response, fault: Refuse
) -> web.StreamResponse:
    """The answer itself; or its head and its text, of a body that is said to be longer.

    What is missing never comes: the connection stands for as long as the client has it open,
    30 s at most, or is reset at once.
    """
    if fault.body == "whole":
        return answer
    text = answer.body if isinstance(answer.body, bytes) else b""
    begun = web.StreamResponse(status=answer.status, headers=answer.headers)
    begun.content_length = len(text) + 100
    await begun.prepare(request)
    await begun.write(text)
    if fault.body == "stall":
        await asyncio.sleep(_LONGEST_STALL_S)
    if isinstance(request.transport, asyncio.Transport):
        reset(request.transport)
    return begun
