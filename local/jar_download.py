"""Fetches the locked Java packages into the cache that all clones share.

Safe to kill, to repeat and to run twice at once: a file appears under its name only when its
SHA-256 is right, and one process at a time holds the cache's lock.

    jars.json ─► Maven repository ─► cache
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
from jgo.maven import MavenContext
from jgo.util import http

from local.file_lock import exclusive
from local.packages import Jar, jar_lock, repository
from marketdata.errors import LocalError

PARALLEL = 8
ATTEMPTS = 4
FIRST_WAIT_S = 2.0
TIMEOUT_S = 60
CHUNK_BYTES = 256 * 1024

Progress = Callable[[int], None]


def missing() -> list[Jar]:
    """The locked jars that are not in the cache yet (by name and size)."""
    root = repository()
    return [jar for jar in jar_lock().jars if not _present(root / jar.path, jar)]


def download(jars: Iterable[Jar], progress: Progress) -> None:
    """Fetch jars; `progress` is told of every received byte count, from several threads.

    Raises:
        LocalError: the repository cannot be reached, a hash is wrong, or the disk is full.
    """
    root = repository()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with exclusive(root / ".lock"), ThreadPoolExecutor(PARALLEL) as pool:
            waiting = [pool.submit(_fetch, root, jar, progress) for jar in jars]
            try:
                for one in waiting:
                    one.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    except OSError as error:
        raise LocalError(f"the cache {root} cannot be written: {error}") from error


def _present(path: Path, jar: Jar) -> bool:
    return path.is_file() and path.stat().st_size == jar.bytes


def _fetch(root: Path, jar: Jar, progress: Progress) -> None:
    path = root / jar.path
    if _present(path, jar):  # another process was faster
        progress(jar.bytes)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _fetch_once(path, jar, progress)
        except requests.RequestException as error:
            if attempt == ATTEMPTS:
                raise LocalError(
                    f"{jar.coordinate} could not be downloaded ({_reason(error)}): check the "
                    "network and run `make setup` again, it goes on where it stopped"
                ) from error
            time.sleep(FIRST_WAIT_S * 2 ** (attempt - 1))
        else:
            return


def _fetch_once(path: Path, jar: Jar, progress: Progress) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    digest, received = hashlib.sha256(), 0
    try:
        with _open(jar) as response, part.open("wb") as file:
            for chunk in response.iter_content(CHUNK_BYTES):
                file.write(chunk)
                digest.update(chunk)
                received += len(chunk)
                progress(len(chunk))
        _refuse_other(digest.hexdigest(), jar)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        progress(-received)
        raise


def _refuse_other(digest: str, jar: Jar) -> None:
    if digest != jar.sha256:
        raise requests.ConnectionError("the content has another SHA-256")


def _open(jar: Jar) -> requests.Response:
    [base] = MavenContext().remote_repos.values()
    response = http.get(f"{base}/{jar.path}", stream=True, timeout=TIMEOUT_S)
    try:
        response.raise_for_status()
    except requests.HTTPError:
        response.close()
        raise
    return response


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"HTTP {error.response.status_code}"
    words = str(error)
    return words if words.startswith("the content") else "no connection"
