"""How every Kafka client of the worker connects, and what the library's errors mean to us.

KafkaSettings ─► client_config ─► producer, consumer, admin client
KafkaError ─► translate ─► BrokerError
"""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from confluent_kafka import KafkaError

from container_worker import log
from container_worker.settings import KafkaSettings
from marketdata.errors import BrokerError, BrokerUnavailable

_SAME_ERROR_SECONDS = 30.0

SESSION_MS = 6_000
"""How long a silent member keeps its partitions: the least that brokers allow by default."""

# The library's `retriable()` speaks of transactions only. Of the brokers' own errors these are
# the ones that pass with a new leader, coordinator or set of replicas.
_WORTH_ANOTHER_TRY = {
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.ELIGIBLE_LEADERS_NOT_AVAILABLE,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.KAFKA_STORAGE_ERROR,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.LISTENER_NOT_FOUND,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.NOT_CONTROLLER,
    KafkaError.NOT_COORDINATOR,
    KafkaError.NOT_ENOUGH_REPLICAS,
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.PREFERRED_LEADER_NOT_AVAILABLE,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.THROTTLING_QUOTA_EXCEEDED,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.UNSTABLE_OFFSET_COMMIT,
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001 - the library's public names begin so
    KafkaError._DESTROY_BROKER,  # noqa: SLF001
    KafkaError._MSG_TIMED_OUT,  # noqa: SLF001
    KafkaError._NOENT,  # noqa: SLF001 - "no leaders found", while a broker comes back
    KafkaError._RESOLVE,  # noqa: SLF001
    KafkaError._RETRY,  # noqa: SLF001
    KafkaError._TIMED_OUT,  # noqa: SLF001
    KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._WAIT_CACHE,  # noqa: SLF001
    KafkaError._WAIT_COORD,  # noqa: SLF001
}
_REFUSED_LOGIN = {
    KafkaError._AUTHENTICATION,  # noqa: SLF001
    KafkaError._SSL,  # noqa: SLF001
    KafkaError.SASL_AUTHENTICATION_FAILED,
}


def translate(error: KafkaError, doing: str) -> BrokerError:
    """Our error for one of the library's; `doing` begins the sentence.

    What passes with a new leader or coordinator, and every way of not being reached, is
    `BrokerUnavailable`; everything else, fatal errors of idempotence included, is
    `BrokerError`.
    """
    text = f"{doing}: {error.str()} ({error.name()})"
    if not error.fatal() and (error.retriable() or error.code() in _WORTH_ANOTHER_TRY):
        return BrokerUnavailable(text)
    return BrokerError(text)


class ErrorLog:
    """Takes the client's own error events: one log line a kind each half minute.

    `refusal` keeps the last error of TLS or of the login, which otherwise looks like silence.
    """

    def __init__(self) -> None:
        self.refusal: KafkaError | None = None
        self._next: dict[int, float] = {}

    def __call__(self, error: KafkaError) -> None:
        """The library's `error_cb`."""
        if error.code() in _REFUSED_LOGIN:
            self.refusal = error
        now = time.monotonic()
        if now >= self._next.get(error.code(), 0.0):
            self._next[error.code()] = now + _SAME_ERROR_SECONDS
            log.event("kafka.error", level="warning", error=error.name(), detail=error.str())


def client_config(kafka: KafkaSettings, errors: ErrorLog | None = None) -> dict[str, Any]:
    """What every client needs to reach the brokers: PLAINTEXT or SSL, SCRAM, or IAM."""
    config: dict[str, Any] = {
        "bootstrap.servers": kafka.bootstrap_servers,
        "client.id": "tapedeck",
        "error_cb": errors or ErrorLog(),
        "log_level": 2,
        "log.connection.close": False,
        "reconnect.backoff.max.ms": 2000,
        "socket.keepalive.enable": True,
        # A request that a frozen broker swallowed is given up, and with it its connection; a
        # lost commit would hold up the group's next assignment for so long.
        "socket.timeout.ms": 15_000,
    }
    if kafka.ca_path:
        config["ssl.ca.location"] = kafka.ca_path
    if kafka.auth == "none":
        return config | {"security.protocol": "SSL" if kafka.ca_path else "PLAINTEXT"}
    config["security.protocol"] = "SASL_SSL"
    if kafka.auth == "scram":
        return config | {
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": kafka.user,
            "sasl.password": kafka.password,
        }
    return config | {"sasl.mechanism": "OAUTHBEARER", "oauth_cb": partial(_token, kafka.region)}


def _token(region: str, _config: str) -> tuple[str, float]:
    from container_worker import msk  # noqa: PLC0415 - boto3 takes a second to import

    return msk.iam_token(region)


def consumer_config(group: str) -> dict[str, Any]:
    """The consumer's promises: no automatic commit, no silent jump (rule 4), bounded memory.

    Partitions are handed over cooperatively: who keeps a partition goes on undisturbed.
    """
    return {
        "group.id": group,
        "auto.offset.reset": "error",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": SESSION_MS,
        "heartbeat.interval.ms": 1_500,
        "max.poll.interval.ms": 300_000,
        "fetch.wait.max.ms": 100,
        "fetch.error.backoff.ms": 200,
        "queued.max.messages.kbytes": 32 * 1024,
        "queued.min.messages": 20_000,
        "fetch.queue.backoff.ms": 50,
    }


def within(seconds: float, action: Callable[[], object]) -> bool:
    """Whether an action of the library that has no bound of its own ended in time.

    Closing a consumer waits for the answers to its commits, for ever while the coordinator is
    away. The thread that is left behind does not keep the process from ending.
    """
    thread = threading.Thread(target=action, name="kafka-close", daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()


def unreachable(
    kafka: KafkaSettings, error: KafkaError, errors: ErrorLog, seconds: float
) -> BrokerError:
    """The sentence for brokers that did not answer at the start."""
    if errors.refusal is not None:
        who = f" for the user {kafka.user}" if kafka.user else ""
        return BrokerError(
            f"Kafka at {kafka.bootstrap_servers} refused the connection{who}: "
            f"{errors.refusal.str()}"
        )
    return BrokerUnavailable(
        f"Kafka did not answer at {kafka.bootstrap_servers} within {seconds:g} s "
        f"({error.name()}): is it running, and is KAFKA_BOOTSTRAP_SERVERS right?"
    )
