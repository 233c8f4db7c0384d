"""SCRAM-SHA-512 over TLS against a real broker: the documents' four variables, and refusals."""

import subprocess

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from container_worker import kafka as kafka_port
from container_worker.control import Control
from container_worker.kafka import Producer
from container_worker.kafka_consumer import KafkaConsumer, Partition
from container_worker.settings import KafkaSettings
from local import embedded, kafka_server
from local.java import java_command
from local.ports import free_ports
from local.processes import Command
from marketdata.codec import Record
from marketdata.errors import BrokerError
from marketdata.topics import HOUR_MS, Topic

pytestmark = pytest.mark.services
USER, PASSWORD = "user-producer-tls", "s3cret with blanks"


def one_line(pem):
    """A PEM text as the value of a Java property."""
    return pem.decode().replace("\n", "\\n")


def tls_properties(authority):
    issued = authority.issue_cert("127.0.0.1", "localhost")
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    pkcs8 = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.certificate.chain": one_line(chain),
        "ssl.keystore.key": one_line(pkcs8),
    }


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    """A broker whose clients must log in, and the path of its authority's certificate."""
    folder = tmp_path_factory.mktemp("secured")
    authority = trustme.CA()
    ca_path = folder / "ca.crt"
    authority.cert_pem.write_to_path(str(ca_path))
    port, controller, inner = free_ports(3)
    plain = kafka_server.server_properties(
        folder / "data", host="127.0.0.1", port=inner, controller_port=controller
    )
    login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    settings = dict(line.split("=", 1) for line in plain.splitlines()) | {
        "listeners": (
            f"CLIENTS://127.0.0.1:{inner},CONTROLLER://127.0.0.1:{controller},"
            f"SECURED://127.0.0.1:{port}"
        ),
        "advertised.listeners": f"CLIENTS://127.0.0.1:{inner},SECURED://127.0.0.1:{port}",
        "listener.security.protocol.map": (
            "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL"
        ),
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.secured.scram-sha-512.sasl.jaas.config": login,
        **tls_properties(authority),
    }
    path = folder / "server.properties"
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    scram = f'SCRAM-SHA-512=[name="{USER}",password="{PASSWORD}"]'
    format_command = java_command(
        "kafka",
        *("format", "--ignore-formatted", "--cluster-id", "MkU3OEVBNTcwNTJENDM2Qg"),
        *("--config", str(path), "--add-scram", scram),
        main_class="kafka.tools.StorageTool",
        heap_mb=128,
        options=(),
    )
    done = subprocess.run(format_command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    command = Command("kafka", kafka_server.start_command(path))
    with embedded.running(command, folder / "kafka.log", port):
        yield KafkaSettings(
            f"127.0.0.1:{port}",
            auth="scram",
            user=USER,
            password=PASSWORD,
            ca_path=str(ca_path),
        )


def test_every_client_logs_in_with_scram_and_the_given_authority(secured, wait_until):
    topic = Topic("data", 1, HOUR_MS)
    kafka_port.create_missing(secured, [topic])
    kafka_port.check_topics(secured, [topic])
    producer = Producer(secured)
    assert producer.send(Record("data", b"k", b"v", []))
    assert producer.flush(10) == 0
    Control(secured, "data", print).close()
    consumer = KafkaConsumer(secured, group="g")
    consumer.seek(Partition("data", 0), 0)
    records = []
    wait_until(lambda: records.extend(consumer.poll().records) or records, what="the record")
    consumer.close()
    assert [record.value for record in records] == [b"v"]


def test_a_wrong_password_is_said_and_not_shown(secured):
    wrong = KafkaSettings(
        secured.bootstrap_servers,
        auth="scram",
        user=USER,
        password="not-the-password",
        ca_path=secured.ca_path,
    )
    with pytest.raises(BrokerError, match=f"refused the connection for the user {USER}") as got:
        kafka_port.partition_counts(wrong, seconds=5)
    assert "not-the-password" not in str(got.value)


def test_an_authority_that_did_not_sign_the_broker_is_said(secured, tmp_path):
    other = tmp_path / "other.crt"
    trustme.CA().cert_pem.write_to_path(str(other))
    stranger = KafkaSettings(
        secured.bootstrap_servers,
        auth="scram",
        user=USER,
        password=PASSWORD,
        ca_path=str(other),
    )
    with pytest.raises(BrokerError, match="certificate"):
        kafka_port.partition_counts(stranger, seconds=5)


def test_an_authority_file_without_a_certificate_is_said(tmp_path):
    garbage = tmp_path / "ca.crt"
    garbage.write_text("no certificate")
    with pytest.raises(BrokerError, match=r"client does not start.*ssl.ca.location"):
        kafka_port.partition_counts(KafkaSettings("127.0.0.1:1", ca_path=str(garbage)))
