"""Listens to `queue-control` for commands to the ids of this process (rule 6).

    queue-control ─► Control (thread) ─► on_stop(queue_id)

There is no consumer group: the end offsets are taken in `Control()`, before anything says
`started`, and reading begins there. So an old `stop` does not end a new stream of the same id,
and one that comes during start-up is not missed.
"""

import threading
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from container_worker import log
from container_worker.kafka_client import ErrorLog, client_config, translate, unreachable
from container_worker.kafka_topics import ANSWER_SECONDS
from container_worker.outermost import Fail, outermost
from container_worker.settings import KafkaSettings
from marketdata import codec
from marketdata.errors import BrokerUnavailable, DecodeError, TopicMismatch
from marketdata.messages import StopCommand

_POLL_SECONDS = 0.25
_LOG_START = -2
"""librdkafka's logical offset of the beginning."""

OnStop = Callable[[str], None]


class Control:
    """The commands that come from now on; `on_stop` is called in a thread of its own.

    Outages of the broker are survived by waiting. A record that is no command, and a command
    that is not ours to obey (`start`), are counted and passed over.

    Raises:
        BrokerUnavailable: the broker did not answer with the end offsets.
        BrokerError: it refused.
        TopicMismatch: the topic does not exist.
    """

    def __init__(self, kafka: KafkaSettings, topic: str, on_stop: OnStop) -> None:
        self._topic = topic
        self._on_stop = on_stop
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._consumer = _consumer_at_end(kafka, topic)
        self.stops = 0
        self.rejects = 0
        self.passed_over = 0

    def start(self, fail: Fail) -> None:
        """Begins to read, from the offsets taken when this object was made.

        `fail` is told when nobody listens any more.
        """
        self._thread = threading.Thread(
            target=outermost, args=(self._run, fail), name="control", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; safe to call twice, and without `start`."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self._consumer.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            message = self._consumer.poll(_POLL_SECONDS)
            if message is None:
                continue
            error = message.error()
            if error is None:
                self._obey(message.value() or b"")
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001
                self._go_to_log_start(message)

    def _obey(self, value: bytes) -> None:
        try:
            command = codec.decode_control(value)
        except DecodeError as error:
            self.rejects += 1
            log.event("control.reject", level="warning", reason=error.reason)
            return
        if isinstance(command, StopCommand):
            self.stops += 1
            self._on_stop(command.queue_id)
        else:
            self.passed_over += 1

    def _go_to_log_start(self, message: Message) -> None:
        """After an outage longer than the retention the oldest command left is the next."""
        partition = message.partition()
        if partition is None:
            return
        log.event("control.offset_out_of_range", level="warning", partition=partition)
        try:
            self._consumer.seek(TopicPartition(self._topic, partition, _LOG_START))
        except KafkaException as error:
            log.event("control.seek_failed", level="warning", error=str(error))


def _consumer_at_end(kafka: KafkaSettings, topic: str) -> Consumer:
    errors = ErrorLog()
    config = client_config(kafka, errors) | {
        "group.id": "queue-control",  # never joined: partitions are assigned by hand
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
    }
    consumer = Consumer(config)
    try:
        consumer.assign(_end_offsets(consumer, topic))
    except KafkaException as error:
        consumer.poll(0)  # serves the client's error events, which say why
        consumer.close()
        ours = translate(error.args[0], f"the topic {topic} cannot be read")
        if errors.refusal is not None or isinstance(ours, BrokerUnavailable):
            ours = unreachable(kafka, error.args[0], errors, ANSWER_SECONDS)
        raise ours from error
    except TopicMismatch:
        consumer.close()
        raise
    return consumer


def _end_offsets(consumer: Consumer, topic: str) -> list[TopicPartition]:
    metadata = consumer.list_topics(topic, timeout=ANSWER_SECONDS).topics[topic]
    if metadata.error is not None or not metadata.partitions:
        raise TopicMismatch(f"the topic {topic} does not exist")
    ends = []
    for number in metadata.partitions:
        partition = TopicPartition(topic, number)
        _, end = consumer.get_watermark_offsets(partition, timeout=ANSWER_SECONDS)
        ends.append(TopicPartition(topic, number, end))
    return ends
