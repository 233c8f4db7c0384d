"""The variables of the stage `postgres`, read once at start, all faults named at once.

POSTGRES_* ─► DatabaseSettings ─┐
KAFKA_*    ─► KafkaSettings    ─┴─► PostgresSettings
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from container_worker.settings import KafkaSettings, read_derive
from container_worker.variables import Reader
from marketdata.errors import SettingsError

DEFAULTS = {
    "POSTGRES_HOST": "",
    "POSTGRES_PORT": "5432",
    "POSTGRES_DATABASE": "",
    "POSTGRES_USER": "",
    "POSTGRES_PASSWORD": "",
    "POSTGRES_SSLMODE": "prefer",
    "POSTGRES_TABLE": "contract_events",
    "POSTGRES_GROUP": "postgres",
}
"""Every variable of the stage beside Kafka's; empty means that there is no default."""

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_NAME = r"[A-Za-z_][A-Za-z0-9_]{0,47}"
_TABLE = re.compile(rf"(?:{_NAME}\.)?{_NAME}", re.ASCII)


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Which table of which database; `table` may name its schema before a dot.

    An empty password leaves the login to what PostgreSQL's own client finds (`~/.pgpass`,
    peer or trust authentication).
    """

    host: str
    database: str
    user: str
    port: int = 5432
    password: str = field(default="", repr=False)
    sslmode: str = "prefer"
    table: str = "contract_events"

    @property
    def place(self) -> dict[str, Any]:
        """Where it is, for logs and sentences: nothing secret."""
        names = ("host", "port", "database", "table")
        return {name: getattr(self, name) for name in names}

    @property
    def server(self) -> str:
        """`host:port`, for sentences."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class PostgresSettings:
    """The stage: where from, under which consumer group, and where to."""

    kafka: KafkaSettings
    database: DatabaseSettings
    group: str


def table_fault(name: str) -> str:
    """What is wrong with a table's name; empty when it can be used."""
    if _TABLE.fullmatch(name):
        return ""
    return (
        f"{name[:80]!r} is not a table's name (letters, digits and _, at most 48, with its "
        "schema and a dot before it where there is one)"
    )


class _PostgresReader(Reader):
    """Reads this stage's variables with their own defaults."""

    def text(self, name: str) -> str:
        if name not in DEFAULTS:
            return super().text(name)
        return self._environment.get(name, "").strip() or DEFAULTS[name]


def read_postgres(variables: Mapping[str, str]) -> PostgresSettings:
    """The stage's variables. Raises SettingsError with all faults."""
    kafka = None
    reader = _PostgresReader(variables)
    try:
        kafka = read_derive(variables).kafka
    except SettingsError as error:
        reader.faults = list(error.faults)
    table = reader.text("POSTGRES_TABLE")
    if fault := table_fault(table):
        reader.faults.append(f"POSTGRES_TABLE: {fault}")
    database = DatabaseSettings(
        host=reader.required("POSTGRES_HOST", "the database server"),
        port=int(reader.number("POSTGRES_PORT", 1, 65535)),
        database=reader.required("POSTGRES_DATABASE", "the database that holds the table"),
        user=reader.required("POSTGRES_USER", "who logs in there"),
        password=reader.secret("POSTGRES_PASSWORD"),
        sslmode=reader.one_of("POSTGRES_SSLMODE", SSL_MODES, reader.text("POSTGRES_SSLMODE")),
        table=table,
    )
    group = reader.topic("POSTGRES_GROUP", reader.text("POSTGRES_GROUP"))
    reader.check()
    if kafka is None:  # its faults were raised just now
        raise SettingsError(reader.faults)
    return PostgresSettings(kafka, database, group)
