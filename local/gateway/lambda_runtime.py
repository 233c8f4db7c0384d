"""Runs the functions as Lambda does: JSON in, JSON out, several at a time, with a context.

event ─► JSON ─► handler(event, context) in a worker thread ─► JSON ─► response
"""

import asyncio
import importlib
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import msgspec

Handler = Callable[[Any, Any], Any]

THREADS = 32
INTEGRATION_LIMIT_S = 29.0


class FunctionFailed(Exception):
    """A handler raised or did not end in time; `error_message` is what Lambda reports."""

    def __init__(self, error_type: str, error_message: str) -> None:
        self.error_type = error_type
        self.error_message = error_message
        super().__init__(f"{error_type}: {error_message}")


@dataclass(frozen=True, slots=True)
class LambdaContext:
    """What a handler is given beside its event."""

    function_name: str
    limit_s: float = INTEGRATION_LIMIT_S
    function_version: str = "$LATEST"
    memory_limit_in_mb: int = 1769
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    log_stream_name: str = "local"
    started_s: float = field(default_factory=time.monotonic)

    @property
    def invoked_function_arn(self) -> str:
        """Of an account that does not exist."""
        return f"arn:aws:lambda:us-east-1:000000000000:function:{self.function_name}"

    @property
    def log_group_name(self) -> str:
        """As Lambda names it by default."""
        return f"/aws/lambda/{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """How long the invocation may still take."""
        left_s = self.limit_s - (time.monotonic() - self.started_s)
        return max(0, round(left_s * 1000))


def load(name: str) -> Handler:
    """A handler by its dotted name, `functions.push.handler`.

    Raises:
        ImportError: there is no such module.
        AttributeError: the module has no such function.
    """
    module, _, attribute = name.rpartition(".")
    handler: Handler = getattr(importlib.import_module(module), attribute)
    return handler


def invoke(handler: Handler, event: object, context: LambdaContext) -> Any:
    """Run a handler on a copy of the event, as it would travel to Lambda and back.

    Raises whatever the handler raises.
    """
    response = handler(msgspec.json.decode(msgspec.json.encode(event)), context)
    return msgspec.json.decode(msgspec.json.encode(response))


class Functions:
    """The functions behind the gateway; loaded when it starts, so that none is cold."""

    def __init__(self, names: Iterable[str]) -> None:
        self._handlers: Mapping[str, Handler] = {
            name: load(f"functions.{name}.handler") for name in names
        }
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="lambda")

    async def invoke(self, name: str, event: object) -> Any:
        """A function's response.

        Raises:
            FunctionFailed: it raised, its response is not JSON, or it took more than 29 s.
        """
        work = asyncio.get_running_loop().run_in_executor(
            self._threads, invoke, self._handlers[name], event, LambdaContext(name)
        )
        await asyncio.wait([work], timeout=INTEGRATION_LIMIT_S)
        if not work.done():
            raise FunctionFailed("TimeoutError", f"{name} did not end in time")
        error = work.exception()
        if error is not None:
            raise FunctionFailed(type(error).__name__, str(error)) from error
        return work.result()

    def close(self) -> None:
        """Take no more work; what runs is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
