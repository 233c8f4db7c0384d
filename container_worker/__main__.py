"""`python -m container_worker STAGE`: composition root of the container (design.md §5).

    variables, options ─► settings ─► stage(settings, stop) ─► exit code

Exit codes: 0 after a clean end (SIGTERM included), 1 when a stage failed, 2 when what it was
given is wrong; then nothing was started.
"""

import argparse
import gc
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn, TypeVar

from container_worker import log, settings
from container_worker.settings import KafkaSettings
from marketdata.errors import InputError, TapedeckError

STAGES = ("capture", "archive", "derive", "keep", "all")
FAILED = 1
BAD_INPUT = 2
COLLECT_EVERY = 50_000
"""Objects made between two searches for cyclic garbage: the stages make many short-lived tuples
and hardly a cycle, and at the default of 700 the search takes a tenth of capture's time."""

S = TypeVar(
    "S",
    settings.JobSettings,
    settings.CaptureSettings,
    settings.ArchiveSettings,
    settings.DeriveSettings,
    settings.KeepSettings,
)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message}\n")


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(prog="container_worker", allow_abbrev=False, description=__doc__)
    stages = parser.add_subparsers(dest="stage", required=True, metavar="STAGE")
    capture = stages.add_parser(
        "capture", allow_abbrev=False, help="exchange sockets to Kafka: streams, or one job"
    )
    stages.add_parser("archive", allow_abbrev=False, help="Kafka to daily CSV objects")
    stages.add_parser(
        "derive", allow_abbrev=False, help="trades to ticks and candles, books to depth"
    )
    stages.add_parser("keep", allow_abbrev=False, help="deadlines and heartbeats of clients")
    everything = stages.add_parser(
        "all", allow_abbrev=False, help="one child process for each stage"
    )
    for parser_with_streams in (capture, everything):
        parser_with_streams.add_argument(
            "--streams", metavar="FILE", type=Path, help="YAML file of the streams to capture"
        )
    return parser.parse_args(arguments)


def run(
    options: argparse.Namespace, variables: Mapping[str, str], stop: threading.Event
) -> int:
    """Runs one stage until it ends; imports only what that stage needs.

    Raises:
        TapedeckError: the stage cannot start or go on.
    """
    if options.stage == "capture":
        return _capture(options.streams, variables, stop)
    if options.stage == "archive":
        archive_settings = _with_brokers(settings.read_archive(variables))
        from container_worker import archive  # noqa: PLC0415

        return archive.run(archive_settings, stop)
    if options.stage == "derive":
        derive_settings = _with_brokers(settings.read_derive(variables))
        from container_worker import derive  # noqa: PLC0415

        return derive.run(derive_settings, stop)
    if options.stage == "keep":
        keep_settings = _with_brokers(settings.read_keep(variables))
        from container_worker import keep  # noqa: PLC0415

        return keep.run(keep_settings, stop)
    from container_worker import all_stages  # noqa: PLC0415

    return all_stages.run(options.streams, variables, stop)


def _capture(streams: Path | None, variables: Mapping[str, str], stop: threading.Event) -> int:
    if streams is None and not settings.names_streams(variables):
        job = _with_brokers(settings.read_job(variables))
        from container_worker import capture  # noqa: PLC0415

        return capture.run_job(job, stop)
    read = _with_brokers(settings.read_capture(variables))
    if streams is None and read.streams_file:
        streams = Path(read.streams_file)
    from container_worker import capture  # noqa: PLC0415

    return capture.run_streams(read, streams, stop)


def _with_brokers(read: S) -> S:
    return replace(read, kafka=_find_brokers(read.kafka))


def _find_brokers(kafka: KafkaSettings) -> KafkaSettings:
    if kafka.bootstrap_servers:
        return kafka
    from container_worker import msk  # noqa: PLC0415 - boto3 takes a second to import

    return msk.find_brokers(kafka)


def main(arguments: Sequence[str] | None = None) -> int:
    """The worker; returns its exit code."""
    options = _parse(sys.argv[1:] if arguments is None else arguments)
    log.configure(options.stage)
    gc.set_threshold(COLLECT_EVERY, 20, 20)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        return run(options, settings.environment(), stop)
    except InputError as error:
        return _say(options.stage, error, BAD_INPUT)
    except TapedeckError as error:
        return _say(options.stage, error, FAILED)
    except Exception as error:  # noqa: BLE001 - the process's outermost loop
        log.crash("worker.crashed", error)
        return FAILED


def _say(stage: str, error: TapedeckError, code: int) -> int:
    for line in str(error).splitlines() or [type(error).__name__]:
        sys.stderr.write(f"{stage}: {line}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
