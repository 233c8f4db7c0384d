"""The exchanges that can be served, by name; each is a folder here that exports SIMULATOR."""

import importlib
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from local.exchanges.port_table import served_names
from local.exchanges.serving import ServeOptions, Serving
from marketdata.errors import InputError


@dataclass(frozen=True, slots=True)
class Simulator:
    """What an exchange's folder exports.

    `settings` are the names and defaults (as text) of what only this exchange can be told.
    `replays` says that it serves recordings too.
    """

    name: str
    default_tickers: tuple[str, ...]
    serve: Callable[[ServeOptions], AbstractAsyncContextManager[Serving]]
    replays: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)


def simulator(name: str) -> Simulator:
    """An exchange's simulator, imported now.

    Raises:
        InputError: there is none of that name.
    """
    if name not in served_names():
        raise InputError(f"exchange {name!r} cannot be served: {', '.join(served_names())} can")
    found = getattr(importlib.import_module(f"local.exchanges.{name}"), "SIMULATOR", None)
    if not isinstance(found, Simulator):
        raise InputError(f"exchange {name!r} cannot be served: its folder has no SIMULATOR")
    return found


def replays(name: str) -> bool:
    """Whether recordings of that exchange can be served."""
    return name in served_names() and simulator(name).replays
