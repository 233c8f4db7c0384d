"""The event source mapping: polls, invokes, commits; one invocation a partition at a time.

poll ─► batches ─► handler in a thread ─► commit | the same batch again
"""

import importlib
import os
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from local.event_source.batches import Batch, Batches
from local.event_source.consumer import SourceConsumer
from local.event_source.events import kafka_event
from local.event_source.faults import Faults
from local.event_source.log import logger
from local.event_source.settings import FOR_EVER, SourceSettings
from local.gateway.lambda_runtime import LambdaContext, invoke, load

IDLE_POLL_S = 0.1
STEP_S, MOST_STEP_S = 0.005, 0.05
"""Between two polls while something is under way, and with a window at most a fifth of it:
each poll is another fetch, and takes the time of the handlers' threads."""
FIRST_PAUSE_S = 0.1
MAX_PAUSE_S = 5.0
KILLED = 9


class EventSource:
    """One mapping; `stop` may be called from a signal handler."""

    def __init__(self, settings: SourceSettings, consumer: SourceConsumer) -> None:
        self._settings = settings
        self._consumer = consumer
        self._batches = Batches(batch_size=settings.batch_size, window_s=settings.window_s)
        self._faults = Faults(settings.faults)
        self._step_s = min(MOST_STEP_S, max(STEP_S, settings.window_s / 5))
        self._threads = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="lambda")
        self._running: dict[Future[None], Batch] = {}
        self._failed: list[tuple[float, Batch]] = []
        self._stopping = False

    def stop(self) -> None:
        """Take no more records; what runs is finished and committed."""
        self._stopping = True

    def run(self) -> None:
        """Work until stopped; the invocations under way are waited for.

        Raises:
            SettingsError: the faults file cannot be used.
        """
        while not self._stopping or self._running:
            records = self._consumer.poll(self._wait(), self._batches.full())
            self._batches.add(records, time.monotonic())
            self._finish()
            if not self._stopping:
                self._invoke_again()
                self._invoke_new()
        self._threads.shutdown()
        self._consumer.close()

    def _wait(self) -> float:
        """Waits while there is something to wait for; how long the next poll may take."""
        if self._running:
            wait(self._running, self._step_s, FIRST_COMPLETED)
            return 0.0
        if self._batches.gathers:
            time.sleep(self._step_s)
            return 0.0
        return IDLE_POLL_S

    def _free(self) -> int:
        return self._settings.concurrency - len(self._running)

    def _invoke_new(self) -> None:
        if self._free() > 0:
            for batch in self._batches.take(self._free(), time.monotonic()):
                self._start(batch)

    def _invoke_again(self) -> None:
        due = [pair for pair in self._failed if pair[0] <= time.monotonic()]
        for pair in due[: max(0, self._free())]:
            self._failed.remove(pair)
            self._start(pair[1])

    def _start(self, batch: Batch) -> None:
        if self._faults.take("cold_start"):
            forget_modules(self._settings.handler)
        event = kafka_event(self._settings.topic, self._settings.bootstrap, batch.records)
        batch.attempts += 1
        self._running[self._threads.submit(self._invoke, event)] = batch

    def _invoke(self, event: dict[str, Any]) -> None:
        name = self._settings.handler
        context = LambdaContext(name.rpartition(".")[0], limit_s=self._settings.limit_s)
        invoke(load(name), event, context)

    def _finish(self) -> None:
        for future in [future for future in self._running if future.done()]:
            batch = self._running.pop(future)
            error = future.exception()
            if error is None:
                self._has_succeeded(batch)
            else:
                self._has_failed(batch, error)

    def _has_succeeded(self, batch: Batch) -> None:
        if self._faults.take("kill"):
            os._exit(KILLED)
        self._consumer.commit(batch.next_offsets)
        if not self._stopping and self._faults.take("redeliver"):
            self._start(batch)
            return
        self._batches.done(batch)

    def _has_failed(self, batch: Batch, error: BaseException) -> None:
        retries = self._settings.max_retries
        given_up = retries != FOR_EVER and batch.attempts > retries
        logger.error(
            "batch failed",
            extra={
                "reason": f"{type(error).__name__}: {error}",
                "attempt": batch.attempts,
                "records": len(batch.records),
                "thrown_away": given_up,
            },
        )
        if given_up:
            self._consumer.commit(batch.next_offsets)
            self._batches.done(batch)
            return
        pause_s = min(MAX_PAUSE_S, FIRST_PAUSE_S * 2 ** min(batch.attempts, 10))
        self._failed.append((time.monotonic() + pause_s, batch))


def forget_modules(handler: str) -> None:
    """Make the next invocation a cold start: the function's package is imported anew."""
    package = handler.split(".", 1)[0]
    posting = sys.modules.get(f"{package}.posting")
    if posting is not None:
        posting.close()
    for name in [
        name for name in sys.modules if name == package or name.startswith(f"{package}.")
    ]:
        del sys.modules[name]
    importlib.invalidate_caches()
