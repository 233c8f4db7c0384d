"""One embedded server at a time, for tests and benchmarks: started on free ports, then ended.

folder ─► running server ─► address
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local import dynamodb_server, kafka_server, s3_server
from local.ports import answers, free_ports
from local.processes import POLL_S, Child, Command, last_words
from marketdata.errors import LocalError

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0


@contextmanager
def kafka(folder: Path) -> Iterator[str]:
    """A broker without topics; yields its bootstrap address."""
    port, controller_port = free_ports(2)
    settings = kafka_server.write_settings(
        folder, host="127.0.0.1", port=port, controller_port=controller_port
    )
    if not kafka_server.is_formatted(folder):
        subprocess.run(kafka_server.format_command(settings), check=True, capture_output=True)
    command = Command("kafka", kafka_server.start_command(settings))
    with running(command, folder / "kafka.log", port):
        yield f"127.0.0.1:{port}"


@contextmanager
def dynamodb(folder: Path) -> Iterator[str]:
    """A database without tables; yields its endpoint URL."""
    [port] = free_ports(1)
    command = Command("dynamodb", dynamodb_server.start_command(folder, port=port))
    with running(command, folder / "dynamodb.log", port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def s3(folder: Path) -> Iterator[str]:
    """An object store behind its lock (rule 19), without buckets; yields the endpoint URL.

    The objects are plain files below `<folder>/objects/<bucket>/`.
    """
    port, private_port = free_ports(2)
    settings = s3_server.write_settings(folder, folder / "objects", port=private_port)
    server = Command("s3", s3_server.start_command(settings))
    lock = Command("s3-lock", s3_lock_command(port, private_port))
    with (
        running(server, folder / "s3.log", private_port),
        running(lock, folder / "s3-lock.log", port),
    ):
        yield f"http://127.0.0.1:{port}"


def s3_lock_command(port: int, upstream_port: int, host: str = "127.0.0.1") -> tuple[str, ...]:
    """The command line of the lock proxy before S3Proxy."""
    upstream = f"http://127.0.0.1:{upstream_port}"
    listen = f"{host}:{port}"
    return (sys.executable, "-m", "local.s3_lock", "--listen", listen, "--upstream", upstream)


@contextmanager
def running(command: Command, log: Path, port: int) -> Iterator[Child]:
    """Run one command while the block lasts, from the moment that its port answers.

    Raises:
        LocalError: it ended early or did not answer in time; the text has its last lines.
    """
    child = Child(command, log)
    try:
        _wait_for(child, port)
        yield child
    finally:
        child.stop(STOP_TIMEOUT_S)


def _wait_for(child: Child, port: int) -> None:
    until = time.monotonic() + START_TIMEOUT_S
    while not answers(port):
        if child.exit_code() is not None or time.monotonic() > until:
            raise LocalError(f"{child.name} did not start: {last_words(child.log)}")
        time.sleep(POLL_S)
