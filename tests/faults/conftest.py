"""The rigs of tests/capture and the modules of this folder, by name."""

import importlib.util
import logging
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CAPTURE = HERE.parent / "capture"


def _load(folder, name):
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


for _name in ("capture_rig", "venues_rig"):
    _load(CAPTURE, _name)
for _name in (
    *("detectable", "plan", "ledger", "storm", "compared", "weather", "touched", "losses"),
    "judgement",
):
    _load(HERE, _name)


@pytest.fixture
def short_times(monkeypatch):
    """Waits of the cores that are no settings, scaled down; thousands of warnings unsaid."""
    monkeypatch.setattr(logging.getLogger("tapedeck"), "disabled", True)
    sys.modules["storm"].scale(monkeypatch)
