"""`tapedeck pipeline FILE.yaml`: runs a pipeline file of the documents until Ctrl-C."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from local import pipeline_file
from local.pipeline_plan import MODE, PipelineStack, stack_settings
from local.pipeline_stack import run_pipeline
from local.run_file import RunFile
from local.stack import already_up
from marketdata.errors import InputError, LocalError
from tapedeck.options import DEFAULT_DATA, data_folder
from tapedeck.summary import Printer, command
from tapedeck.up import Host, _host

File = Annotated[Path, typer.Argument(metavar="FILE.yaml", help="The pipeline file.")]
Name = Annotated[
    str | None,
    typer.Option("--pipeline", metavar="NAME", help="Which one, where FILE has several."),
]
RpcUrl = Annotated[
    str | None, typer.Option("--rpc-url", metavar="URL", help="In place of the file's rpc_url.")
]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="By default data/pipelines/ and FILE's name."),
]
Check = Annotated[bool, typer.Option("--check", help="Only say whether FILE is sound.")]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("pipeline")(run)


def run(  # noqa: PLR0917 typer makes an option of each
    file: File,
    pipeline: Name = None,
    rpc_url: RpcUrl = None,
    data: Data = None,
    host: Host = "127.0.0.1",
    check: Check = False,
) -> None:
    """Run one pipeline: Stellar's events to WebSocket clients and PostgreSQL."""
    stack = _stack(file, pipeline, rpc_url, data, _host(host))
    if check:
        print(f"{file}: the pipeline {stack.pipeline.name} is sound")
        return
    printer = Printer(stack.settings)
    running = already_up(stack.settings.data)
    if running is None:
        try:
            run_pipeline(stack, printer.tell, lambda run: _announce(stack, run))
        except LocalError:
            running = already_up(stack.settings.data)  # another one was faster
            if running is None:
                raise
        else:
            printer.stopped()
            return
    if running.mode != MODE:
        raise LocalError(
            f"another stack is up on {stack.settings.data}: choose another folder with --data"
        )
    print(f"A pipeline is up already on {stack.settings.data}.")
    _addresses(running)


def _stack(
    file: Path, name: str | None, rpc_url: str | None, data: Path | None, host: str
) -> PipelineStack:
    pipelines = pipeline_file.read(file)
    chosen = pipeline_file.chosen(pipelines, name, str(file))
    if rpc_url is not None:
        if not pipeline_file.is_url(rpc_url):
            raise InputError("--rpc-url: give a URL that begins with https:// or http://")
        chosen = replace(chosen, source=replace(chosen.source, rpc_url=rpc_url))
    if data is None:
        several = f".{chosen.name}" if len(pipelines) > 1 else ""
        data = DEFAULT_DATA / "pipelines" / f"{file.stem}{several}".replace("/", "-")
    return PipelineStack(chosen, stack_settings(data_folder(data), host), file)


def _announce(stack: PipelineStack, run: RunFile) -> None:
    print(f"The pipeline {stack.pipeline.name} is up.")
    _addresses(run)
    for database in stack.pipeline.databases:
        print(f"  PostgreSQL  {database.database} at {database.server}, table {database.table}")
    print(f"logs:  {stack.settings.logs}")
    print(f"stop:  Ctrl-C here, or {command()} down --data {stack.settings.data}", flush=True)


def _addresses(run: RunFile) -> None:
    titles = {"ws": "WebSocket", "stellar_rpc": "Stellar RPC", "kafka": "Kafka"}
    for name, title in titles.items():
        if run.urls.get(name):
            print(f"  {title:<11} {run.urls[name]}")
