"""The table of contract events: its SQL, and a record of `events` as its row. Pure.

ContractEvent ─► Row ─► columns for one INSERT of a whole batch
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from psycopg import sql

from marketdata.messages import ContractEvent


class Row(NamedTuple):
    """One event in the order of the columns; `topics` and `data` are JSON texts."""

    id: str
    ledger: int
    closed_at: str
    contract_id: str | None
    transaction_hash: str | None
    event_type: str
    transaction_index: int
    operation_index: int
    in_successful_call: bool
    topics: str
    data: str


_TYPES = (
    *("text", "bigint", "timestamptz", "text", "text", "text", "int", "int", "boolean"),
    *("jsonb", "jsonb"),
)
_OPTIONAL = {"contract_id", "transaction_hash"}
_INDEXES = ("ledger", "closed_at", "contract_id, ledger", "transaction_hash")


def row_of(event: ContractEvent) -> Row:
    """The event's row; what a system event lacks is NULL."""
    return Row(
        id=event.id,
        ledger=event.ledger,
        closed_at=event.timestamp,
        contract_id=event.contract_id or None,
        transaction_hash=event.transaction_hash or None,
        event_type=event.event_type,
        transaction_index=event.transaction_index,
        operation_index=event.operation_index,
        in_successful_call=event.in_successful_call,
        topics=bytes(event.topics).decode(),
        data=bytes(event.data).decode(),
    )


def as_texts(row: Row) -> Row:
    """The row with its JSON as JSON strings: jsonb holds neither NUL nor boundless numbers."""
    return row._replace(topics=_quoted(row.topics), data=_quoted(row.data))


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def columns(rows: Sequence[Row]) -> list[list[object]]:
    """The rows as one list a column, which is what `insert` takes."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in _TYPES]


class Statements:
    """The SQL for one table, which may have its schema before a dot."""

    def __init__(self, table: str) -> None:
        schema, _, name = table.rpartition(".")
        self._table = sql.Identifier(*([schema] if schema else []), name)
        self._progress = sql.Identifier(*([schema] if schema else []), f"{name}_progress")
        self.name = self._table.as_string(None)
        self.progress_name = self._progress.as_string(None)

    def create(self) -> list[sql.Composed]:
        """Makes the table and its indexes; where something was reached before is void then."""
        lines = [
            sql.SQL("{} {}{}").format(
                sql.Identifier(name),
                sql.SQL(type_),
                sql.SQL("" if name in _OPTIONAL else " NOT NULL"),
            )
            for name, type_ in zip(Row._fields, _TYPES, strict=True)
        ]
        table = sql.SQL("CREATE TABLE {} ({}, PRIMARY KEY (id))").format(
            self._table, sql.SQL(", ").join(lines)
        )
        indexes = [
            sql.SQL("CREATE INDEX ON {} ({})").format(self._table, sql.SQL(columns))
            for columns in _INDEXES
        ]
        forgotten = sql.SQL("DROP TABLE IF EXISTS {}").format(self._progress)
        return [forgotten, table, *indexes]

    def create_progress(self) -> sql.Composed:
        """Makes the table of the places reached."""
        return sql.SQL(
            "CREATE TABLE {} (topic_id text, partition int, next_offset bigint NOT NULL, "
            "PRIMARY KEY (topic_id, partition))"
        ).format(self._progress)

    def insert(self) -> sql.Composed:
        """Takes `columns(rows)`; an event that is there already stays as it is."""
        arrays = [sql.SQL("%s::{}[]").format(sql.SQL(_array_of(type_))) for type_ in _TYPES]
        values = [
            sql.SQL("new.{}::{}").format(sql.Identifier(name), sql.SQL(type_))
            for name, type_ in zip(Row._fields, _TYPES, strict=True)
        ]
        names = sql.SQL(", ").join(map(sql.Identifier, Row._fields))
        return sql.SQL(
            "INSERT INTO {} ({}) SELECT {} FROM unnest({}) AS new({}) "
            "ON CONFLICT (id) DO NOTHING"
        ).format(
            self._table,
            names,
            sql.SQL(", ").join(values),
            sql.SQL(", ").join(arrays),
            names,
        )

    def reached(self) -> sql.Composed:
        """Takes a topic's id; gives partitions and next offsets."""
        return sql.SQL("SELECT partition, next_offset FROM {} WHERE topic_id = %s").format(
            self._progress
        )

    def reach(self) -> sql.Composed:
        """Takes topic id, partitions, next offsets; a place never moves back."""
        return sql.SQL(
            "INSERT INTO {} AS old (topic_id, partition, next_offset) "
            "SELECT %s::text, new.partition, new.next_offset "
            "FROM unnest(%s::int[], %s::bigint[]) AS new(partition, next_offset) "
            "ON CONFLICT (topic_id, partition) "
            "DO UPDATE SET next_offset = greatest(old.next_offset, excluded.next_offset)"
        ).format(self._progress)


def _array_of(type_: str) -> str:
    """As what the driver sends a column: what PostgreSQL parses itself comes as text."""
    return "text" if type_ in {"jsonb", "timestamptz"} else type_
