"""The event source's log: JSON lines on stderr."""

import logging
import sys

from aws_lambda_powertools import Logger

logger = Logger(service="event-source", stream=sys.stderr, use_rfc3339=True, utc=True)


def quiet_client() -> None:
    """The Kafka client logs every broken connection; what matters of it is said by us."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
