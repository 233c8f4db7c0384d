"""What the local event source may be told on its command line."""

import argparse
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from marketdata.errors import SettingsError

FOR_EVER = -1
HANDLER = re.compile(r"[A-Za-z_][\w.]*\.[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """The settings of one event source mapping, all checked.

    Attributes:
        handler: The function, `package.module.function`.
        window_s: How long records are gathered before an invocation; 0 invokes at once.
        batch_size: The most records of one invocation.
        concurrency: The most invocations at a time; a partition is in one of them at most.
        from_start: Whether a group without offsets begins at the start of the topic.
        max_retries: After so many a failing batch is thrown away; -1 keeps trying.
        limit_s: How long an invocation may take.
        connect_s: How long Kafka is waited for at the start.
        faults: The file that says which faults to make, if any.
    """

    bootstrap: str
    topic: str
    group: str
    handler: str
    window_s: float
    batch_size: int
    concurrency: int
    from_start: bool
    max_retries: int
    limit_s: float
    connect_s: float
    faults: Path | None


def with_others(first: SourceSettings, also: Iterable[str]) -> list[SourceSettings]:
    """The first source and those that differ from it in `TOPIC:GROUP:HANDLER` only.

    Raises:
        SettingsError: names every text that is not of this form.
    """
    parted = [text.split(":") for text in also]
    faults = [
        f"--also {':'.join(parts)} must be TOPIC:GROUP:PACKAGE.MODULE.FUNCTION"
        for parts in parted
        if len(parts) != 3 or not all(parts) or not HANDLER.fullmatch(parts[2])
    ]
    if faults:
        raise SettingsError(faults)
    others = [
        replace(first, topic=topic, group=group, handler=handler)
        for topic, group, handler in parted
    ]
    return [first, *others]


def read_settings(arguments: Sequence[str] | None) -> list[SourceSettings]:
    """The settings of each source on a command line; usage errors end the process with 2.

    Raises:
        SettingsError: values that cannot be used, all of them.
    """
    given = _parser().parse_args(arguments)
    checks = {
        "--handler must be package.module.function": HANDLER.fullmatch(given.handler),
        "--window-ms must be between 0 and 300000": 0 <= given.window_ms <= 300_000,
        "--batch-size must be between 1 and 10000": 1 <= given.batch_size <= 10_000,
        "--concurrency must be between 1 and 64": 1 <= given.concurrency <= 64,
        "--max-retries must be between -1 and 10000": FOR_EVER <= given.max_retries <= 10_000,
        "--limit-s must be between 1 and 900": 1 <= given.limit_s <= 900,
        "--connect-s must not be negative": given.connect_s >= 0,
    }
    faults = [text for text, is_right in checks.items() if not is_right]
    if faults:
        raise SettingsError(faults)
    first = SourceSettings(
        bootstrap=given.bootstrap,
        topic=given.topic,
        group=given.group,
        handler=given.handler,
        window_s=given.window_ms / 1000,
        batch_size=given.batch_size,
        concurrency=given.concurrency,
        from_start=given.starting_position == "TRIM_HORIZON",
        max_retries=given.max_retries,
        limit_s=given.limit_s,
        connect_s=given.connect_s,
        faults=given.faults,
    )
    return with_others(first, given.also)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.event_source", allow_abbrev=False)
    parser.add_argument("--bootstrap", required=True, metavar="SERVERS")
    parser.add_argument("--topic", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--handler", required=True, metavar="PACKAGE.MODULE.FUNCTION")
    parser.add_argument("--window-ms", type=int, default=0, metavar="MS")
    parser.add_argument("--batch-size", type=int, default=100, metavar="N")
    parser.add_argument("--concurrency", type=int, default=1, metavar="N")
    parser.add_argument(
        "--starting-position", choices=("LATEST", "TRIM_HORIZON"), default="LATEST"
    )
    parser.add_argument("--max-retries", type=int, default=FOR_EVER, metavar="N")
    parser.add_argument("--limit-s", type=float, default=30.0, metavar="S")
    parser.add_argument("--connect-s", type=float, default=60.0, metavar="S")
    parser.add_argument("--also", action="append", default=[], metavar="TOPIC:GROUP:HANDLER")
    parser.add_argument("--faults", type=Path, metavar="FILE")
    return parser
