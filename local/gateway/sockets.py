"""One WebSocket from upgrade to goodbye, as API Gateway leads it (aws.md §3).

upgrade ─► authorizer ─► $connect ─► 101 ─► messages to their routes ─► $disconnect
"""

import asyncio
import contextlib
import fnmatch
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from local.gateway import events
from local.gateway.answers import protocol_error
from local.gateway.clients import MAX_CLIENTS, Client, Clients
from local.gateway.events import Caller
from local.gateway.faults import Faults
from local.gateway.heartbeat import Heartbeat
from local.gateway.lambda_runtime import FunctionFailed, Functions
from local.gateway.log import logger
from local.gateway.settings import GatewaySettings
from marketdata.client_protocol import INTERNAL, RATE_LIMITED, UNAUTHORIZED, VALIDATION_ERROR

ROUTES: Mapping[str, str] = {
    "$connect": "connect",
    "$disconnect": "disconnect",
    "$default": "default",
    "subscribe": "subscribe",
    "unsubscribe": "unsubscribe",
    "ping": "ping",
    "register": "register",
}
"""The functions of the stage's routes; a message's route is its member `type`."""
AUTHORIZER = "authorize"
PARALLEL_MESSAGES = 8
"""A connection's messages that run at a time; then its socket is not read."""
READ_AHEAD = 4
"""Messages up to this many times too long are read whole: then the client sees the 1009."""
PINGED_STAGE = "ws"
PROTOCOL_HEADER = "Sec-WebSocket-Protocol"


class _Typed(msgspec.Struct):
    type: object = None


class Refused(Exception):
    """The upgrade is answered with `response`."""

    def __init__(self, response: web.Response) -> None:
        self.response = response
        super().__init__(response.status)


