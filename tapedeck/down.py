"""`tapedeck down`."""

import typer

from local import stack_status
from tapedeck.options import DEFAULT_DATA, DataOption, data_folder


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("down")(run)


def run(data: DataOption = DEFAULT_DATA) -> None:
    """End the stack of a data folder; no process is left behind."""
    folder = data_folder(data)
    ended = stack_status.down(folder, print)
    print(f"stopped the stack on {folder}" if ended else f"no stack is up on {folder}")
