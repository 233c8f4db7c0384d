"""The worker's settings: typed, parsed once at start, all faults named at once (design.md §5).

The only reader of the environment in the container. AWS clients are configured by the SDK's
own variables; of those only the region is read here, for the brokers' IAM tokens.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from container_worker.exchange_settings import ExchangeSettings, read_exchanges
from container_worker.keep_settings import KeepTimes, read_callback_urls, read_times
from container_worker.variables import Reader
from marketdata.topics import ARCHIVED, MAIN_TYPE, TOPIC_OF_TYPE

MIB = 1024 * 1024
AUTHS = ("none", "scram", "iam")


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """How to reach Kafka.

    `bootstrap_servers` is empty only while `cluster_arn` has to be asked for them (rule 29).
    `auth` is `none`, `scram` or `iam`. `buffer_bytes` bounds what a producer holds (rule 5).
    """

    bootstrap_servers: str
    auth: str = "none"
    user: str = ""
    password: str = field(default="", repr=False)
    ca_path: str = ""
    cluster_arn: str = ""
    region: str = ""
    buffer_bytes: int = 128 * MIB


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """The two queue topics and the name under which this process sends telemetry."""

    control_topic: str
    events_topic: str
    producer_id: str


@dataclass(frozen=True, slots=True)
class JobSettings:
    """One capture job in sources/loader-ws-orderbook.md's form; all data go to `topic`."""

    kafka: KafkaSettings
    exchanges: ExchangeSettings
    queue: QueueSettings
    queue_id: str
    exchange: str
    symbol: str
    type: str
    topic: str


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """Capture of the streams of a file.

    `instruments_table` is empty when nobody wants the instruments. The streams come from the
    command line, else from the file `streams_file`, else from the YAML text `streams`.
    """

    kafka: KafkaSettings
    exchanges: ExchangeSettings
    queue: QueueSettings
    instruments_table: str = ""
    streams_file: str = ""
    streams: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ArchiveSettings:
    """The archive: where to, and how much is held back before it is written (rule 14).

    `queue` says where it tells what it lost.
    """

    kafka: KafkaSettings
    bucket: str
    queue: QueueSettings = QueueSettings("queue-control", "queue-events", "tapedeck-archive")
    flush_seconds: float = 60.0
    buffer_bytes: int = 256 * MIB


@dataclass(frozen=True, slots=True)
class DeriveSettings:
    """Derive needs Kafka and nothing else."""

    kafka: KafkaSettings


@dataclass(frozen=True, slots=True)
class KeepSettings:
    """The keeper's: `callback_urls` has the management API of each stage that is kept."""

    kafka: KafkaSettings
    connections_table: str
    ring_table: str
    keys_table: str
    callback_urls: Mapping[str, str]
    times: KeepTimes


def environment() -> Mapping[str, str]:
    """The process's own variables."""
    return os.environ


def names_streams(variables: Mapping[str, str]) -> bool:
    """Whether the variables say which streams to capture, so that it is not the job form."""
    return bool(variables.get("STREAMS_FILE") or variables.get("STREAMS"))


def read_job(variables: Mapping[str, str]) -> JobSettings:
    """The one-job form. Raises SettingsError with all faults."""
    reader = Reader(variables)
    topic = reader.topic("KAFKA_TOPIC", reader.required("KAFKA_TOPIC"))
    if topic in {archived.name for archived in ARCHIVED}:
        reader.faults.append(
            f"KAFKA_TOPIC: {topic!r} is archived and has its one writer; a job needs its own"
        )
    settings = JobSettings(
        queue_id=reader.required("QUEUE_ID"),
        symbol=reader.required("SYMBOL"),
        type=reader.one_of("TYPE", tuple(TOPIC_OF_TYPE), reader.required("TYPE")),
        topic=topic,
        queue=_queue(reader, reader.required("TELEMETRY_PRODUCER_ID")),
        kafka=_kafka(reader, variables),
        exchange=reader.one_of("EXCHANGE", tuple(MAIN_TYPE), reader.text("EXCHANGE")),
        exchanges=read_exchanges(reader),
    )
    reader.check()
    return settings


