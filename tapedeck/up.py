"""`tapedeck up`: brings the whole stack up on this machine and keeps it up until Ctrl-C."""

import ipaddress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from local.stack import already_up, run_stack
from local.stack_settings import LIVE, REPLAY, SIMULATE, StackSettings
from marketdata.errors import InputError, LocalError
from tapedeck.detached import start_detached
from tapedeck.options import DEFAULT_DATA, DataOption, data_folder
from tapedeck.summary import Printer


class Ports(StrEnum):
    """Which ports to listen on."""

    DEFAULT = "default"
    FREE = "free"


Simulate = Annotated[bool, typer.Option("--simulate", help="Simulated exchanges (default).")]
Replay = Annotated[
    list[Path] | None,
    typer.Option("--replay", metavar="PATH…", help="Serve recorded traffic instead."),
]
MorePaths = Annotated[list[Path] | None, typer.Argument(metavar="", hidden=True)]
Live = Annotated[bool, typer.Option("--live", help="Connect to the exchanges.")]
Streams = Annotated[
    Path | None, typer.Option("--streams", metavar="FILE", help="What to capture (YAML).")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of the simulated exchanges.")]
Speed = Annotated[str, typer.Option("--speed", metavar="N|max", help="Times as fast.")]
Once = Annotated[bool, typer.Option("--once", help="Replay once instead of for ever.")]
PortsOption = Annotated[
    Ports, typer.Option("--ports", help="The documents' own, or free ones.")
]
Host = Annotated[str, typer.Option("--host", metavar="ADDR", help="Address to listen on.")]
Detach = Annotated[bool, typer.Option("--detach", help="Return when everything is up.")]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("up")(run)


def run(  # noqa: PLR0917 typer makes an option of each
    paths: MorePaths = None,
    simulate: Simulate = False,
    replay: Replay = None,
    live: Live = False,
    streams: Streams = None,
    seed: Seed = 1,
    speed: Speed = "1",
    once: Once = False,
    ports: PortsOption = Ports.DEFAULT,
    host: Host = "127.0.0.1",
    data: DataOption = DEFAULT_DATA,
    detach: Detach = False,
) -> None:
    """Start everything, print where it is, and run until Ctrl-C."""
    settings = StackSettings(
        data=data_folder(data),
        mode=_mode(simulate=simulate, replay=bool(replay), live=live),
        recordings=_recordings(replay, paths),
        streams=streams.expanduser().resolve() if streams else None,
        seed=seed,
        speed=_speed(speed, live=live),
        once=_once(once, replay),
        free_ports=ports is Ports.FREE,
        host=_host(host),
    )
    _run(settings, detach=detach)


def _run(settings: StackSettings, *, detach: bool) -> None:
    printer = Printer(settings)
    running = already_up(settings.data)
    if running is None and not detach:
        try:
            run_stack(settings, printer.tell, printer.announce)
        except LocalError:
            running = already_up(settings.data)  # another `up` was faster
            if running is None:
                raise
        else:
            printer.stopped()
            return
    if running is None:
        running = start_detached(settings, print)
        printer.announce(running)
        return
    printer.already(running)


def _mode(*, simulate: bool, replay: bool, live: bool) -> str:
    given = [name for name, on in ((SIMULATE, simulate), (REPLAY, replay), (LIVE, live)) if on]
    if len(given) > 1:
        options = " and ".join(f"--{name}" for name in given)
        raise InputError(f"{options} exclude each other: give one of them")
    return given[0] if given else SIMULATE


def _recordings(replay: list[Path] | None, more: list[Path] | None) -> tuple[Path, ...]:
    """`--replay A B` is read as the option A and the argument B."""
    if more and not replay:
        raise InputError(f"unexpected argument {more[0]}")
    return tuple(path.expanduser().resolve() for path in [*(replay or []), *(more or [])])


def _speed(given: str, *, live: bool) -> str:
    if live and given != "1":
        raise InputError(f"--speed {given}: a live exchange has its own pace")
    if given == "max":
        return given
    try:
        number = float(given)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise InputError(f"--speed {given}: give a number above 0, or max")
    return given


def _host(given: str) -> str:
    try:
        ipaddress.IPv4Address("127.0.0.1" if given == "localhost" else given)
    except ValueError:
        raise InputError(
            f"--host {given}: give an IPv4 address of this machine, or 0.0.0.0 for all"
        ) from None
    return given


def _once(once: bool, replay: list[Path] | None) -> bool:
    if once and not replay:
        raise InputError("--once is for --replay: a simulation has no end")
    return once
