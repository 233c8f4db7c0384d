"""The stage `postgres` on a real broker and a real PostgreSQL: nothing lost, nothing twice."""

import contextlib
import os
import random
import re
import threading
from pathlib import Path

import pytest
from kafka.admin import KafkaAdminClient
from kafka.structs import TopicPartition

from container_worker.postgres import database
from container_worker.postgres.database import Database, connect_first
from container_worker.postgres.table import row_of
from marketdata import codec
from marketdata.messages import Watermark
from marketdata.topics import EVENTS

pytestmark = pytest.mark.services

ROOT = Path(__file__).parents[2]
SEED = int(os.environ.get("TAPEDECK_KILL_SEED", random.randrange(10**6)))


@pytest.fixture
def table(target):
    """The port to an empty database, connected."""
    with contextlib.closing(Database(target)) as port:
        port.connect()
        yield port


@pytest.mark.parametrize("kills", [1, pytest.param(8, marks=pytest.mark.soak)])
def test_killed_at_any_moment_it_loses_no_event_and_saves_none_twice(
    new_rig, wait_until, kills
):
    repeat = f"seed {SEED}: repeat with TAPEDECK_KILL_SEED={SEED} pytest {__file__}"
    chance, rig = random.Random(SEED), new_rig(EVENTS)
    rig.write(1_000)
    for number in range(kills):
        # Each start has a group of its own: the place is the database's, not the group's.
        with rig.process(f"{rig.target.database}-{number}") as one:
            least = len(rig.saved()) + chance.randrange(1, 1_500)
            rig.write(1_000)
            wait_until(lambda least=least: len(rig.saved()) >= least, 90, f"a kill; {repeat}")
            one.kill()
    rig.write(1_000)
    with rig.process(f"{rig.target.database}-last") as last:
        wait_until(lambda: len(rig.saved()) >= len(rig.ids), 90, f"all rows; {repeat}")
        last.terminate()
        assert last.wait(60) == 0
    assert rig.all_saved(), repeat


def test_while_the_database_is_away_it_waits_and_then_goes_on(rig, wait_until, caplog):
    with rig.running(), caplog.at_level("INFO", "tapedeck"):
        rig.write(90)
        wait_until(rig.all_saved, 60, "the first rows")
        with rig.server.stopped():
            rig.write(90)
            wait_until(lambda: "postgres.unavailable" in caplog.messages, 60, "the outage")
        wait_until(rig.all_saved, 60, "the other rows")
    assert rig.target.password not in caplog.text


def test_a_server_that_hangs_is_given_up_and_tried_again(rig, wait_until, caplog, monkeypatch):
    monkeypatch.setattr(database, "HANG_SECONDS", 0.5)
    with rig.running(), caplog.at_level("INFO", "tapedeck"):
        rig.write(30)
        wait_until(rig.all_saved, 60, "the first rows")
        with rig.server.frozen():
            rig.write(30)
            wait_until(lambda: "postgres.unavailable" in caplog.messages, 60, "the outage")
        wait_until(rig.all_saved, 60, "the other rows")


def test_a_locked_table_is_waited_for(rig, wait_until, caplog, monkeypatch):
    monkeypatch.setattr(database, "STATEMENT_MS", 200)
    with rig.running(), caplog.at_level("INFO", "tapedeck"):
        rig.write(30)
        wait_until(rig.all_saved, 60, "the first rows")
        with rig.server.connect(rig.target.database) as other, other.transaction():
            other.execute("LOCK TABLE contract_events IN SHARE MODE")
            rig.write(30)
            wait_until(lambda: "postgres.unavailable" in caplog.messages, 60, "a refusal")
        wait_until(rig.all_saved, 60, "the other rows")


def test_a_dropped_table_is_filled_again_from_the_topics_beginning(rig, wait_until):
    rig.write(30)
    with rig.running():
        wait_until(rig.all_saved, 60, "the rows")
    rig.server.query("DROP TABLE contract_events", database=rig.target.database)
    with rig.running():
        wait_until(rig.all_saved, 60, "the rows again")


def test_what_kafka_no_longer_has_is_said_and_the_rest_is_saved(rig, wait_until, caplog):
    rig.write(30)
    with rig.running():
        wait_until(rig.all_saved, 60, "the first rows")
    rig.write(60)
    admin = KafkaAdminClient(bootstrap_servers=rig.brokers)
    admin.delete_records({TopicPartition(rig.topic.name, number): 20 for number in range(3)})
    admin.close()
    wanted = rig.ids[:30] + rig.ids[60:]
    with rig.running("again"), caplog.at_level("INFO", "tapedeck"):
        wait_until(lambda: rig.saved() == wanted, 60, "what was left")
    assert caplog.messages.count("postgres.retention") == 3


def test_marks_and_garbage_are_passed_over(rig, wait_until, caplog):
    rig.send(codec.encode(Watermark(E=1, s="events", x="stellar", cursor="1-2")))
    for poison in (b"", b"{", b"\xff\xfe", b'{"type":"contract_event"}'):
        rig.send(poison)
    rig.write(9)
    with caplog.at_level("INFO", "tapedeck"), rig.running():
        wait_until(rig.all_saved, 60, "the rows")
    [summary] = [one for one in caplog.records if one.message == "postgres.saved"]
    assert (summary.fields["rejects"], summary.fields["new"]) == (4, 9)


@pytest.mark.parametrize(
    "data",
    [rb'{"string":"a\u0000b \" \\ c"}', b'{"u32":1e400000}', rb'{"string":"\ud800"}'],
    ids=["NUL", "a number beyond numeric", "half a character"],
)
def test_json_that_jsonb_cannot_hold_is_kept_as_its_text(table, postgres, event, data):
    rows = [row_of(event(1)), row_of(event(2, data)), row_of(event(3))]
    assert table.save(rows, "topic", {0: 3}) == (3, 0, 0)
    text = "SELECT data #>> '{}' FROM contract_events WHERE ledger = 50000002"
    [[kept]] = postgres.query(text, database=table.settings.database)
    assert kept.encode() == data


def test_a_row_that_cannot_be_stored_at_all_spoils_no_other(table, event):
    rows = [row_of(event(number)) for number in (1, 2, 3)]
    rows[1] = rows[1]._replace(ledger=2**70)
    assert table.save(rows, "topic", {0: 3}) == (2, 0, 1)


def test_a_batch_that_comes_again_changes_nothing(table, event):
    rows = [row_of(event(number)) for number in (1, 2, 3)]
    assert table.save(rows, "topic", {0: 3, 2: 9}) == (3, 0, 0)
    assert table.save(rows, "topic", {0: 2}) == (0, 3, 0)
    assert table.reached("topic") == {0: 3, 2: 9}
    assert table.reached("another topic") == {}


def test_the_queries_of_the_documentation_run(table, postgres, event):
    table.save([row_of(event(number)) for number in (1, 2, 3)], "topic", {0: 3})
    page = (ROOT / "docs" / "pipeline.md").read_text(encoding="utf-8")
    queries = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    assert queries
    for query in queries:
        assert postgres.query(query, database=table.settings.database)


def test_stages_that_start_together_make_the_table_once(target):
    ports = [Database(target) for _ in range(4)]
    threads = [
        threading.Thread(target=connect_first, args=(one, threading.Event())) for one in ports
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert [one.reached("topic") for one in ports] == [{}] * 4
    for one in ports:
        one.close()
