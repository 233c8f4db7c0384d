"""The pipeline file of sources/save-to-websocket.md: read whole, every fault with its line.

pipelines:
  NAME: {source: RPCSourceAdapter, processors: [GetEventsRPC], consumers: […]}
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from yaml.nodes import Node

from container_worker.exchange_settings import XDR_FORMATS
from container_worker.exchanges.stellar.subscribe import filter_faults, one_topic_filters
from container_worker.postgres.settings import SSL_MODES, DatabaseSettings, table_fault
from local.gateway.settings import TAKEN
from local.pipeline_nodes import Faults, Section, as_json, hint, root
from marketdata.errors import InputError, SettingsError

SOURCE, PROCESSOR = "RPCSourceAdapter", "GetEventsRPC"
WEBSOCKET, POSTGRESQL = "SaveToWebSocket", "SaveToPostgreSQL"
_PARTS = ("source", "processors", "consumers")
_PART = ("type", "config")
_OF_SOURCE = (
    *("rpc_url", "auth_header", "start_ledger", "poll_interval", "rpc_method", "filters"),
    *("pagination", "xdrFormat"),
)
_OF_POSTGRESQL = (*("host", "port", "database", "username", "password", "sslmode", "table"),)
_MOST_FILTERS = 5
_LONGEST_PATH = 200


@dataclass(frozen=True, slots=True)
class RpcSource:
    """What is asked of the node; the numbers are texts, as the worker's variables are.

    `notes` are sentences about what the filters will not bring.
    """

    rpc_url: str = field(repr=False)
    auth_header: str = field(repr=False)
    start_ledger: str
    poll_seconds: str
    filters: bytes
    page_limit: str
    xdr_format: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WebSocketConsumer:
    """Where clients connect, and how many events are kept for one that has yet to register.

    `line` is where the file says which port.
    """

    port: int
    path: str
    max_queue_size: int
    line: int


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One pipeline; `databases` are in the file's order."""

    name: str
    source: RpcSource
    websocket: WebSocketConsumer | None
    databases: tuple[DatabaseSettings, ...]


def read(path: Path) -> tuple[Pipeline, ...]:
    """The pipelines of a file; at least one.

    Raises:
        InputError: the file cannot be read.
        SettingsError: one line for each fault in it.
    """
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: it is not UTF-8 text") from error


def parse(text: str, source: str) -> tuple[Pipeline, ...]:
    """The pipelines of a text; `source` begins every sentence. Raises SettingsError."""
    faults = Faults(source)
    document = Section(faults, root(text, source), "the file", ("pipelines",))
    named = document.section("pipelines", None, needed=True)
    pipelines = [_pipeline(faults, *one) for one in named.members.items()] if named else []
    if named and not pipelines:
        document.fault("pipelines", "has none")
    faults.check()
    return tuple(pipelines)


def chosen(pipelines: Sequence[Pipeline], name: str | None, source: str) -> Pipeline:
    """The pipeline of that name, or the only one.

    Raises:
        SettingsError: there is none of that name, or several and no name.
    """
    names = [one.name for one in pipelines]
    if name is None and len(pipelines) > 1:
        raise SettingsError(
            [f"{source} has {len(names)} pipelines: choose with --pipeline: {', '.join(names)}"]
        )
    found = [one for one in pipelines if name in (None, one.name)]
    if not found:
        raise SettingsError([f"{source} has no pipeline {name!r}{hint(name or '', names)}"])
    return found[0]


def _pipeline(faults: Faults, name: str, node: Node) -> Pipeline:
    parts = Section(faults, node, f"the pipeline {name}", _PARTS)
    source = _part(parts.section("source", _PART, needed=True), (SOURCE,), _OF_SOURCE)
    for number, one in enumerate(parts.items("processors"), 1):
        part = Section(faults, one, f"processor {number}", _PART)
        _part(part, (PROCESSOR,), (), needed=False)
    websockets: list[WebSocketConsumer] = []
    databases: list[DatabaseSettings] = []
    for number, one in enumerate(parts.items("consumers", needed=True), 1):
        part = Section(faults, one, f"consumer {number}", _PART)
        kind = part.one_of("type", (WEBSOCKET, POSTGRESQL))
        if kind == WEBSOCKET:
            if websockets:
                part.fault("type", f"is a second {WEBSOCKET}: a pipeline has one at most")
            websockets.append(_websocket(part))
        elif kind == POSTGRESQL:
            databases.append(_database(part, databases))
    return Pipeline(
        name=name,
        source=_rpc_source(source),
        websocket=websockets[0] if websockets else None,
        databases=tuple(databases),
    )


