"""The modules of this folder that several tests share, by name."""

import importlib.util
import sys
from pathlib import Path


def _load(name):
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            name, Path(__file__).with_name(f"{name}.py")
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)


for _name in ("derive_rig",):
    _load(_name)
