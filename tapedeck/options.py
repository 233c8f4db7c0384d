"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_DATA = Path("data")

DataOption = Annotated[
    Path, typer.Option("--data", metavar="DIR", help="The folder of the stack's data.")
]


def data_folder(given: Path) -> Path:
    """The folder as one absolute path, so that every process means the same."""
    return given.expanduser().resolve()
