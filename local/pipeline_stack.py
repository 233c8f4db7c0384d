"""One pipeline from the first check to the last process: the composition root of `pipeline`.

PipelineStack ─► checks ─► servers' files ─► Supervisor
"""

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import replace

from container_worker.postgres.database import Database, refused_for_good
from container_worker.postgres.settings import DatabaseSettings
from local import data_folder, leftovers, run_file
from local.environment import forget_accounts, inherited
from local.pipeline_plan import (
    FACTS,
    MODE,
    PipelineStack,
    plan,
    ports_of,
    streams_yaml,
    urls,
)
from local.ports import free_ports, refuse_taken
from local.processes import Identity
from local.provisions import provisions
from local.run_file import RunFile
from local.stack import Signals, _server_commands, _watcher
from local.stack_settings import PRIVATE_PORTS, PUBLIC_PORTS
from local.supervisor import StackStopped, Supervisor
from marketdata.errors import InputError, LocalError, StoreUnavailable

Tell = Callable[[str], None]
Announce = Callable[[RunFile], None]


def run_pipeline(stack: PipelineStack, tell: Tell, announce: Announce) -> None:
    """Start a pipeline, keep it running until a signal, end it; returns when nothing is left.

    `tell` gets a line for each step of the start, `announce` the run file when all is ready.

    Raises:
        InputError: a database refuses the login, or a stage refuses what it was given.
        LocalError: a database does not answer; a port, the folder, the disk or a process is in
            the way.
    """
    forget_accounts()
    settings = stack.settings
    environment = inherited()
    for note in stack.pipeline.source.notes:
        tell(f"{stack.file.name}: {note}")
    data_folder.prepare(settings.data)
    signals = Signals()
    with signals.caught(), run_file.ownership(settings.data):
        for name in leftovers.end_leftovers(settings.data):
            tell(f"ended {name}, left behind by an earlier start")
        ports = ports_of(stack.pipeline, free_ports(len(PUBLIC_PORTS) + len(PRIVATE_PORTS)))
        check(stack, environment)
        (settings.data / "run" / "streams.yaml").write_text(streams_yaml(stack.pipeline))
        with contextlib.suppress(StackStopped):
            _run(stack, _supervisor(stack, ports, environment, signals), tell, announce)


def _supervisor(
    stack: PipelineStack,
    ports: Mapping[str, int],
    environment: Mapping[str, str],
    signals: Signals,
) -> Supervisor:
    settings = stack.settings
    run = RunFile(
        supervisor=Identity.of(os.getpid()),
        data=str(settings.data),
        mode=MODE,
        urls=urls(stack, ports),
    )
    return Supervisor(
        settings=settings,
        stages=plan(stack, ports, _server_commands(settings, ports, signals), environment),
        provisions=[one for one in provisions(settings, ports) if one.fact in FACTS],
        run=run,
        stop_asked=signals.stop_asked,
        hurry_asked=signals.hurry_asked,
    )


def _run(stack: PipelineStack, supervisor: Supervisor, tell: Tell, announce: Announce) -> None:
    data = stack.settings.data
    run_file.write(data, supervisor.run)
    with _watcher(data):
        try:
            supervisor.start(tell)
            announce(supervisor.run)
            supervisor.watch()
        finally:
            tell("stopping")
            supervisor.stop()
            run_file.remove(data)


def check(stack: PipelineStack, environment: Mapping[str, str]) -> None:
    """Say before anything is started what would end a process soon after its start.

    Raises:
        InputError: a database refuses the login, or its table does not fit.
        LocalError: a database does not answer, or the clients' port is taken.
    """
    consumer = stack.pipeline.websocket
    if consumer:
        try:
            refuse_taken({"SaveToWebSocket": consumer.port}, stack.settings.host)
        except LocalError as error:
            if "in use" not in str(error):
                raise
            raise LocalError(
                f"port {consumer.port} of SaveToWebSocket ({stack.file.name}, line "
                f"{consumer.line}) is in use: stop what has it, or change the port there"
            ) from error
    for given in stack.pipeline.databases:
        _check_database(
            replace(given, password=given.password or environment.get("PGPASSWORD", "")),
            stack.file.name,
        )


def _check_database(given: DatabaseSettings, file: str) -> None:
    database = Database(given)
    try:
        database.connect()
    except StoreUnavailable as error:
        if refused_for_good(error):
            raise InputError(f"{error}: correct SaveToPostgreSQL in {file}") from None
        raise LocalError(
            f"{error}: start the database server, or take SaveToPostgreSQL out of {file}"
        ) from None
    finally:
        database.close()