def _part(
    part: Section | None, types: Sequence[str], keys: Sequence[str], *, needed: bool = True
) -> Section | None:
    if part is None:
        return None
    part.one_of("type", types)
    return part.section("config", keys, needed=needed)


def _rpc_source(config: Section | None) -> RpcSource:
    if config is None:
        return RpcSource("", "", "0", "5", b"[]", "1000", "json")
    config.one_of("rpc_method", ("getEvents",), "getEvents")
    url = config.text("rpc_url")
    if url and not is_url(url):
        config.fault("rpc_url", "is not a URL that begins with https:// or http://")
    header = config.text("auth_header", "")
    if not header.isascii() or any(letter < " " for letter in header):
        config.fault("auth_header", "has a character that no HTTP header may have")
    pagination = config.section("pagination", ("limit",), needed=False)
    filters, notes = _filters(config)
    return RpcSource(
        rpc_url=url,
        auth_header=header,
        start_ledger=config.number("start_ledger", "0", str(2**32 - 1), "0", whole=True),
        poll_seconds=config.number("poll_interval", "0.05", "3600", "5", whole=False),
        filters=filters,
        page_limit=pagination.number("limit", "1", "10000", "1000", whole=True)
        if pagination
        else "1000",
        xdr_format=config.one_of("xdrFormat", XDR_FORMATS, "json"),
        notes=notes,
    )


def is_url(text: str) -> bool:
    """Whether it can be a node's address."""
    try:
        parts = urlsplit(text)
        return parts.scheme in {"https", "http"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _filters(config: Section) -> tuple[bytes, tuple[str, ...]]:
    items = config.items("filters")
    if len(items) > _MOST_FILTERS:
        config.fault("filters", f"are {len(items)}; a node takes {_MOST_FILTERS}")
    texts, notes = [], []
    for number, item in enumerate(items, 1):
        text = as_json(config.faults, item)
        alone = b"[" + text + b"]"
        found = [fault.removeprefix("filter 1: ") for fault in filter_faults(alone)]
        for fault in found:
            config.faults.add(item, f"filter {number}: {fault}")
        if not found:
            line = item.start_mark.line + 1
            notes += [
                f"line {line}: filter {number}: {note.removeprefix('filter 1: ')}"
                for note in one_topic_filters(alone)
            ]
        texts.append(text)
    return b"[" + b",".join(texts) + b"]", tuple(notes)


def _websocket(part: Section) -> WebSocketConsumer:
    config = part.section("config", ("port", "path", "max_queue_size"), needed=False)
    if config is None:
        return WebSocketConsumer(8080, "/ws", 1000, part.line("type"))
    path = config.text("path", "/ws")
    good = path.startswith("/") and path.isascii() and path.isprintable()
    if not good or len(path) > _LONGEST_PATH or set(path) & set("?#% {}"):
        config.fault("path", f"is {path[:80]!r}, not a path like /ws")
    elif path.startswith(TAKEN):
        config.fault("path", f"is {path!r}, which is the HTTP API's: choose one like /ws")
    return WebSocketConsumer(
        port=int(config.number("port", "1", "65535", "8080", whole=True)),
        path=path,
        max_queue_size=int(config.number("max_queue_size", "1", "100000", "1000", whole=True)),
        line=config.line("port"),
    )


def _database(part: Section, before: Sequence[DatabaseSettings]) -> DatabaseSettings:
    config = part.section("config", _OF_POSTGRESQL, needed=True)
    if config is None:
        return DatabaseSettings("", "", "")
    table = config.text("table", "contract_events")
    if fault := table_fault(table):
        config.fault("table", f"cannot be used: {fault}")
    database = DatabaseSettings(
        host=config.text("host", "localhost"),
        port=int(config.number("port", "1", "65535", "5432", whole=True)),
        database=config.text("database"),
        user=config.text("username"),
        password=config.text("password", ""),
        sslmode=config.one_of("sslmode", SSL_MODES, "prefer"),
        table=table,
    )
    if any(one.place == database.place for one in before):
        config.fault("database", "is that of another consumer, with the same table")
    return database
