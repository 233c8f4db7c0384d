"""Ports, folders, logs, run file and certificate of a local stack."""

import shutil
import socket
import ssl
import subprocess
import sys
import threading

import pytest

from local import data_folder, log_files, run_file
from local.certificate import make_certificate
from local.file_lock import LockTaken, exclusive
from local.loopback_requests import is_foreign
from local.ports import answers, free_ports, refuse_taken
from local.processes import Identity, last_words
from local.run_file import RunFile
from local.s3_server import remove_torn_writes
from marketdata.errors import LocalError


def test_every_taken_port_is_named_at_once():
    with socket.socket() as one, socket.socket() as two:
        for taken in (one, two):
            taken.bind(("127.0.0.1", 0))
            taken.listen()
        ports = {"api": one.getsockname()[1], "kafka": two.getsockname()[1]}
        with pytest.raises(LocalError) as refused:
            refuse_taken(ports, "127.0.0.1")
        for name, port in ports.items():
            assert f"{port} ({name})" in str(refused.value)
        assert answers(ports["api"])
    refuse_taken(dict(zip("ab", free_ports(2), strict=True)), "127.0.0.1")


def test_a_full_disk_is_refused_before_anything_starts(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    full = type(usage)(usage.total, usage.total, 3 * 1024 * 1024)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(LocalError, match="has 3 MB left and the stack needs 500 MB"):
        data_folder.prepare(tmp_path / "data")


def test_a_log_that_is_too_large_is_cut_and_its_writer_goes_on(tmp_path):
    log = tmp_path / "stage.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 2000)
        log_files.rotate(tmp_path, 1000)
        writer.write(b"after")
        assert log.read_bytes() == b"after"
        log_files.rotate(tmp_path, 1000)
    assert (tmp_path / "stage.log.1").read_bytes() == b"x" * 2000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stage.log", "stage.log.1"]


def test_the_last_words_of_a_json_log_are_its_message(tmp_path):
    log = tmp_path / "log"
    log.write_text('{"event": "failed", "traceback": "Traceback\\n  x\\nValueError: bad"}\n\n')
    assert last_words(log) == "failed: ValueError: bad"
    log.write_text("plain\nlast line\n")
    assert last_words(log) == "last line"
    log.write_text("x" * 1000)
    assert len(last_words(log)) == 301
    assert last_words(tmp_path / "none") == "(no log)"


def test_a_run_file_that_is_damaged_counts_as_none(tmp_path):
    data_folder.prepare(tmp_path)
    run = RunFile(Identity(1, "2"), str(tmp_path), "simulate", {"ws": None})
    run_file.write(tmp_path, run)
    assert run_file.read(tmp_path) == run
    run_file.path_of(tmp_path).write_text("{")
    assert run_file.read(tmp_path) is None
    run_file.remove(tmp_path)
    run_file.remove(tmp_path)


def test_an_identity_is_one_process_for_ever_whoever_asks():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mine = Identity.of(child.pid)
    code = (
        "import sys; from local.processes import Identity; print(Identity.of(int(sys.argv[1])))"
    )
    asked = [sys.executable, "-c", code, str(child.pid)]
    another = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert another.stdout.strip() == str(mine)
    assert mine.alive()
    assert not Identity(child.pid, "1").alive()
    child.communicate(b"\n")
    assert not mine.alive()
    assert not Identity.of(child.pid).alive()


def test_a_lock_is_held_by_one_and_free_afterwards(tmp_path):
    path = tmp_path / "lock"
    with (
        exclusive(path),
        pytest.raises(LockTaken, match="taken"),
        exclusive(path, refuse="taken"),
    ):
        pass
    with exclusive(path, refuse="taken"):
        pass


def test_torn_writes_are_removed_and_nothing_else(tmp_path):
    folder = tmp_path / "tapedeck" / "data" / "orderbook"
    folder.mkdir(parents=True)
    torn = folder / "2024-08-08_BTCUSDT.csv-9d15703a-0975-4b22-ab81-b365c488a740"
    kept = folder / "2024-08-08_BTCUSDT.csv"
    for path in (torn, kept):
        path.write_text("row")
    remove_torn_writes(tmp_path)
    assert not torn.exists()
    assert kept.exists()


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({"Host": "127.0.0.1:8080"}, False),
        ({"Host": "localhost:8080", "Origin": "http://localhost:3000"}, False),
        ({"Host": "[::1]:8080"}, False),
        ({"Host": "192.168.1.5:8080", "Origin": "http://192.168.1.5:8080"}, False),
        ({"Host": "192.168.1.5:8080", "Origin": "http://203.0.113.9"}, True),
        ({"Host": "evil.example"}, True),
        ({"Host": "127.0.0.1", "Origin": "https://evil.example"}, True),
        ({"Host": "127.0.0.1", "Origin": "null"}, True),
        ({}, True),
    ],
)
def test_requests_of_another_site(headers, foreign):
    assert is_foreign(headers) is foreign


def test_a_client_that_trusts_the_authority_accepts_the_certificate(tmp_path):
    made = make_certificate(tmp_path / "tls")
    assert made.key.stat().st_mode & 0o777 == 0o600
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.chain, made.key)
    client = ssl.create_default_context(cafile=made.authority)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            connection, _ = listener.accept()
            with server.wrap_socket(connection, server_side=True) as secure:
                secure.sendall(b"hello")

        thread = threading.Thread(target=serve)
        thread.start()
        raw = socket.create_connection(listener.getsockname())
        with client.wrap_socket(raw, server_hostname="localhost") as secure:
            assert secure.recv(5) == b"hello"
        thread.join()
