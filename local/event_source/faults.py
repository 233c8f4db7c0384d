"""Faults that the event source can be told to make, in a file that outlives the process.

    {"seed": 1, "faults": [{"kind": "redeliver", "times": 3, "chance": 0.5}]}

`redeliver` invokes a finished batch again, `kill` ends the process between the invocation and
the commit, `cold_start` drops the function's module state. Each is decided batch by batch from
the seed, and counted in the file before it happens: a killed process does not die again.
"""

import os
import random
from pathlib import Path
from typing import Literal

import msgspec

from marketdata.errors import SettingsError

Kind = Literal["redeliver", "kill", "cold_start"]


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """One kind of fault, still to happen `times` times, each batch with this chance."""

    kind: Kind
    times: int = 1
    chance: float = 1.0


class Plan(msgspec.Struct, forbid_unknown_fields=True):
    """What the file holds; `draws` counts the decisions made."""

    faults: list[Fault] = []
    seed: int = 0
    draws: int = 0


class Faults:
    """The faults of one file; without a file there are none."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def take(self, kind: Kind) -> bool:
        """Whether this fault is to happen now.

        Raises:
            SettingsError: the file is not as described.
        """
        plan = self._read()
        wanted = [fault for fault in plan.faults if fault.kind == kind and fault.times > 0]
        if not wanted or self._path is None:
            return False
        plan.draws += 1
        happens = random.Random(f"{plan.seed}:{plan.draws}").random() < wanted[0].chance  # noqa: S311
        if happens:
            wanted[0].times -= 1
        self._write(plan, self._path)
        return happens

    def _read(self) -> Plan:
        if self._path is None or not self._path.exists():
            return Plan()
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Plan)
        except msgspec.DecodeError as error:
            raise SettingsError(
                [f"the faults file {self._path} is not usable: {error}"]
            ) from error

    def _write(self, plan: Plan, path: Path) -> None:
        beside = path.with_name(f"{path.name}.{os.getpid()}")
        beside.write_bytes(msgspec.json.encode(plan))
        beside.replace(path)
