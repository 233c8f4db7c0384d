"""Apache Kafka as one KRaft node: broker and controller in a process, data in a folder.

data folder ─► server.properties ─► java command
"""

import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from pathlib import Path

from local.java import LOGGING, java_command
from marketdata.topics import Topic

HEAP_MB = 512
NODE_ID = 1


def server_properties(data: Path, *, host: str, port: int, controller_port: int) -> str:
    """The broker's settings: loopback only, one replica of everything, no topic by accident."""
    settings = {
        "process.roles": "broker,controller",
        "node.id": NODE_ID,
        "controller.quorum.voters": f"{NODE_ID}@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"CLIENTS://{host}:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"CLIENTS://{_reachable(host)}:{port}",
        "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "CLIENTS",
        "log.dirs": data / "log",
        "auto.create.topics.enable": "false",
        "default.replication.factor": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "min.insync.replicas": 1,
        "group.initial.rebalance.delay.ms": 0,
        "message.max.bytes": 8 * 1024 * 1024,
        "socket.request.max.bytes": 64 * 1024 * 1024,
        "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
        "log.index.size.max.bytes": 1024 * 1024,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "num.recovery.threads.per.data.dir": 2,
        "background.threads": 2,
        # A broker that did not say goodbye is not let in again before its session is over.
        "controlled.shutdown.enable": "true",
        "broker.session.timeout.ms": 4000,
        "broker.heartbeat.interval.ms": 1000,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def write_settings(data: Path, *, host: str, port: int, controller_port: int) -> Path:
    """Write the settings below the data folder; ports may differ from the last start."""
    data.mkdir(parents=True, exist_ok=True)
    path = data / "server.properties"
    path.write_text(
        server_properties(data, host=host, port=port, controller_port=controller_port)
    )
    return path


def is_formatted(data: Path) -> bool:
    """Whether the folder has been formatted, which is done once in its life."""
    return (data / "log" / "meta.properties").is_file()


def has_records(data: Path, topics: Iterable[Topic]) -> bool:
    """Whether something was ever written to one of these topics."""
    return any(
        segment.stat().st_size > 0
        for topic in topics
        for segment in data.glob(f"log/{topic.name}-*/*.log")
    )


def format_command(settings: Path) -> tuple[str, ...]:
    """Formats the log folder under a new cluster id; leaves a formatted one as it is."""
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return java_command(
        "kafka",
        *("format", "--ignore-formatted", f"--cluster-id={cluster}", "--config", str(settings)),
        main_class="kafka.tools.StorageTool",
        heap_mb=128,
        options=_options(),
    )


def start_command(settings: Path) -> tuple[str, ...]:
    """Runs the broker until SIGTERM, which closes its log segments cleanly."""
    return java_command(
        "kafka", str(settings), main_class="kafka.Kafka", heap_mb=HEAP_MB, options=_options()
    )


def _options() -> tuple[str, ...]:
    return (f"-Dlog4j2.configurationFile={LOGGING / 'log4j2.json'}",)


def _reachable(host: str) -> str:
    return "127.0.0.1" if host == "0.0.0.0" else host
