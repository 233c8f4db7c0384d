"""The download of the Java packages: whole or not at all, from wherever it stopped."""

import hashlib
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from local import jar_download, packages
from local.packages import Jar, JarLock
from marketdata.errors import LocalError

CONTENTS = {f"org.example:part-{n}:1.{n}": b"content %d " % n * 1000 for n in range(12)}


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A Maven repository; `served` counts what was asked for, `broken` is answered badly."""
    jars = [
        Jar(name, hashlib.sha256(content).hexdigest(), len(content))
        for name, content in CONTENTS.items()
    ]
    by_path = {f"/{jar.path}": CONTENTS[jar.coordinate] for jar in jars}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.served[self.path] += 1
            content = by_path[self.path]
            fault = self.broken.get(self.path)
            if isinstance(fault, int):
                self.send_error(fault)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(fault(content) if fault else content)

        def log_message(self, *arguments):
            """Say nothing."""

    Handler.served, Handler.broken = Counter(), {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    class Context:
        def __init__(self):
            self.remote_repos = {"here": f"http://127.0.0.1:{server.server_port}"}

    lock = JarLock({}, {"kafka": list(CONTENTS)}, jars)
    monkeypatch.setattr(jar_download, "MavenContext", Context)
    monkeypatch.setattr(jar_download, "jar_lock", lambda: lock)
    monkeypatch.setattr(packages, "jar_lock", lambda: lock)
    monkeypatch.setattr(jar_download, "FIRST_WAIT_S", 0.01)
    monkeypatch.setenv("TAPEDECK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield Handler
    server.shutdown()
    server.server_close()
    thread.join()


def download():
    received = []
    jar_download.download(jar_download.missing(), received.append)
    return sum(received)


def test_everything_is_fetched_once_and_a_second_time_nothing(repository):
    total = download()
    assert total == sum(len(content) for content in CONTENTS.values())
    assert jar_download.missing() == []
    assert set(repository.served.values()) == {1}
    assert [path.read_bytes() for path in packages.class_path("kafka")] == list(
        CONTENTS.values()
    )
    assert download() == 0
    assert set(repository.served.values()) == {1}


def test_two_downloads_at_once_fetch_each_file_once(repository):
    threads = [threading.Thread(target=download) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert jar_download.missing() == []
    assert set(repository.served.values()) == {1}


def test_content_with_another_hash_never_gets_its_name(repository):
    wrong = packages.jar_lock().jars[3]
    repository.broken[f"/{wrong.path}"] = bytes.upper
    with pytest.raises(LocalError, match=r"part-3:1\.3 could not be downloaded \(the content"):
        download()
    assert wrong in jar_download.missing()
    assert list(packages.repository().rglob("*.part")) == []


def test_a_failed_download_goes_on_where_it_stopped(repository):
    wrong = packages.jar_lock().jars[5]
    repository.broken[f"/{wrong.path}"] = 503
    with pytest.raises(LocalError, match=r"HTTP 503.*make setup"):
        download()
    repository.broken.clear()
    left = jar_download.missing()
    assert wrong in left
    before = set(repository.served)
    download()
    assert jar_download.missing() == []
    for jar in set(packages.jar_lock().jars) - set(left):
        assert repository.served[f"/{jar.path}"] == 1
    assert before


def test_without_the_packages_a_server_says_what_to_run(repository):
    with pytest.raises(LocalError, match="run `make setup` once with a network"):
        packages.class_path("kafka")


def test_a_cache_that_cannot_be_written_is_named(repository, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TAPEDECK_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(LocalError, match="cannot be written"):
        download()


def test_the_committed_lock_names_every_class_path_and_only_hashed_files():
    lock = packages.jar_lock()
    for server in ("kafka", "dynamodb", "s3"):
        assert set(lock.roots[server]) <= set(lock.class_paths[server])
        assert len(lock.of(server)) == len(lock.class_paths[server])
    assert all(len(jar.sha256) == 64 and jar.bytes > 0 for jar in lock.jars)
