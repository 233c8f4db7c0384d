"""The local event source: `python -m local.event_source --bootstrap SERVERS --topic ticks …`.

0 on SIGTERM, when the running batch is finished and committed; 2 for bad usage; 1 when Kafka
cannot be read. The function finds what it needs by its own variables.

The window is 0 by default: an account's default of 500 ms saves invocations, which cost nothing
here, and a person who watches prices sees them half a second earlier.
"""

import signal
import sys

from kafka.errors import KafkaError

from functions.settings import settings as function_settings
from local.event_source.consumer import connect
from local.event_source.log import logger, quiet_client
from local.event_source.settings import read_settings
from local.event_source.source import EventSource
from local.gateway.lambda_runtime import load
from marketdata.errors import BrokerUnavailable, InputError, SettingsError, TapedeckError

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
    try:
        load(given.handler)
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            [f"the handler {given.handler} cannot be loaded: {error}"]
        ) from error
    if given.handler.startswith("functions."):
        function_settings().having(*NEEDED)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    consumer = connect(given)
    source = EventSource(given, consumer)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: source.stop())
    try:
        positions = consumer.begin(from_start=given.from_start)
    except KafkaError as error:
        raise BrokerUnavailable(
            f"Kafka at {given.bootstrap} does not tell its offsets: {type(error).__name__}"
        ) from error
    logger.info("ready", extra={"topic": given.topic, "positions": positions})
    source.run()
    consumer.close()


if __name__ == "__main__":
    sys.exit(main())
