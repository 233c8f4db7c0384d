"""What the benchmarks share: child processes, records at the broker, and the report."""

import contextlib
import json
import os
import platform
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import psutil
from kafka import KafkaConsumer, TopicPartition

from local.processes import Identity, end_all

ROOT = Path(__file__).parents[1]
BENCH_PYTHON = ROOT / ".bench-venv/bin/python"
LOCK = ROOT / "requirements/bench.txt"


def peer_python():
    """The interpreter of the peers' own environment, made when it is missing or old."""
    stamp = ROOT / ".bench-venv/.made"
    if not stamp.exists() or stamp.stat().st_mtime < LOCK.stat().st_mtime:
        print("making .bench-venv (once) …", flush=True)
        subprocess.run([sys.executable, "-m", "venv", BENCH_PYTHON.parents[1]], check=True)
        install = [
            "install",
            "-q",
            "--disable-pip-version-check",
            "--require-hashes",
            "-r",
            LOCK,
        ]
        subprocess.run([BENCH_PYTHON, "-m", "pip", *install], check=True)
        stamp.touch()
    return BENCH_PYTHON


@contextlib.contextmanager
def child(*command, log, environment=None, stdout=None):
    """A process for the length of the block."""
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [str(part) for part in command],
            env=os.environ | (environment or {}),
            stdout=stdout or errors,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end_all([Identity.of(process.pid)], 20)
        process.wait()


def next_line(process, needed=None, seconds=60):
    """The next JSON line that a child prints; ends when it, or the `needed` one, is gone."""
    until = time.monotonic() + seconds
    while not select.select([process.stdout], [], [], 0.1)[0]:
        must_run(process, *([needed] if needed else []))
        if time.monotonic() > until:
            raise SystemExit(f"a child of the benchmark said nothing for {seconds} s")
    line = process.stdout.readline()
    if not line:
        raise SystemExit("a child of the benchmark ended early")
    return json.loads(line)


def must_run(*processes):
    """Ends the benchmark when one of its programs has ended."""
    for process in processes:
        if process.poll() is not None:
            raise SystemExit(f"{process.args[1:4]} ended early with {process.returncode}")


def cpu_seconds(process):
    """What a child has used of the processor so far, all its threads."""
    used = psutil.Process(process.pid).cpu_times()
    return used.user + used.system


class Records:
    """Counts the records of topics at the broker."""

    def __init__(self, servers):
        self._consumer = KafkaConsumer(bootstrap_servers=servers)

    def count(self, *topics):
        """All records in the topics; those that do not exist count as empty."""
        parts = [
            TopicPartition(topic, number)
            for topic in topics
            for number in self._consumer.partitions_for_topic(topic) or ()
        ]
        return sum(self._consumer.end_offsets(parts).values()) if parts else 0

    def wait(self, wanted, *topics, needed, seconds=300):
        """The moment (`time.monotonic()`) at which the topics had `wanted` records."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.count(*topics) >= wanted:
                return time.monotonic()
            must_run(needed)
            time.sleep(0.01)
        found = self.count(*topics)
        raise SystemExit(f"only {found} of {wanted} records came within {seconds} s")

    def close(self):
        """Ends the connection."""
        self._consumer.close()


def versions(*packages, python=sys.executable):
    """`name version, …` of installed packages, in any environment."""
    code = (
        "import importlib.metadata as m, sys\n"
        "print(*(f'{name} {m.version(name)}' for name in sys.argv[1:]), sep=', ')"
    )
    done = subprocess.run(
        [python, "-c", code, *packages], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


class Rate(NamedTuple):
    """What one program did: so many a second, and so many in a second of processor time."""

    name: str
    used: str
    a_second: float
    a_cpu_second: float


def report(title, unit, ours, theirs, *, target):
    """Prints both rates and their ratio; returns whether the ratio reaches the target."""
    print(f"\n{title}")
    print(f"  Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}")
    for one in (ours, theirs):
        print(f"  {one.name:<28}{one.a_second:>10,.0f} {unit}/s")
        print(f"  {'':<28}{one.a_cpu_second:>10,.0f} {unit} in a second of processor time")
        print(f"  {'':<28}{one.used}")
    ratio = ours.a_second / theirs.a_second
    print(f"  ratio {ratio:.1f}, target {target:g}", flush=True)
    return ratio >= target
