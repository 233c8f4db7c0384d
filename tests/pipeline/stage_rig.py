"""A topic, an empty database and the stage between them; what the table must hold."""

import contextlib
import itertools
import os
import subprocess
import sys
import threading

import msgspec
from kafka import KafkaProducer

from container_worker import postgres as stage
from container_worker.postgres.settings import PostgresSettings
from marketdata import codec
from marketdata.messages import ContractEvent

CONTRACT = "CCW67TSZV3SSS2HXMBQ5JFGCKJNXKZM7UQUWUZPUTHXSTZLEO7SJMI75"
_numbers = itertools.count(1)


def event(number, data=b'{"i128":"51654289151"}'):
    """An event in a ledger of its own; its id sorts by the number."""
    return ContractEvent(
        ledger=50_000_000 + number,
        transaction_hash=f"{number:064x}",
        contract_id=CONTRACT,
        topics=msgspec.Raw(b'[{"symbol":"transfer"},{"string":"USDC"}]'),
        data=msgspec.Raw(data),
        id=f"{number:019d}-0000000000",
        timestamp="2024-08-08T23:54:13Z",
        event_type="contract",
        transaction_index=1,
        operation_index=0,
        in_successful_call=True,
    )


class Rig:
    """Writes to one topic; `ids` are the events written, in a range that no other rig has."""

    def __init__(self, broker, server, target, topic):
        self.server, self.target, self.topic, self._broker = server, target, topic, broker
        self.brokers = broker.bootstrap_servers
        self._producer = KafkaProducer(bootstrap_servers=self.brokers, linger_ms=2)
        self._first = next(_numbers) * 1_000_000
        self.ids = []

    def write(self, count):
        """`count` more events, spread over three partitions; durable when this returns."""
        for _ in range(count):
            one = event(self._first + len(self.ids))
            self.ids.append(one.id)
            self.send(codec.encode(one), len(self.ids) % 3)
        self._producer.flush()

    def send(self, value, partition=0):
        """Any bytes."""
        self._producer.send(self.topic.name, value, key=b"events", partition=partition)

    def saved(self):
        """The ids that the table has of them, sorted; none where there is no table."""
        name = self.target.database
        [[there]] = self.server.query("SELECT to_regclass('contract_events')", database=name)
        if there is None:
            return []
        text = "SELECT id FROM contract_events WHERE id BETWEEN %s AND %s ORDER BY id"
        ids = (event(self._first + more).id for more in (0, 999_999))
        return [row[0] for row in self.server.query(text, *ids, database=name)]

    def all_saved(self):
        """Whether the table has them all, each once."""
        return self.saved() == self.ids

    @contextlib.contextmanager
    def running(self, group="postgres"):
        """The stage in a thread; its failure, if any, is raised at the end."""
        stop, failures = threading.Event(), []
        settings = PostgresSettings(self._broker, self.target, f"{self.topic.name}-{group}")

        def work():
            try:
                stage.run(settings, stop, self.topic)
            except BaseException as error:
                failures.append(error)
                raise

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(60)
        assert failures == []
        assert not thread.is_alive()

    @contextlib.contextmanager
    def process(self, group):
        """The stage as the process that the stack starts; it reads `events`."""
        variables = {
            "KAFKA_BOOTSTRAP_SERVERS": self._broker.bootstrap_servers,
            "POSTGRES_HOST": self.target.host,
            "POSTGRES_PORT": str(self.target.port),
            "POSTGRES_DATABASE": self.target.database,
            "POSTGRES_USER": self.target.user,
            "POSTGRES_PASSWORD": self.target.password,
            "POSTGRES_GROUP": group,
            "PATH": os.environ["PATH"],
        }
        command = [sys.executable, "-m", "container_worker.postgres"]
        with subprocess.Popen(command, env=variables, stderr=subprocess.DEVNULL) as started:
            try:
                yield started
            finally:
                started.kill()

    def close(self):
        self._producer.close()
