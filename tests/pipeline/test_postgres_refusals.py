"""What the stage `postgres` refuses, each in one sentence that names the thing."""

import contextlib
import os
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from container_worker.postgres import database as port
from container_worker.postgres.database import Database, connect_first
from container_worker.postgres.settings import read_postgres
from container_worker.postgres.table import row_of
from marketdata.errors import InputError, SettingsError, StoreUnavailable

SOUND = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
    "POSTGRES_HOST": "db.example",
    "POSTGRES_DATABASE": "stellar_events",
    "POSTGRES_USER": "postgres",
    "POSTGRES_PASSWORD": "open sesame",
}


def first(target):
    with contextlib.closing(Database(target)) as database:
        connect_first(database, threading.Event())


def connect_and_save(target, event):
    with contextlib.closing(Database(target)) as database:
        database.connect()
        database.save([row_of(event(1))], "topic", {0: 1})


def test_a_sound_environment_is_read_and_its_password_shown_nowhere():
    settings = read_postgres(SOUND)
    assert settings.database.password == "open sesame"
    assert settings.database.table == "contract_events"
    assert "sesame" not in repr(settings) + str(settings.database.place)


def test_every_bad_variable_is_named_at_once():
    bad = {
        "POSTGRES_PORT": "http",
        "POSTGRES_SSLMODE": "required",
        "POSTGRES_TABLE": "events; DROP TABLE students",
        "KAFKA_AUTH": "magic",
    }
    with pytest.raises(SettingsError) as caught:
        read_postgres(bad)
    text = "\n".join(caught.value.faults)
    for name in (*bad, "POSTGRES_HOST", "POSTGRES_DATABASE", "POSTGRES_USER"):
        assert name in text
    assert "did you mean require?" in text


@pytest.mark.services
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"password": "wrong"}, "password authentication failed"),
        ({"user": "nobody_here"}, "does not let nobody_here into the database"),
        ({"database": "nothing_here"}, 'database "nothing_here" does not exist'),
        ({"sslmode": "require"}, "does not support SSL"),
    ],
)
def test_a_login_that_cannot_succeed_is_refused_at_once(target, change, words):
    with pytest.raises(InputError) as caught:
        first(replace(target, **change))
    assert words in str(caught.value)
    assert str(caught.value).count("\n") == 0
    assert target.password not in str(caught.value)


def test_a_server_that_does_not_answer_is_named_after_a_while(target, monkeypatch):
    monkeypatch.setattr(port, "START_SECONDS", 0.2)
    with pytest.raises(StoreUnavailable, match=r"PostgreSQL at 127.0.0.1:1 does not answer"):
        first(replace(target, port=1))


@pytest.mark.services
@pytest.mark.parametrize(
    ("made", "words"),
    [
        ("(id text PRIMARY KEY)", "does not exist"),
        ("(LIKE shape)", "no unique or exclusion constraint"),
        ("(LIKE shape INCLUDING INDEXES, owner text NOT NULL)", "violates not-null"),
    ],
    ids=["columns are missing", "the key is missing", "a column of its own must be given"],
)
def test_a_table_of_another_shape_is_refused(target, postgres, event, made, words):
    connect_and_save(replace(target, table="shape"), event)
    postgres.query(f"CREATE TABLE contract_events {made}", database=target.database)
    with pytest.raises(InputError) as caught:
        connect_and_save(target, event)
    assert "the table contract_events of the database" in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.services
def test_a_user_without_rights_is_told_so(target, postgres):
    user = f"reader_of_{target.database}"
    postgres.query(f"CREATE USER {user} PASSWORD 'reads'")
    with pytest.raises(InputError, match="permission denied"):
        first(replace(target, user=user, password="reads"))


@pytest.mark.services
def test_a_table_with_its_schema_is_made_there(target, postgres, event):
    postgres.query("CREATE SCHEMA chain", database=target.database)
    connect_and_save(replace(target, table="chain.moves"), event)
    found = postgres.query("SELECT ledger FROM chain.moves", database=target.database)
    assert found == [(50_000_001,)]


@pytest.mark.services
def test_the_process_says_one_sentence_and_exits_with_2(target):
    variables = SOUND | {
        "POSTGRES_HOST": target.host,
        "POSTGRES_PORT": str(target.port),
        "PATH": os.environ["PATH"],
    }
    done = subprocess.run(
        [sys.executable, "-m", "container_worker.postgres"],
        env=variables,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("postgres: PostgreSQL at ")
    assert "password authentication failed" in line
    assert "sesame" not in line