class Sockets:
    """The WebSocket endpoint of one stage."""

    def __init__(
        self,
        stage: str,
        settings: GatewaySettings,
        functions: Functions,
        clients: Clients,
        faults: Faults,
    ) -> None:
        self._stage = stage
        self._settings = settings
        self._functions = functions
        self._clients = clients
        self._faults = faults
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one client, from its upgrade request to the end of its connection."""
        if not web.WebSocketResponse().can_prepare(request).ok:
            return protocol_error(
                400, VALIDATION_ERROR, f"{request.path} is a WebSocket: ask for an upgrade"
            )
        if len(self._clients) >= MAX_CLIENTS:
            return protocol_error(429, RATE_LIMITED, "too many connections")
        caller = Caller(
            self._stage,
            request.host,
            request.remote or "",
            request.headers.get("User-Agent"),
        )
        try:
            await self._authorize(request, caller)
            protocols = await self._connect(request, caller)
        except Refused as refused:
            return refused.response
        socket = web.WebSocketResponse(
            timeout=2.0,
            protocols=protocols,
            compress=False,
            autoping=False,
            max_msg_size=self._settings.limits.message_bytes * READ_AHEAD,
        )
        await self._serve(request, Client(caller, socket, self._settings.buffer_bytes))
        return socket

    async def _authorize(self, request: web.Request, caller: Caller) -> None:
        event = events.authorizer_event(caller, request.headers, request.query)
        try:
            policy = await self._functions.invoke(AUTHORIZER, event)
        except FunctionFailed as failed:
            if failed.error_message == "Unauthorized":
                raise Refused(
                    protocol_error(
                        401,
                        UNAUTHORIZED,
                        "no known API key in `Authorization: Bearer` or `?api_key=`",
                    )
                ) from None
            raise Refused(_broken(AUTHORIZER, failed)) from failed
        if not _allows(policy, events.method_arn(caller.stage, "$connect")):
            raise Refused(protocol_error(403, UNAUTHORIZED, "this key may not connect here"))
        caller.authorizer = events.flatten(policy.get("context", {}), policy["principalId"])

    async def _connect(self, request: web.Request, caller: Caller) -> tuple[str, ...]:
        """Run `$connect`; the subprotocols that its response chose."""
        event = events.connect_event(caller, request.headers, request.query)
        try:
            response = await self._functions.invoke(ROUTES["$connect"], event)
        except FunctionFailed as failed:
            raise Refused(_broken("$connect", failed)) from failed
        status = response.get("statusCode", 500)
        if not 200 <= status < 300:
            raise Refused(
                web.Response(
                    status=status,
                    headers=response.get("headers"),
                    text=response.get("body", ""),
                )
            )
        headers = response.get("headers", {})
        chosen = [
            text for name, text in headers.items() if name.lower() == PROTOCOL_HEADER.lower()
        ]
        return tuple(chosen)

    async def _serve(self, request: web.Request, client: Client) -> None:
        self._clients.add(client)  # it exists from here on: `$connect` has returned
        writer = None
        watchers: list[asyncio.Task[None]] = []
        heartbeat = self._heartbeat(client)
        try:
            client.transport = request.transport
            await client.socket.prepare(request)
            writer = asyncio.create_task(client.write())
            watchers = [asyncio.create_task(self._watch(client))]
            if self._stage == PINGED_STAGE:
                watchers.append(asyncio.create_task(heartbeat.run()))
            await self._read(client, heartbeat)
        except ConnectionError:
            pass  # the client went away during its own upgrade
        finally:
            self._clients.remove(client)
            for watcher in watchers:
                watcher.cancel()
            if writer and client.closing is None:
                writer.cancel()
            if writer:
                await asyncio.wait(
                    [writer]
                )  # it ends the closing handshake, in its own time limit
            await self._disconnected(client)

    def _heartbeat(self, client: Client) -> Heartbeat:
        known = self._settings
        return Heartbeat(client, ping_s=known.ping_s, pong_s=known.pong_s)

    async def _read(self, client: Client, heartbeat: Heartbeat) -> None:
        turns = asyncio.Semaphore(PARALLEL_MESSAGES)
        while True:
            message: WSMessage = await client.socket.receive()
            if message.type is WSMsgType.PING:
                await client.socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                heartbeat.answered()
            elif message.type is WSMsgType.BINARY:
                client.close(WSCloseCode.UNSUPPORTED_DATA, "binary messages are not supported")
            elif message.type is not WSMsgType.TEXT:
                return
            elif _is_longer(message.data, self._settings.limits.message_bytes):
                client.close(WSCloseCode.MESSAGE_TOO_BIG, "the message is too long")
            else:
                client.last_active_ms = events.now_ms()
                await turns.acquire()
                task = asyncio.create_task(self._answer(client, message.data, turns))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _answer(self, client: Client, text: str, turns: asyncio.Semaphore) -> None:
        try:
            route = route_of(text)
            event = events.message_event(client.caller, route, text)
            response = await self._functions.invoke(ROUTES[route], event)
            body = response.get("body") if isinstance(response, dict) else None
            if body:
                client.offer(body.encode())
        except FunctionFailed as failed:
            logger.error("function failed", extra={"reason": str(failed)})
            client.offer(
                msgspec.json.encode(
                    {
                        "message": "Internal server error",
                        "connectionId": client.id,
                        "requestId": event["requestContext"]["requestId"],
                    }
                )
            )
        finally:
            turns.release()

    async def _watch(self, client: Client) -> None:
        """Close the connection at the end of its life, or of its idle time."""
        life_ms = round(self._settings.connection_life_s * 1000)
        idle_ms = round(self._settings.idle_s * 1000)
        while True:
            ends_ms = min(client.caller.connected_ms + life_ms, client.last_active_ms + idle_ms)
            left_ms = ends_ms - events.now_ms()
            if left_ms <= 0:
                client.close(WSCloseCode.GOING_AWAY, "Going away")
                return
            await asyncio.sleep(left_ms / 1000)

    async def _disconnected(self, client: Client) -> None:
        if self._faults.take(client.id, ("no_disconnect",)):
            return
        code = client.socket.close_code or WSCloseCode.ABNORMAL_CLOSURE
        event = events.disconnect_event(client.caller, int(code), "")
        with contextlib.suppress(asyncio.CancelledError):
            try:
                await self._functions.invoke(ROUTES["$disconnect"], event)
            except FunctionFailed as failed:
                logger.error("function failed", extra={"reason": str(failed)})


def _is_longer(text: str, limit: int) -> bool:
    return len(text) > limit or (len(text) > limit // 4 and len(text.encode()) > limit)


def route_of(text: str) -> str:
    """`$request.body.type`; `$default` where that is not a route or the text is not JSON."""
    try:
        kind = msgspec.json.decode(text, type=_Typed).type
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return "$default"
    return kind if isinstance(kind, str) and kind in ROUTES else "$default"


def _allows(policy: Mapping[str, Any], arn: str) -> bool:
    """Whether an authorizer's policy lets the caller in: one Allow, no Deny."""
    effects = {
        statement["Effect"]
        for statement in policy["policyDocument"]["Statement"]
        if any(
            fnmatch.fnmatchcase(arn, resource)
            for resource in _listed(statement.get("Resource", []))
        )
    }
    return effects == {"Allow"}


def _listed(resource: str | list[str]) -> list[str]:
    return [resource] if isinstance(resource, str) else resource


def _broken(name: str, failed: FunctionFailed) -> web.Response:
    logger.error("function failed", extra={"function": name, "reason": str(failed)})
    return protocol_error(500, INTERNAL, "connecting failed: try again")
