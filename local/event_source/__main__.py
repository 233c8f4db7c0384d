"""The local event source: `python -m local.event_source --bootstrap SERVERS --topic ticks …`.

`--also TOPIC:GROUP:HANDLER` adds a source of another topic in the same process, with the same
settings; each has a thread, a consumer and a group of its own.

0 on SIGTERM, when the running batch is finished and committed; 2 for bad usage; 1 when Kafka
cannot be read. The function finds what it needs by its own variables.

The window is 0 by default: an account's default of 500 ms saves invocations, which cost nothing
here, and a person who watches prices sees them half a second earlier.
"""

import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

from kafka.errors import KafkaError

from functions.settings import settings as function_settings
from local.event_source.consumer import connect
from local.event_source.log import logger, quiet_client
from local.event_source.settings import SourceSettings, read_settings
from local.event_source.source import EventSource
from local.gateway.lambda_runtime import load
from marketdata.errors import BrokerUnavailable, InputError, SettingsError, TapedeckError

LOOK_S = 0.2
NEEDED = ("connections_table", "callback_url_stream", "region")


def main() -> int:
    """Run until told to stop."""
    try:
        _run()
    except TapedeckError as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, InputError) else 1
    return 0


def _run() -> None:
    quiet_client()
    given = read_settings(None)
    for one in given:
        _check(one.handler)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    sources = [_begin(one) for one in given]

    def stop(*_: object) -> None:
        for source in sources:
            source.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    run_together(sources, stop)


def _check(handler: str) -> None:
    try:
        load(handler)
    except (ImportError, AttributeError) as error:
        raise SettingsError([f"the handler {handler} cannot be loaded: {error}"]) from error
    if handler.startswith("functions."):
        function_settings().having(*NEEDED)


def _begin(given: SourceSettings) -> EventSource:
    consumer = connect(given)
    try:
        positions = consumer.begin(from_start=given.from_start)
    except KafkaError as error:
        raise BrokerUnavailable(
            f"Kafka at {given.bootstrap} does not tell its offsets: {type(error).__name__}"
        ) from error
    logger.info("ready", extra={"topic": given.topic, "positions": positions})
    return EventSource(given, consumer)


def run_together(sources: Sequence[EventSource], stop: Callable[[], None]) -> None:
    """Runs each source in a thread; when one fails, all end and its error is raised."""
    with ThreadPoolExecutor(len(sources), thread_name_prefix="source") as threads:
        running = [threads.submit(source.run) for source in sources]
        # A signal is handled between two looks: a wait without a limit would hold it back.
        while not any(one.done() for one in running):
            wait(running, timeout=LOOK_S, return_when=FIRST_COMPLETED)
        stop()
    for one in running:
        one.result()


if __name__ == "__main__":
    sys.exit(main())