def read_capture(variables: Mapping[str, str]) -> CaptureSettings:
    """The form with streams. Raises SettingsError with all faults."""
    reader = Reader(variables)
    settings = CaptureSettings(
        kafka=_kafka(reader, variables),
        exchanges=read_exchanges(reader),
        queue=_queue(reader, reader.text("TELEMETRY_PRODUCER_ID") or "tapedeck-capture"),
        instruments_table=reader.text("INSTRUMENTS_TABLE"),
        streams_file=reader.text("STREAMS_FILE"),
        streams=reader.text("STREAMS"),
    )
    reader.check()
    return settings


def read_archive(variables: Mapping[str, str]) -> ArchiveSettings:
    """The archive's variables. Raises SettingsError with all faults."""
    reader = Reader(variables)
    settings = ArchiveSettings(
        kafka=_kafka(reader, variables),
        bucket=reader.required("ARCHIVE_BUCKET", "the bucket of the archive"),
        queue=_queue(reader, reader.text("TELEMETRY_PRODUCER_ID") or "tapedeck-archive"),
        flush_seconds=reader.number("ARCHIVE_FLUSH_SECONDS", 0.05, 3600),
        buffer_bytes=int(reader.number("ARCHIVE_BUFFER_MB", 16, 65536)) * MIB,
    )
    reader.check()
    return settings


def read_derive(variables: Mapping[str, str]) -> DeriveSettings:
    """Derive's variables. Raises SettingsError with all faults."""
    reader = Reader(variables)
    settings = DeriveSettings(kafka=_kafka(reader, variables))
    reader.check()
    return settings


def read_keep(variables: Mapping[str, str]) -> KeepSettings:
    """The keeper's variables. Raises SettingsError with all faults."""
    reader = Reader(variables)
    settings = KeepSettings(
        kafka=_kafka(reader, variables),
        connections_table=reader.required("CONNECTIONS_TABLE", "the clients' connections"),
        ring_table=reader.required("RING_TABLE", "the table that tells the topics' ids"),
        keys_table=reader.required("KEYS_TABLE", "the table that tells which keys are revoked"),
        callback_urls=read_callback_urls(reader),
        times=read_times(reader),
    )
    reader.check()
    return settings


def _kafka(reader: Reader, variables: Mapping[str, str]) -> KafkaSettings:
    servers = reader.servers("KAFKA_BOOTSTRAP_SERVERS")
    arn = reader.text("KAFKA_CLUSTER_ARN")
    if not servers and not arn:
        reader.required(
            "KAFKA_BOOTSTRAP_SERVERS", "host:port of the brokers (or give KAFKA_CLUSTER_ARN)"
        )
    user, password = (
        reader.text("KAFKA_USER_PRODUCER"),
        reader.secret("KAFKA_PASSWORD_PRODUCER"),
    )
    auth = reader.one_of("KAFKA_AUTH", AUTHS, reader.text("KAFKA_AUTH"))
    auth = auth or ("scram" if user else "none")
    if auth == "scram" and not user:
        reader.faults.append("KAFKA_USER_PRODUCER is missing: KAFKA_AUTH=scram needs it")
    if auth == "scram" and not password:
        reader.faults.append("KAFKA_PASSWORD_PRODUCER is missing: SCRAM needs it")
    if auth == "none" and password:
        reader.faults.append("KAFKA_USER_PRODUCER is missing: a password was given without it")
    region = variables.get("AWS_REGION") or variables.get("AWS_DEFAULT_REGION") or ""
    region = region or _region_of(arn)
    if auth == "iam" and not region:
        reader.faults.append("AWS_REGION is missing: KAFKA_AUTH=iam signs its tokens for one")
    return KafkaSettings(
        bootstrap_servers=servers,
        auth=auth,
        user=user,
        password=password,
        ca_path=reader.readable_file("CA_PATH"),
        cluster_arn=arn,
        region=region,
        buffer_bytes=int(reader.number("KAFKA_BUFFER_MB", 8, 65536)) * MIB,
    )


def _region_of(arn: str) -> str:
    parts = arn.split(":")
    return parts[3] if len(parts) > 5 else ""


def _queue(reader: Reader, producer_id: str) -> QueueSettings:
    return QueueSettings(
        control_topic=reader.topic("QUEUE_CONTROL_TOPIC", reader.text("QUEUE_CONTROL_TOPIC")),
        events_topic=reader.topic("QUEUE_EVENTS_TOPIC", reader.text("QUEUE_EVENTS_TOPIC")),
        producer_id=producer_id,
    )
