"""The `tapedeck` command.

Each sub-command has its file; `COMMANDS` is the list of them. Faults are one sentence on
stderr: exit code 2 for what was given, 1 for what happened.
"""

import signal

# Imports take a moment; until they are done, Ctrl-C ends this process without a word.
signal.signal(signal.SIGINT, signal.SIG_DFL)

import importlib  # noqa: E402
import sys  # noqa: E402
from importlib.util import find_spec  # noqa: E402

import typer  # noqa: E402

from marketdata.errors import InputError, TapedeckError  # noqa: E402

INTERRUPTED = 130
COMMANDS = (
    "up",
    "down",
    "status",
    "watch",
    "record",
    "pipeline",
    "archive",
    "completeness",
    "keys",
    "setup",
    "version",
)

app = typer.Typer(
    name="tapedeck",
    help="Records the market tape and plays it to whoever listens.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _root() -> None:
    """Record the market tape and play it to whoever listens."""


def main() -> None:
    """Run the command line; every `tapedeck.<command>` has a function `add_to(app)`."""
    asked = [name for name in COMMANDS if name in sys.argv[1:2]] or list(COMMANDS)
    for name in asked:
        if find_spec(f"tapedeck.{name}"):
            importlib.import_module(f"tapedeck.{name}").add_to(app)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        app()
    except InputError as error:
        _fail(error, 2)
    except TapedeckError as error:
        _fail(error, 1)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


def _fail(error: TapedeckError, code: int) -> None:
    for line in str(error).splitlines():
        print(f"tapedeck: {line}", file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
