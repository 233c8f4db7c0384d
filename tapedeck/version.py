"""`tapedeck version`."""

from importlib.metadata import version

import typer


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("version")(run)


def run() -> None:
    """Print the version."""
    print(version("tapedeck"))
