"""One program of a document as a process, and what it printed so far."""

import contextlib
import os
import signal
import subprocess
import sys

from local import node_setup


class Run:
    """A running program; its output is one text, as a person at a terminal would see it."""

    def __init__(self, folder, name, program, *, command, wait_until):
        (folder / name).write_text(program, encoding="utf-8")
        (folder / "node_modules").symlink_to(node_setup.modules())
        self._log = folder / "output"
        self._wait_until = wait_until
        self.program = program
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith("PYTHON")
        }
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                list(map(str, command)),
                cwd=folder,
                env=inherited | {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self):
        return self._log.read_text(encoding="utf-8", errors="replace")

    def prints(self, words, seconds=20, *, after=0):
        """The first line with these words, once it is printed; `after` so many characters."""

        def line():
            ended = self._process.poll()
            found = [one for one in self.output[after:].splitlines() if words in one]
            assert found or ended is None, f"ended with {ended}:\n{self.output}"
            return found and found[0]

        try:
            return self._wait_until(line, seconds, f"{words!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}; printed so far:\n{self.output[-3000:]}") from None

    def interrupt(self, seconds=10):
        """Ctrl-C; the exit code."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(seconds)

    def kill(self):
        """End it and what it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if os.environ.get("TAPEDECK_SHOW_PROGRAMS"):
            sys.stderr.write(f"\n--- {self._process.args}\n{self.output[:2000]}\n")
