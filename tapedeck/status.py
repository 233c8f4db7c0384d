"""`tapedeck status`."""

from typing import Annotated

import msgspec
import typer

from local import stack_status
from local.stack_status import Status
from tapedeck.options import DEFAULT_DATA, DataOption, data_folder


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(run)


def run(
    data: DataOption = DEFAULT_DATA,
    json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Say whether the stack of a data folder is up, and where everything is."""
    status = stack_status.status(data_folder(data))
    print(msgspec.json.encode(status).decode() if json else _text(status))


def _text(status: Status) -> str:
    if status.state == "down":
        return f"no stack is up on {status.data}"
    lines = [f"the stack on {status.data} is {status.state} ({status.mode})"]
    if status.state == "killed":
        lines.append(
            "  its processes run on without it: `tapedeck up` or `tapedeck down` ends them"
        )
    lines += [f"  {name:<13} {url}" for name, url in status.urls.items() if url]
    for name, pid in status.pids.items():
        again = status.restarts.get(name, 0)
        lines.append(
            f"  {name:<13} process {pid}" + (f", restarted {again} times" if again else "")
        )
    if status.replay:
        lines.append(f"  replay        {status.replay}")
    return "\n".join(lines)
