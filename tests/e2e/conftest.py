"""A whole stack of its own for each module, by the command that a user types."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from local import stack_status

ROOT = Path(__file__).parents[2]


class Stack:
    """One `tapedeck up` on free ports, in a folder of its own."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "tapedeck", *arguments, "--data", str(self.data)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def up(self, *options: str) -> None:
        self.run("up", *options, "--ports", "free", "--detach")

    def status(self) -> dict:
        return json.loads(self.run("status", "--json").stdout)

    def now(self) -> stack_status.Status:
        """As `status`, without a process: for what is asked often."""
        return stack_status.status(self.data)

    def down(self) -> None:
        """Ends it and checks that no process of it is left."""
        path = self.data / "run" / "stack.json"
        pids = self.status()["pids"] if path.exists() else {}
        self.run("down")
        assert {name: pid for name, pid in pids.items() if psutil.pid_exists(pid)} == {}

    def lines(self, kind: str, name: str) -> list[str]:
        path = self.data / "s3" / "tapedeck" / "data" / kind / "binance" / name
        return path.read_text(encoding="utf-8").splitlines()

    def signal(self, name: str, number: int) -> None:
        os.kill(self.status()["pids"][name], number)


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """A stack that a test brings up; it is down at the module's end, and nothing is left."""
    one = Stack(tmp_path_factory.mktemp("stack"))
    yield one
    one.down()
