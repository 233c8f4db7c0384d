"""A script that drives one library, as a process that is asked a line and answers a line."""

import json
import os
import select
import subprocess
from decimal import Decimal
from pathlib import Path

_SCRIPTS = Path(__file__).with_name("scripts")
_ANSWER_S = 60


class Client:
    """`client.ask("book", "BTC/USD")`: what the library knows, with exact numbers."""

    def __init__(self, python, script, addresses, log, **environment):
        inherited = {
            name: value
            for name, value in os.environ.items()
            # Its modules are large: they are compiled once.
            if name != "PYTHONDONTWRITEBYTECODE"
        }
        self._log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [python, _SCRIPTS / f"{script}.py", json.dumps(addresses)],
                env=inherited | {"NO_PROXY": "127.0.0.1"} | environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )

    def ask(self, what, *of):
        """The answer; the test fails with the script's own words when it has ended."""
        question = json.dumps({"ask": what, "of": of}).encode() + b"\n"
        try:
            self._process.stdin.write(question)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise AssertionError(self._words()) from None
        line = self._line()
        assert line, self._words()
        return json.loads(line, parse_float=Decimal)["told"]

    def _line(self):
        ready, _, _ = select.select([self._process.stdout], [], [], _ANSWER_S)
        assert ready, f"no answer within {_ANSWER_S} s; {self._words()}"
        return self._process.stdout.readline()

    def _words(self):
        return f"the script ended with {self._process.poll()}: {self._log.read_text()[-4000:]}"

    def stop(self):
        """Ends it by the end of its input, or else by a signal."""
        with self._process.stdin, self._process.stdout:
            pass
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.returncode == 0, self._words()
