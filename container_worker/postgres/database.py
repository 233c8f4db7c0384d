"""The one port to PostgreSQL: a connection that comes back, and one transaction a batch.

    Row, next offsets ─► Database.save ─► INSERT … ON CONFLICT DO NOTHING, places, COMMIT

The driver's errors become `marketdata.errors` here and nowhere else.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import psycopg

from container_worker import log
from container_worker.postgres.settings import DatabaseSettings
from container_worker.postgres.table import Row, Statements, as_texts, columns
from marketdata.errors import InputError, StoreUnavailable

CONNECT_SECONDS = 5
START_SECONDS = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 10.0
STATEMENT_MS = 30_000
HANG_SECONDS = 60.0
"""A server that says nothing for so long is given up; a frozen one keeps its connections."""
_LOCK = 0x7461_7065_6465_636B
"""Held while a table is made, so that two stages that start together make it once."""
# The server's refusals that no waiting cures. It may speak another language: then the start
# gives up after `START_SECONDS`, with the server's own words.
_FOR_GOOD = (
    "password authentication failed",
    "no password supplied",
    "does not exist",
    "no pg_hba.conf entry",
    "does not support SSL",
    "certificate",
    "not permitted to log in",
    "permission denied for database",
    "authentication failed for user",
)


class Saved(NamedTuple):
    """What became of a batch: rows that were new, there before, or that cannot be stored."""

    new: int = 0
    known: int = 0
    refused: int = 0


class Database:
    """The table of one database. Not for several threads at once."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self.settings = settings
        self._sql = Statements(settings.table)
        self._connection: psycopg.Connection | None = None

    def connect(self) -> None:
        """Connects, if it is not connected, and makes the tables where there are none.

        Raises:
            InputError: the table does not fit, or may not be made or written.
            StoreUnavailable: the server does not answer, or refuses the login.
        """
        if self._connection is not None:
            return
        given = self.settings
        try:
            self._connection = psycopg.connect(
                host=given.host,
                port=given.port,
                dbname=given.database,
                user=given.user,
                password=given.password or None,
                sslmode=given.sslmode,
                application_name="tapedeck",
                client_encoding="utf8",
                connect_timeout=CONNECT_SECONDS,
                keepalives_idle=10,
                keepalives_interval=5,
                keepalives_count=3,
                tcp_user_timeout=20_000,
                autocommit=True,
                prepare_threshold=None,
            )
        except psycopg.OperationalError as error:
            raise StoreUnavailable(_no_login(given, error)) from error
        with self._translated("made"):
            self._prepare(self._connection)

    def reached(self, topic_id: str) -> dict[int, int]:
        """The next offset of each partition that was read before. Raises as `save`."""
        with self._translated("read") as connection:
            return dict(connection.execute(self._sql.reached(), (topic_id,)).fetchall())

    def save(self, rows: Sequence[Row], topic_id: str, reached: Mapping[int, int]) -> Saved:
        """Makes rows and places durable together, or neither.

        What jsonb cannot hold is kept as a JSON string of its text; a row that cannot be stored
        at all is left out, counted and named in the log.

        Raises:
            InputError: the table does not take what it should.
            StoreUnavailable: the connection is gone; whether the batch is durable is for
                `reached` to say.
        """
        with self._translated("written") as connection, connection.transaction():
            saved = self._insert(connection, rows)
            places = (topic_id, list(reached), list(reached.values()))
            connection.execute(self._sql.reach(), places)
        return saved

    def close(self) -> None:
        """Ends the connection; `connect` makes another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                connection.close()

    def _prepare(self, connection: psycopg.Connection) -> None:
        connection.execute(f"SET statement_timeout = {STATEMENT_MS}")
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            if not _exists(connection, self._sql.name):
                for statement in self._sql.create():
                    connection.execute(statement)
                log.event("postgres.table_made", **self.settings.place)
            if not _exists(connection, self._sql.progress_name):
                connection.execute(self._sql.create_progress())
        # Nothing is written; a table of another shape refuses it all the same.
        connection.execute(self._sql.insert(), columns([]))

    def _insert(self, connection: psycopg.Connection, rows: Sequence[Row]) -> Saved:
        try:
            return self._insert_all(connection, rows)
        except psycopg.DataError:
            parts = [self._insert_one(connection, row) for row in rows]
            return Saved(*map(sum, zip(*parts, strict=True)))

    def _insert_all(self, connection: psycopg.Connection, rows: Sequence[Row]) -> Saved:
        if not rows:
            return Saved()
        with connection.transaction():
            new = connection.execute(self._sql.insert(), columns(rows)).rowcount
        return Saved(new, len(rows) - new)

    def _insert_one(self, connection: psycopg.Connection, row: Row) -> Saved:
        with contextlib.suppress(psycopg.DataError):
            return self._insert_all(connection, [row])
        try:
            saved = self._insert_all(connection, [as_texts(row)])
        except psycopg.DataError as error:
            reason = error.diag.message_primary or _words(error)
            log.event("postgres.refused", level="error", id=row.id[:80], reason=reason)
            return Saved(refused=1)
        log.event("postgres.kept_as_text", level="warning", id=row.id[:80])
        return saved

    @contextlib.contextmanager
    def _translated(self, done: str) -> Iterator[psycopg.Connection]:
        if self._connection is None:
            raise StoreUnavailable(f"PostgreSQL at {self.settings.server} is not connected")
        table, database = self.settings.table, self.settings.database
        try:
            with _patience(self._connection):
                yield self._connection
        except (psycopg.ProgrammingError, psycopg.IntegrityError) as error:
            self.close()
            raise InputError(
                f"the table {table} of the database {database} at {self.settings.server} "
                f"cannot be {done}: {_words(error)}: it is not the one that SaveToPostgreSQL "
                "makes, or the user's rights do not suffice; name another table, or grant them"
            ) from error
        except psycopg.Error as error:
            self.close()
            raise StoreUnavailable(
                f"PostgreSQL at {self.settings.server} broke off: {_words(error)}"
            ) from error


def connect_first(database: Database, stop: threading.Event) -> bool:
    """Connects at the start, with patience for a server that starts too; False on `stop`.

    Raises:
        InputError: the server refuses the login or the database; the table does not fit.
        StoreUnavailable: no answer within `START_SECONDS`.
    """
    until = time.monotonic() + START_SECONDS
    pauses = backoff()
    while not stop.is_set():
        try:
            database.connect()
        except StoreUnavailable as error:
            if time.monotonic() > until:
                raise
            if refused_for_good(error):
                raise InputError(str(error)) from None
            stop.wait(next(pauses))
        else:
            return True
    return False


def refused_for_good(error: StoreUnavailable) -> bool:
    """Whether the server refused something that only another setting cures."""
    return any(words in str(error) for words in _FOR_GOOD)


def backoff() -> Iterator[float]:
    """Seconds to wait before each further try."""
    pause = FIRST_PAUSE_S
    while True:
        yield pause
        pause = min(LONGEST_PAUSE_S, pause * 2)


@contextlib.contextmanager
def _patience(connection: psycopg.Connection) -> Iterator[None]:
    """Cuts the connection when the block lasts too long: the driver would wait for ever."""
    timer = threading.Timer(HANG_SECONDS, _cut, (connection,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _cut(connection: psycopg.Connection) -> None:
    with (
        contextlib.suppress(OSError, psycopg.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as wire,
    ):
        wire.shutdown(socket.SHUT_RDWR)


def _exists(connection: psycopg.Connection, name: str) -> bool:
    found = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (name,)).fetchone()
    return bool(found and found[0])


def _no_login(given: DatabaseSettings, error: psycopg.OperationalError) -> str:
    words = _words(error)
    if any(known in words for known in _FOR_GOOD):
        return (
            f"PostgreSQL at {given.server} does not let {given.user} into the database "
            f"{given.database}: {words}"
        )
    return f"PostgreSQL at {given.server} does not answer: {words}"


def _words(error: psycopg.Error) -> str:
    """The server's own sentence; libpq puts the address before it."""
    text = error.diag.message_primary or (str(error).splitlines() or [type(error).__name__])[0]
    for before in ("failed: FATAL: ", "failed: "):
        _, found, after = text.rpartition(before)
        if found:
            return after.strip()
    return text
