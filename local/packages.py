"""The embedded servers' Java archives: which ones, and where they are on this machine.

`jars.json` is the lock: for each server its class path, and for each file its coordinate,
SHA-256 and size. `local.jar_lock` writes it, `local.jar_download` fetches what it lists.

    jars.json ─► class path of a server
"""

import functools
from pathlib import Path

import msgspec

from local.environment import cache_folder
from marketdata.errors import LocalError

LOCK_FILE = Path(__file__).with_name("jars.json")


class Jar(msgspec.Struct, frozen=True):
    """One file of a Maven repository."""

    coordinate: str
    sha256: str
    bytes: int

    @property
    def path(self) -> str:
        """Where a Maven repository keeps it, relative to its root."""
        group, artifact, version = self.coordinate.split(":")
        return f"{group.replace('.', '/')}/{artifact}/{version}/{artifact}-{version}.jar"


class JarLock(msgspec.Struct, frozen=True):
    """What `jars.json` holds: the files, and each server's class path by coordinate."""

    roots: dict[str, list[str]]
    class_paths: dict[str, list[str]]
    jars: list[Jar]

    def of(self, server: str) -> list[Jar]:
        """The jars of one server, in class path order."""
        known = {jar.coordinate: jar for jar in self.jars}
        return [known[coordinate] for coordinate in self.class_paths[server]]


@functools.cache
def jar_lock() -> JarLock:
    """The committed lock, read once a process."""
    return msgspec.json.decode(LOCK_FILE.read_bytes(), type=JarLock)


def repository() -> Path:
    """The folder that holds the jars; every clone on this machine shares it."""
    return cache_folder() / "maven"


def class_path(server: str) -> list[Path]:
    """The class path of `kafka`, `dynamodb` or `s3`.

    Raises:
        LocalError: a jar is not there yet; the text says to run `make setup`.
    """
    paths = [repository() / jar.path for jar in jar_lock().of(server)]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise LocalError(
            f"{len(missing)} Java packages of {server} are missing in {repository()} "
            f"({missing[0]}, …): run `make setup` once with a network"
        )
    return paths
